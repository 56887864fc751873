//! Seals everything this manager writes to disk with AES-256-GCM.
//!
//! Knows: the key, and that a nonce must never be used twice under one key. Must not know: what is being sealed.
//!
//! Every opening of the store, and every change of its key, draws a fresh 128-bit salt and derives its own key from it
//! (HKDF-SHA256); a record carries the salt, and nonces count up from zero under that derived key. So no counter has to
//! survive a crash, and neither a restored backup nor a cloned directory can make two records share key and nonce.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::StoreKey;

const VERSION: u8 = 1;
const SALT: usize = 16;
const COUNTER: usize = 8;
const HEADER: usize = 1 + SALT + COUNTER;
/// A log spans few openings of the store; beyond this many derived keys the cache starts anew.
const CACHED_KEYS: usize = 256;

/// Bytes that sealing adds to a record.
pub const OVERHEAD: usize = HEADER + 16;

/// Why a record could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the system gave no randomness for a new storage key")]
    NoRandomness,
    #[error("the record is shorter than any record this version writes")]
    Short,
    #[error("the record has format version {0}, and this version reads {VERSION}")]
    Version(u8),
    #[error("the record does not fit the storage key or its place: wrong key, damaged file, or moved record")]
    Authentication,
}

type Salt = [u8; SALT];

/// The sealing key of now, and the keys of earlier openings as they are met.
pub struct Vault {
    sealing: ArcSwap<Sealing>,
    /// Of the current key and those before it: one of them has sealed whatever is found.
    roots: RwLock<Vec<hkdf::Prk>>,
    earlier: Mutex<HashMap<Salt, Arc<LessSafeKey>>>,
}

struct Sealing {
    salt: Salt,
    key: LessSafeKey,
    counter: AtomicU64,
}

impl Sealing {
    fn begin(root: &hkdf::Prk) -> Result<Self, VaultError> {
        let mut salt = [0; SALT];
        SystemRandom::new().fill(&mut salt).map_err(|_| VaultError::NoRandomness)?;
        Ok(Self { salt, key: derive(root, &salt)?, counter: AtomicU64::new(0) })
    }
}

impl Vault {
    /// A vault for one opening of the store.
    pub fn new(key: &StoreKey) -> Result<Self, VaultError> {
        let roots = roots(key);
        let first = roots.first().ok_or(VaultError::Authentication)?;
        let sealing = ArcSwap::from_pointee(Sealing::begin(first)?);
        Ok(Self { sealing, roots: RwLock::new(roots), earlier: Mutex::default() })
    }

    /// From here on `key` seals. What was sealed before is opened as long as its key is in the ring of `key`.
    pub fn change(&self, key: &StoreKey) -> Result<(), VaultError> {
        let roots = roots(key);
        let first = roots.first().ok_or(VaultError::Authentication)?;
        let sealing = Arc::new(Sealing::begin(first)?);
        *self.roots.write() = roots;
        self.earlier.lock().clear();
        self.sealing.store(sealing);
        Ok(())
    }

    /// Whether `sealed` was sealed since the last change of the key.
    pub fn is_of_now(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=SALT) == Some(self.sealing.load().salt.as_slice())
    }

    /// Seals `plain`; only the same `place` opens it again, so records cannot change places.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let sealing = self.sealing.load();
        let counter = sealing.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        sealed.push(VERSION);
        sealed.extend_from_slice(&sealing.salt);
        sealed.extend_from_slice(&counter);
        sealed.extend_from_slice(plain);
        let (_, body) = sealed.split_at_mut(HEADER);
        let tag = sealing
            .key
            .seal_in_place_separate_tag(nonce(counter), Aad::from(place), body)
            .map_err(|_| VaultError::Authentication)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] sealed for the same `place`, in this opening of the store or an earlier one.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (version, rest) = sealed.split_first().ok_or(VaultError::Short)?;
        if *version != VERSION {
            return Err(VaultError::Version(*version));
        }
        let (salt, rest) = rest.split_first_chunk::<SALT>().ok_or(VaultError::Short)?;
        let (counter, body) = rest.split_first_chunk::<COUNTER>().ok_or(VaultError::Short)?;
        let opened = |key: &LessSafeKey| {
            let mut plain = body.to_vec();
            let length = key.open_in_place(nonce(*counter), Aad::from(place), &mut plain).ok()?.len();
            plain.truncate(length);
            Some(plain)
        };
        let known = self.earlier.lock().get(salt).cloned();
        if let Some(key) = known {
            return opened(&key).ok_or(VaultError::Authentication);
        }
        for root in self.roots.read().iter() {
            let key = derive(root, salt)?;
            if let Some(plain) = opened(&key) {
                self.remember(*salt, key);
                return Ok(plain);
            }
        }
        Err(VaultError::Authentication)
    }

    fn remember(&self, salt: Salt, key: LessSafeKey) {
        let mut earlier = self.earlier.lock();
        if earlier.len() >= CACHED_KEYS {
            earlier.clear();
        }
        earlier.insert(salt, Arc::new(key));
    }
}

fn roots(key: &StoreKey) -> Vec<hkdf::Prk> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"swarmd raft store");
    key.ring().map(|key| salt.extract(key)).collect()
}

fn derive(root: &hkdf::Prk, salt: &Salt) -> Result<LessSafeKey, VaultError> {
    let info: [&[u8]; 2] = [b"records", salt];
    let okm = root.expand(&info, &AES_256_GCM).map_err(|_| VaultError::Authentication)?;
    Ok(LessSafeKey::new(UnboundKey::from(okm)))
}

fn nonce(counter: [u8; COUNTER]) -> Nonce {
    let mut bytes = [0; 12];
    let (_, low) = bytes.split_at_mut(4);
    low.copy_from_slice(&counter);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn vault(key: u8) -> Vault {
        Vault::new(&StoreKey::new([key; 32])).unwrap()
    }

    proptest! {
        #[test]
        fn a_later_opening_reads_what_an_earlier_one_sealed(plain: Vec<u8>, place: Vec<u8>) {
            let sealed = vault(1).seal(&place, &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(vault(1).open(&place, &sealed).unwrap(), plain);
        }

        #[test]
        fn any_flipped_bit_is_seen(plain: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let vault = vault(1);
            let mut sealed = vault.seal(b"here", &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(vault.open(b"here", &sealed).is_err());
        }

        #[test]
        fn garbage_is_refused_without_panic(bytes: Vec<u8>) {
            prop_assert!(vault(1).open(b"", &bytes).is_err());
        }
    }

    #[test]
    fn after_a_change_the_new_key_seals_and_the_old_one_opens_while_it_is_kept() {
        let (old, fresh) = (StoreKey::new([1; 32]), [2; 32]);
        let vault = Vault::new(&old).unwrap();
        let before = vault.seal(b"here", b"secret").unwrap();
        let both = old.succeeded_by(fresh);
        vault.change(&both).unwrap();
        let after = vault.seal(b"here", b"secret").unwrap();
        assert_eq!((vault.is_of_now(&before), vault.is_of_now(&after)), (false, true));
        for vault in [&vault, &Vault::new(&both).unwrap()] {
            assert_eq!(vault.open(b"here", &before).unwrap(), b"secret");
            assert_eq!(vault.open(b"here", &after).unwrap(), b"secret");
        }
        vault.change(&both.alone()).unwrap();
        for vault in [&vault, &Vault::new(&both.alone()).unwrap()] {
            assert_eq!(vault.open(b"here", &before), Err(VaultError::Authentication));
            assert_eq!(vault.open(b"here", &after).unwrap(), b"secret");
        }
        assert_eq!(Vault::new(&old).unwrap().open(b"here", &after), Err(VaultError::Authentication));
    }

    #[test]
    fn another_key_or_another_place_does_not_open() {
        let sealed = vault(1).seal(b"log 7", b"secret").unwrap();
        assert_eq!(vault(2).open(b"log 7", &sealed), Err(VaultError::Authentication));
        assert_eq!(vault(1).open(b"log 8", &sealed), Err(VaultError::Authentication));
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn salt_and_nonce_never_repeat_over_openings() {
        let mut seen = HashSet::new();
        for _ in 0..50 {
            let vault = vault(1);
            for _ in 0..50 {
                let sealed = vault.seal(b"", b"same").unwrap();
                assert!(seen.insert(sealed[..HEADER].to_vec()));
            }
        }
    }
}
