//! The file: what goes in comes out, and each thing that can be wrong with it has its own error.

use super::header::HEADER;
use super::seal::PIECE_BYTES;
use super::{BackupError, Contents, Cost, Made, Passphrase, Sealer, open, size};
use crate::leader::testing::with_managers;
use proptest::prelude::*;
use ring::digest::{SHA256, digest};
use swarm_model::FEATURE_LEVEL;
use swarm_state::FORMAT;
use zeroize::Zeroizing;

/// What a test can afford thousands of times.
const CHEAP: Cost = Cost { kib: 8, passes: 1, lanes: 1 };

fn passphrase(text: &str) -> Passphrase {
    Passphrase::given(text.to_owned())
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let sealer = Sealer::new(Zeroizing::new(plain.to_vec()), &passphrase("right"), CHEAP).unwrap();
    let expected = sealer.file_bytes();
    let file = sealer.collect::<Result<Vec<_>, _>>().unwrap().concat();
    assert_eq!(file.len() as u64, expected);
    file
}

fn opened(file: &[u8]) -> Result<Vec<u8>, BackupError> {
    open(file, &passphrase("right")).map(|plain| plain.to_vec())
}

/// A file whose header was changed by somebody who knows how its checksum is made.
fn forged(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let checksum = digest(&SHA256, &file[..HEADER - 32]);
    file[HEADER - 32..HEADER].copy_from_slice(checksum.as_ref());
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_was_sealed_is_opened(plain in prop::collection::vec(any::<u8>(), 1..2_000)) {
        prop_assert_eq!(opened(&sealed(&plain)), Ok(plain));
    }

    #[test]
    fn any_flipped_bit_is_seen(at: prop::sample::Index, bit in 0u8..8) {
        let mut file = sealed(&[7; 300]);
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let error = opened(&file).unwrap_err();
        match at {
            0..8 => prop_assert_eq!(error, BackupError::NotABackup),
            // Of a longer header there is not enough.
            10..12 => {
                let fits = matches!(error, BackupError::Damaged(_) | BackupError::CutShort { .. });
                prop_assert!(fits, "{:?}", error);
            }
            _ => prop_assert!(matches!(error, BackupError::Damaged(_)), "{:?}", error),
        }
    }

    #[test]
    fn wherever_it_is_cut_that_is_said(at: prop::sample::Index) {
        let file = sealed(&[7; 300]);
        let at = at.index(file.len());
        let error = opened(&file[..at]).unwrap_err();
        match at {
            0..8 => prop_assert_eq!(error, BackupError::NotABackup),
            _ => {
                let said = matches!(error, BackupError::CutShort { .. });
                prop_assert!(said, "{:?}", error);
            }
        }
    }

    #[test]
    fn garbage_is_no_backup_and_no_panic(mut bytes: Vec<u8>) {
        prop_assert_eq!(opened(&bytes), Err(BackupError::NotABackup));
        bytes.splice(0..0, *b"SWARMBAK");
        prop_assert!(opened(&bytes).is_err());
    }
}

#[test]
fn many_pieces_are_one_whole_and_keep_their_places() {
    let mut plain: Vec<u8> = (0..2 * PIECE_BYTES + 5).map(|i| (i / 7) as u8).collect();
    let file = sealed(&plain);
    assert_eq!(opened(&file), Ok(plain.clone()));
    assert!(matches!(opened(&file[..file.len() - 1]), Err(BackupError::CutShort { .. })));
    let (first, second) = (HEADER, HEADER + PIECE_BYTES + 16);
    let mut swapped = file.clone();
    swapped[first..second].copy_from_slice(&file[second..2 * second - first]);
    swapped[second..2 * second - first].copy_from_slice(&file[first..second]);
    assert_eq!(opened(&swapped), Err(BackupError::Damaged("piece 0".into())));
    plain.truncate(PIECE_BYTES);
    assert_eq!(opened(&sealed(&plain)), Ok(plain), "the last piece may be a full one");
    let longer = [file, vec![0]].concat();
    assert!(matches!(opened(&longer), Err(BackupError::Damaged(why)) if why.contains("longer")));
}

#[test]
fn another_passphrase_is_told_from_damage() {
    let file = sealed(b"secret of the cluster");
    for wrong in ["", "Right", "right "] {
        assert_eq!(open(&file, &passphrase(wrong)).err(), Some(BackupError::WrongPassphrase), "{wrong:?}");
    }
    assert!(!file.windows(6).any(|window| window == b"secret"));
}

#[test]
fn two_backups_of_one_state_share_no_key() {
    assert_ne!(sealed(b"the same")[HEADER..], sealed(b"the same")[HEADER..]);
}

#[test]
fn a_newer_format_is_told_from_damage_even_with_a_longer_header() {
    let file = sealed(b"x");
    let newer = forged(file.clone(), 8, &7u16.to_be_bytes());
    let Err(BackupError::Newer { found: 7, known: 1, .. }) = opened(&newer) else {
        panic!("{:?}", opened(&newer));
    };
    let mut longer = file[..HEADER - 32].to_vec();
    longer[8..12].copy_from_slice(&[0, 2, 0, (HEADER + 4) as u8]);
    longer.extend_from_slice(b"more");
    longer.extend_from_slice(digest(&SHA256, &longer).as_ref());
    assert!(matches!(opened(&longer), Err(BackupError::Newer { found: 2, .. })));
}

#[test]
fn sizes_that_would_exhaust_the_reader_are_refused_before_they_are_tried() {
    let file = sealed(b"x");
    for (at, number) in [(12, u32::MAX), (12, 0), (16, 1_000), (16, 0), (20, 65), (20, 0)] {
        let hostile = forged(file.clone(), at, &number.to_be_bytes());
        assert!(matches!(opened(&hostile), Err(BackupError::Damaged(_))), "{number} at {at}");
    }
    let huge = forged(file, 12 + 12 + 16, &u64::MAX.to_be_bytes());
    assert!(matches!(opened(&huge), Err(BackupError::Damaged(_))));
}

#[test]
fn a_short_passphrase_is_refused_for_a_new_backup_only() {
    assert!(Passphrase::new("1234567".into()).is_err() && Passphrase::new("x".repeat(1025)).is_err());
    assert!(Passphrase::new("12345678".into()).is_ok());
    assert_eq!(format!("{:?}", passphrase("secret")), "Passphrase(…)");
}

fn made(state_format: u32, feature_level: u32) -> Made {
    Made { state_format, feature_level, version: "9.9.9".into(), at_ms: 1, term: 4 }
}

#[test]
fn the_state_comes_back_as_it_was() {
    let state = with_managers(&[1, 2, 3]);
    let bytes = Contents::encode(&made(FORMAT, FEATURE_LEVEL), &state.snapshot()).unwrap();
    let back = Contents::decode(&bytes).unwrap();
    assert!(back.state == state && back.made.term == 4);
    assert!(matches!(Contents::decode(&bytes[..bytes.len() - 9]), Err(BackupError::Damaged(_))));
}

#[test]
fn a_state_this_version_cannot_know_is_named_as_such() {
    let state = with_managers(&[1]);
    for newer in [made(FORMAT + 1, FEATURE_LEVEL), made(FORMAT, FEATURE_LEVEL + 1)] {
        let bytes = Contents::encode(&newer, &state.snapshot()).unwrap();
        assert!(matches!(Contents::decode(&bytes), Err(BackupError::Newer { .. })));
    }
}

#[test]
fn each_error_is_another_sentence() {
    let file = sealed(b"x");
    let mut flipped = file.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let errors = [
        opened(b"PK\x03\x04"),
        opened(&file[..file.len() - 1]),
        opened(&flipped),
        opened(&forged(file.clone(), 8, &2u16.to_be_bytes())),
        open(&file, &passphrase("wrong")).map(|_| vec![]),
    ];
    let said: std::collections::BTreeSet<_> = errors.map(|e| e.unwrap_err().to_string()).into();
    assert_eq!(said.len(), 5, "{said:?}");
}

#[test]
fn a_file_says_early_what_it_is_and_how_long() {
    let file = sealed(&vec![7; 3 << 20]);
    let expected = file.len() as u64;
    assert_eq!(size(&file[..1 << 20]), Ok(Some(expected)));
    assert_eq!(size(&file[..20]), Ok(None));
    assert_eq!(size(&[0; 1 << 20]), Err(BackupError::NotABackup));
}
