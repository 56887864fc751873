//! The lock of a manager's files: the unlock key that an operator holds, and how a secret is sealed for a file.
//! Must not know: which files there are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const PREFIX: &str = "SWMKEY-1-";
const SALT: usize = 16;
/// 32 bytes in base 64 without padding.
const TEXT_CHARS: usize = 43;

/// What an operator types to unlock a manager: `SWMKEY-1-` and 256 random bits in base 64. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct UnlockKey(Zeroizing<[u8; 32]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no unlock key: one is {PREFIX} and {TEXT_CHARS} more characters, as `swarmctl unlock-key` on a manager that is not locked prints it"
)]
pub struct UnlockKeyError;

impl UnlockKey {
    pub fn generate() -> Self {
        Self(Zeroizing::new(crate::random::bytes()))
    }

    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(self.0.as_slice())))
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for UnlockKey {
    type Err = UnlockKeyError;

    fn from_str(text: &str) -> Result<Self, UnlockKeyError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(UnlockKeyError)?;
        let bytes = Zeroizing::new(BASE64.decode(digits).map_err(|_| UnlockKeyError)?);
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| UnlockKeyError)?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for UnlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockKey(…)")
    }
}

/// Seals `plain` (AES-256-GCM) with a key made of `key` and a fresh salt, so that no nonce is ever used twice. Only the
/// same `place` opens it again.
#[expect(clippy::expect_used, reason = "AES-GCM takes up to 64 GiB; what is sealed here are keys")]
pub fn seal(key: &[u8; 32], place: &[u8], plain: &[u8]) -> Vec<u8> {
    let salt: [u8; SALT] = crate::random::bytes();
    let mut sealed = Vec::with_capacity(SALT + plain.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(plain);
    let (_, body) = sealed.split_at_mut(SALT);
    let tag = derive(key, &salt).seal_in_place_separate_tag(nonce(), Aad::from(place), body);
    sealed.extend_from_slice(tag.expect("a few bytes are sealed").as_ref());
    sealed
}

/// What [`seal`] sealed with this key for this place; `None` if it did not.
pub fn open(key: &[u8; 32], place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (salt, body) = sealed.split_first_chunk::<SALT>()?;
    let mut plain = Zeroizing::new(body.to_vec());
    let opened = derive(key, salt).open_in_place(nonce(), Aad::from(place), &mut plain).ok()?.len();
    plain.truncate(opened);
    Some(plain)
}

#[expect(clippy::expect_used, reason = "HKDF fails only for more than 255 blocks of output")]
fn derive(key: &[u8; 32], salt: &[u8; SALT]) -> LessSafeKey {
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    let okm = root.expand(&[b"swarm file lock"], &AES_256_GCM).expect("one key is expanded");
    LessSafeKey::new(UnboundKey::from(okm))
}

/// The key is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_the_same_key_and_place_open_it(plain: Vec<u8>, key: [u8; 32], other: [u8; 32], flip: prop::sample::Index) {
            prop_assume!(key != other);
            let mut sealed = seal(&key, b"here", &plain);
            let opened = open(&key, b"here", &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
            prop_assert!(open(&other, b"here", &sealed).is_none() && open(&key, b"there", &sealed).is_none());
            let at = flip.index(sealed.len());
            sealed[at] ^= 1;
            prop_assert!(open(&key, b"here", &sealed).is_none());
        }

        #[test]
        fn garbage_is_refused(bytes: Vec<u8>, text: String) {
            prop_assert!(open(&[1; 32], b"", &bytes).is_none());
            prop_assert!(text.parse::<UnlockKey>().is_err());
        }
    }

    #[test]
    fn a_key_is_read_back_from_its_text_and_never_shown() {
        let key = UnlockKey::generate();
        let text = key.to_text();
        assert_eq!(text.len(), PREFIX.len() + TEXT_CHARS);
        assert_eq!(format!(" {}\n", *text).parse::<UnlockKey>(), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "UnlockKey(…)");
        assert!(text[..text.len() - 1].parse::<UnlockKey>().is_err());
    }
}
