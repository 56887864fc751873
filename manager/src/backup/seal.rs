//! Sealing bytes with a passphrase, piece by piece, and opening them again.
//! Knows: Argon2id (RFC 9106) for the key, AES-256-GCM for the pieces. Must not know: what the bytes mean.
//!
//! Each file has its own salt and so its own key; the nonce of a piece is its number, that of the proof is one no piece
//! reaches. Every piece vouches for the whole header, and that for the length: none can be left out, moved or added.

use super::header::{BackupError, HEADER, Header, MOST_BYTES, SALT, TAG, cut_short, damaged};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;
use swarm_identity::random;
use zeroize::Zeroizing;

/// One piece before it is sealed: two of them, and what surrounds them, are well within one message.
pub const PIECE_BYTES: usize = 1 << 20;
const PROOF: u64 = u64::MAX;
const SHORTEST_PASSPHRASE: usize = 8;
const LONGEST_PASSPHRASE: usize = 1024;

/// What it costs to try one passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Cost {
    /// RFC 9106 §4, the second recommended choice: 64 MiB, three passes, four lanes.
    pub const NORMAL: Self = Self { kib: 64 * 1024, passes: 3, lanes: 4 };

    /// A file must not make its reader run out of memory or time.
    pub fn is_bearable(self) -> bool {
        (8..=512 * 1024).contains(&self.kib)
            && (1..=64).contains(&self.passes)
            && (1..=64).contains(&self.lanes)
            && self.kib >= 8 * self.lanes
    }
}

/// Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} bytes; this one has {0}")]
pub struct WeakPassphrase(usize);

impl Passphrase {
    /// For a new backup.
    pub fn new(text: String) -> Result<Self, WeakPassphrase> {
        let text = Self::given(text);
        match text.0.len() {
            SHORTEST_PASSPHRASE..=LONGEST_PASSPHRASE => Ok(text),
            other => Err(WeakPassphrase(other)),
        }
    }

    /// For a backup that is there: it shows whether this is the right one.
    pub fn given(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    fn key(&self, salt: &[u8; SALT], cost: Cost) -> Option<LessSafeKey> {
        let params = Params::new(cost.kib, cost.passes, cost.lanes, Some(AES_256_GCM.key_len())).ok()?;
        let mut key = Zeroizing::new([0u8; 32]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(self.0.as_bytes(), salt, key.as_mut_slice()).ok()?;
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// The bytes of a backup file, in order.
pub struct Sealer {
    key: LessSafeKey,
    header: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    /// The next piece; `None`: the header comes first.
    next: Option<u64>,
}

impl Sealer {
    /// Derives the key, which takes a good part of a second.
    pub fn new(plain: Zeroizing<Vec<u8>>, passphrase: &Passphrase, cost: Cost) -> Result<Self, BackupError> {
        let length = plain.len() as u64;
        if length > MOST_BYTES {
            return Err(BackupError::TooLarge { bytes: length });
        }
        let salt = random::bytes();
        let key = passphrase.key(&salt, cost).ok_or(BackupError::Seal)?;
        let mut header = Header { cost, salt, length, proof: [0; TAG] };
        header.proof = proof(&key, &header)?;
        Ok(Self { key, header: header.to_bytes(), plain, next: None })
    }

    /// The size of the file.
    pub fn file_bytes(&self) -> u64 {
        file_bytes(self.plain.len() as u64)
    }

    fn piece(&self, number: u64) -> Option<Result<Vec<u8>, BackupError>> {
        let at = usize::try_from(number).ok()?.checked_mul(PIECE_BYTES)?;
        let rest = self.plain.get(at..).filter(|rest| !rest.is_empty())?;
        let plain = rest.get(..PIECE_BYTES).unwrap_or(rest);
        let mut piece = Vec::with_capacity(plain.len() + TAG);
        piece.extend_from_slice(plain);
        let vouched = Aad::from(&self.header);
        let sealed = self.key.seal_in_place_append_tag(nonce(number), vouched, &mut piece);
        Some(sealed.map(|()| piece).map_err(|_| BackupError::Seal))
    }
}

impl Iterator for Sealer {
    type Item = Result<Vec<u8>, BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(number) = self.next else {
            self.next = Some(0);
            return Some(Ok(self.header.clone()));
        };
        self.next = Some(number + 1);
        self.piece(number)
    }
}

/// How long a file is that begins so; `None` while too little of it is known.
pub fn size(beginning: &[u8]) -> Result<Option<u64>, BackupError> {
    match Header::read(beginning) {
        Err(BackupError::CutShort { .. }) => Ok(None),
        read => read.map(|(header, _)| Some(file_bytes(header.length))),
    }
}

/// What was sealed into `file`.
pub fn open(file: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let (header, mut rest) = Header::read(file)?;
    let expected = file_bytes(header.length);
    match (file.len() as u64).cmp(&expected) {
        std::cmp::Ordering::Less => return Err(cut_short(file.len(), expected)),
        std::cmp::Ordering::Greater => return Err(damaged("it is longer than its header says")),
        std::cmp::Ordering::Equal => {}
    }
    let key = passphrase.key(&header.salt, header.cost).ok_or_else(|| damaged("its cost"))?;
    if proof(&key, &header)? != header.proof {
        return Err(BackupError::WrongPassphrase);
    }
    let vouched = header.to_bytes();
    let mut plain = Zeroizing::new(Vec::with_capacity(rest.len()));
    for number in 0.. {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at_checked(PIECE_BYTES + TAG).unwrap_or((rest, &[]));
        let mut piece = Zeroizing::new(piece.to_vec());
        let opened = key.open_in_place(nonce(number), Aad::from(&vouched), &mut piece);
        plain.extend_from_slice(opened.map_err(|_| damaged(&format!("piece {number}")))?);
        rest = after;
    }
    Ok(plain)
}

fn proof(key: &LessSafeKey, header: &Header) -> Result<[u8; TAG], BackupError> {
    let vouched = Aad::from(header.before_proof());
    let tag =
        key.seal_in_place_separate_tag(nonce(PROOF), vouched, &mut []).map_err(|_| BackupError::Seal)?;
    tag.as_ref().try_into().map_err(|_| BackupError::Seal)
}

/// Of a file in which `length` bytes are sealed.
fn file_bytes(length: u64) -> u64 {
    HEADER as u64 + length + length.div_ceil(PIECE_BYTES as u64) * TAG as u64
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    let (_, low) = bytes.split_at_mut(4);
    low.copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
