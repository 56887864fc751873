//! How a backup file begins, and what can be wrong with one.
//! Knows: bytes and their bounds. Must not know: what was sealed.
//!
//! Every version, later ones too: 8 bytes of magic, the version and the length of the whole header (two bytes each,
//! big-endian), fields, and last the SHA-256 of all that. So an older reader tells a newer file from a damaged one.

use super::seal::Cost;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

const MAGIC: &[u8; 8] = b"SWARMBAK";
const VERSION: u16 = 1;
const FIXED: usize = 12;
pub const SALT: usize = 16;
pub const TAG: usize = 16;
/// Fields of this version: cost (three numbers), salt, length of what was sealed, proof of the passphrase.
const FIELDS: usize = 12 + SALT + 8 + TAG;
pub const HEADER: usize = FIXED + FIELDS + SHA256_OUTPUT_LEN;
/// No version's header is longer.
const LONGEST_HEADER: usize = 4 * 1024;
/// The most that can be sealed in one file. 100,000 endpoints are about 40 MB.
pub const MOST_BYTES: u64 = 1 << 30;

/// Why a file is not restored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    #[error("this is no backup of a swarm: it does not begin as one; check which file was given")]
    NotABackup,
    #[error(
        "this backup was made by a newer swarmd ({what} {found}, this one knows {known}): \
         restore it with that version or a later one"
    )]
    Newer { what: &'static str, found: u32, known: u32 },
    #[error(
        "this backup ends after {found} bytes where {expected} are expected: it was cut short; use another copy"
    )]
    CutShort { found: u64, expected: u64 },
    #[error("this backup is damaged ({0}): nothing of it can be trusted; use another copy")]
    Damaged(String),
    #[error("the passphrase is not the one this backup was made with")]
    WrongPassphrase,
    #[error("the cluster's state takes {bytes} bytes, more than the {} that one backup may have", MOST_BYTES)]
    TooLarge { bytes: u64 },
    #[error("the backup could not be sealed")]
    Seal,
}

/// A header whose checksum is right, and whose numbers are within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub cost: Cost,
    pub salt: [u8; SALT],
    /// Bytes that were sealed.
    pub length: u64,
    /// A seal of nothing: only the right passphrase makes the same one.
    pub proof: [u8; TAG],
}

impl Header {
    /// What the proof vouches for.
    pub fn before_proof(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&(HEADER as u16).to_be_bytes());
        for number in [self.cost.kib, self.cost.passes, self.cost.lanes] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.before_proof();
        bytes.extend_from_slice(&self.proof);
        let checksum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(checksum.as_ref());
        bytes
    }

    /// The header, and what follows it in the file.
    pub fn read(file: &[u8]) -> Result<(Self, &[u8]), BackupError> {
        let (header, version, rest) = checked(file)?;
        match version {
            0 => return Err(damaged("its version is 0")),
            VERSION => {}
            found => {
                let (what, found, known) = ("format", found.into(), VERSION.into());
                return Err(BackupError::Newer { what, found, known });
            }
        }
        let fields = <&[u8; FIELDS]>::try_from(header.get(FIXED..).unwrap_or_default());
        let fields = fields.map_err(|_| damaged("its header's length"))?;
        let header = Self::of_fields(fields).ok_or_else(|| damaged("its header's fields"))?;
        if header.length == 0 || header.length > MOST_BYTES || !header.cost.is_bearable() {
            return Err(damaged("its header names sizes that no backup has"));
        }
        Ok((header, rest))
    }

    fn of_fields(fields: &[u8; FIELDS]) -> Option<Self> {
        let (kib, rest) = fields.split_first_chunk()?;
        let (passes, rest) = rest.split_first_chunk()?;
        let (lanes, rest) = rest.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
        Some(Self {
            cost: Cost { kib: number(kib), passes: number(passes), lanes: number(lanes) },
            salt: *salt,
            length: u64::from_be_bytes(*length),
            proof: *rest.first_chunk()?,
        })
    }
}

/// The header without its checksum, once that is known to be right; its version; and the rest of the file.
fn checked(file: &[u8]) -> Result<(&[u8], u16, &[u8]), BackupError> {
    let rest = file.strip_prefix(MAGIC.as_slice()).ok_or(BackupError::NotABackup)?;
    let cut_short = |expected: usize| cut_short(file.len(), expected as u64);
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(|| cut_short(HEADER))?;
    let (length, _) = rest.split_first_chunk::<2>().ok_or_else(|| cut_short(HEADER))?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !(FIXED + SHA256_OUTPUT_LEN..=LONGEST_HEADER).contains(&length) {
        return Err(damaged("its header's length"));
    }
    let (header, rest) = file.split_at_checked(length).ok_or_else(|| cut_short(length))?;
    let (content, checksum) = header.split_at(length - SHA256_OUTPUT_LEN);
    if digest(&SHA256, content).as_ref() != checksum {
        return Err(damaged("its header"));
    }
    Ok((content, u16::from_be_bytes(*version), rest))
}

pub fn damaged(what: &str) -> BackupError {
    BackupError::Damaged(what.to_owned())
}

pub fn cut_short(found: usize, expected: u64) -> BackupError {
    BackupError::CutShort { found: found as u64, expected }
}
