//! How the node's key lies in its file: as it is, or sealed. Must not know who holds what opens it.

use crate::lock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use zeroize::Zeroizing;

const PLACE: &[u8] = b"swarm-node.key";
const BEGIN: &str = "-----BEGIN SWARM LOCKED PRIVATE KEY-----";
const END: &str = "-----END SWARM LOCKED PRIVATE KEY-----";
const LINE: usize = 64;

/// The keys that may have sealed a node's key, the current one first, and whether it is sealed from now on.
#[derive(Clone, Default)]
pub struct KeyCover {
    keys: Vec<Zeroizing<[u8; 32]>>,
    seals: bool,
}

impl KeyCover {
    /// For a key that lies there as it is.
    pub fn none() -> Self {
        Self::default()
    }

    pub fn new<'a>(keys: impl Iterator<Item = &'a [u8; 32]>, seals: bool) -> Self {
        Self { keys: keys.copied().map(Zeroizing::new).collect(), seals }
    }

    pub(super) fn cover(&self, pem: &str) -> Zeroizing<Vec<u8>> {
        let Some(key) = self.keys.first().filter(|_| self.seals) else {
            return Zeroizing::new(pem.as_bytes().to_vec());
        };
        let text = BASE64.encode(lock::seal(key, PLACE, pem.as_bytes()));
        let mut lines = format!("{BEGIN}\n").into_bytes();
        for line in text.as_bytes().chunks(LINE) {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
        lines.extend_from_slice(END.as_bytes());
        lines.push(b'\n');
        Zeroizing::new(lines)
    }

    /// The key as PEM; `None`: it is sealed with something else.
    pub(super) fn uncover(&self, file: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        let Some(digits) = sealed_digits(&file) else { return Some(file) };
        let sealed = BASE64.decode(digits).ok()?;
        self.keys.iter().find_map(|key| lock::open(key, PLACE, &sealed))
    }
}

/// `None` for a file that is not sealed.
fn sealed_digits(file: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(file).ok()?.trim();
    let digits = text.strip_prefix(BEGIN)?.strip_suffix(END).unwrap_or_default();
    Some(digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect())
}

impl fmt::Debug for KeyCover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCover({} keys, seals: {})", self.keys.len(), self.seals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIG2\n-----END PRIVATE KEY-----\n";

    fn opened(cover: &KeyCover, file: &[u8]) -> Option<String> {
        let pem = cover.uncover(Zeroizing::new(file.to_vec()))?;
        Some(String::from_utf8(pem.to_vec()).unwrap())
    }

    #[test]
    fn a_sealed_key_is_opened_by_whichever_key_sealed_it() {
        let (one, two) = ([1; 32], [2; 32]);
        let cover = |keys: &[[u8; 32]], seals| KeyCover::new(keys.iter(), seals);
        let sealed = cover(&[one], true).cover(PEM);
        assert!(!sealed.windows(4).any(|w| w == b"MIG2"));
        for (keys, seals) in [(vec![one], true), (vec![two, one], true), (vec![two, one], false)] {
            assert_eq!(opened(&cover(&keys, seals), &sealed).as_deref(), Some(PEM));
        }
        assert_eq!(opened(&cover(&[two], true), &sealed), None);
        assert_eq!(opened(&KeyCover::none(), &sealed), None);
    }

    #[test]
    fn a_key_that_is_not_sealed_is_read_with_or_without_keys() {
        let plain = KeyCover::new([[1; 32]].iter(), false).cover(PEM);
        assert_eq!(plain.as_slice(), PEM.as_bytes());
        for cover in [KeyCover::none(), KeyCover::new([[1; 32]].iter(), true)] {
            assert_eq!(opened(&cover, PEM.as_bytes()).as_deref(), Some(PEM));
        }
    }
}
