//! The cluster's gossip keys, and from them one key for each sender and each of its boots (HKDF-SHA256): two nodes never
//! share a key, and a restarted one begins another, so counting frames makes every nonce one of its own.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use std::collections::BTreeMap;
use std::fmt;
use swarm_gossip::{Aead, Header, Number};
use zeroize::Zeroizing;

/// The newest, the one before it, and the one a node that heard of nothing since still uses.
const MOST_KEYS: usize = 3;
/// Derived keys that are kept (600 bytes each); the rest is derived again when it is needed.
const MOST_DERIVED: usize = 1024;

/// One key of the ring. Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct GossipKey {
    pub generation: u64,
    pub secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for GossipKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GossipKey").field("generation", &self.generation).finish_non_exhaustive()
    }
}

type Use = (u8, Number, u32);

/// Seals with the newest, opens with each.
#[derive(Default)]
pub struct Ring {
    keys: Vec<(u8, hkdf::Prk)>,
    derived: BTreeMap<Use, LessSafeKey>,
}

impl Ring {
    /// Newest first; those after the third are left out.
    pub fn new(mut keys: Vec<GossipKey>) -> Self {
        keys.sort_by_key(|key| std::cmp::Reverse(key.generation));
        keys.truncate(MOST_KEYS);
        let root = |key: &GossipKey| {
            let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"swarmd gossip");
            (key.generation.to_be_bytes()[7], salt.extract(key.secret.as_slice()))
        };
        Self { keys: keys.iter().map(root).collect(), derived: BTreeMap::new() }
    }

    fn derive(&self, header: &Header) -> Option<LessSafeKey> {
        let (_, root) = self.keys.iter().find(|(id, _)| *id == header.key)?;
        let info = [&b"frame"[..], &header.sender.0, &header.boot.to_be_bytes()];
        let okm = root.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }

    fn keep(&mut self, header: &Header, key: LessSafeKey) {
        if self.derived.len() >= MOST_DERIVED {
            self.derived.clear();
        }
        self.derived.insert((header.key, header.sender, header.boot), key);
    }
}

fn nonce(header: &Header) -> Nonce {
    Nonce::assume_unique_for_key(header.nonce())
}

impl Aead for Ring {
    fn newest(&self) -> Option<u8> {
        self.keys.first().map(|(id, _)| *id)
    }

    fn knows(&self, key: u8) -> bool {
        self.keys.iter().any(|(id, _)| *id == key)
    }

    fn seal(&mut self, header: &Header, bound: &[u8], message: &mut Vec<u8>) -> Option<()> {
        let at = (header.key, header.sender, header.boot);
        if !self.derived.contains_key(&at) {
            let key = self.derive(header)?;
            self.keep(header, key);
        }
        let key = self.derived.get(&at)?;
        key.seal_in_place_append_tag(nonce(header), Aad::from(bound), message).ok()
    }

    /// Only a key that opened something is kept: who makes up boots cannot fill the table.
    fn open(&mut self, header: &Header, bound: &[u8], sealed: &mut Vec<u8>) -> Option<()> {
        let at = (header.key, header.sender, header.boot);
        let open = |key: &LessSafeKey, sealed: &mut Vec<u8>| {
            let length = key.open_in_place(nonce(header), Aad::from(bound), sealed).ok()?.len();
            sealed.truncate(length);
            Some(())
        };
        if let Some(key) = self.derived.get(&at) {
            return open(key, sealed);
        }
        let key = self.derive(header)?;
        open(&key, sealed)?;
        self.keep(header, key);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use swarm_gossip::{Dropped, Inbox, Outbox};

    const A: Number = Number([1; 16]);
    const B: Number = Number([2; 16]);
    const C: Number = Number([3; 16]);

    fn key(generation: u64) -> GossipKey {
        GossipKey { generation, secret: Zeroizing::new([generation as u8; 32]) }
    }

    fn ring(generations: &[u64]) -> Ring {
        Ring::new(generations.iter().map(|g| key(*g)).collect())
    }

    fn inbox(me: Number) -> Inbox {
        let mut inbox = Inbox::new(me);
        inbox.admit([A, B]);
        inbox
    }

    #[test]
    fn three_keys_are_accepted_and_the_newest_is_used() {
        let mut at_b = (inbox(B), ring(&[3, 1, 2]));
        for (generation, accepted) in [(1, true), (2, true), (3, true), (4, false)] {
            let frame =
                Outbox::new(A, generation).seal(&mut ring(&[u64::from(generation)]), B, b"x").unwrap();
            assert_eq!(at_b.0.open(&mut at_b.1, &frame).is_ok(), accepted, "{generation}");
        }
        assert_eq!(at_b.1.newest(), Some(3));
        let old = Outbox::new(A, 9).seal(&mut ring(&[1]), B, b"x").unwrap();
        assert_eq!(at_b.0.open(&mut ring(&[2, 3, 4]), &old), Err(Dropped::UnknownKey));
        assert!(Outbox::new(A, 1).seal(&mut Ring::default(), B, b"x").is_none(), "nothing leaves in clear");
    }

    #[test]
    fn a_frame_is_for_one_receiver_and_for_one_time() {
        let frame = Outbox::new(A, 5).seal(&mut ring(&[1]), B, b"hello").unwrap();
        let mut at_b = inbox(B);
        assert_eq!(at_b.open(&mut ring(&[1]), &frame).unwrap().message, b"hello");
        assert_eq!(at_b.open(&mut ring(&[1]), &frame), Err(Dropped::Replayed));
        assert_eq!(inbox(C).open(&mut ring(&[1]), &frame), Err(Dropped::Forged), "A wrote to B");
        let mut elsewhere = Inbox::new(B);
        assert_eq!(elsewhere.open(&mut ring(&[1]), &frame), Err(Dropped::Stranger));
        elsewhere.admit([A]);
        assert_eq!(
            elsewhere
                .open(&mut Ring::new(vec![GossipKey { secret: Zeroizing::new([7; 32]), ..key(1) }]), &frame),
            Err(Dropped::Forged)
        );
    }

    #[test]
    fn a_later_boot_ends_the_earlier_one() {
        let mut ring = ring(&[1]);
        let (mut first, mut second) = (Outbox::new(A, 5), Outbox::new(A, 6));
        let before = first.seal(&mut ring, B, b"before").unwrap();
        let mut at_b = inbox(B);
        at_b.open(&mut ring, &second.seal(&mut ring_of_one(), B, b"after").unwrap()).unwrap();
        assert_eq!(at_b.open(&mut ring, &before), Err(Dropped::Replayed));
    }

    /// Found by a breaker: with a boot that had not been yet, whoever held a key shut a member out for good.
    #[test]
    fn a_boot_that_has_not_been_is_not_believed_and_the_next_key_is_free_of_what_was_forged() {
        let mut at_b = inbox(B);
        at_b.set_latest(1_000);
        let sealed = |boot, generation| Outbox::new(A, boot).seal(&mut ring(&[generation]), B, b"x").unwrap();
        assert_eq!(at_b.open(&mut ring(&[1]), &sealed(1_001, 1)), Err(Dropped::Ahead));
        at_b.open(&mut ring(&[1]), &sealed(1_000, 1)).unwrap();
        assert_eq!(at_b.open(&mut ring(&[1]), &sealed(5, 1)), Err(Dropped::Replayed));
        at_b.open(&mut ring(&[1, 2]), &sealed(5, 2)).unwrap();
    }

    fn ring_of_one() -> Ring {
        ring(&[1])
    }

    /// The same message by two senders, by one in two boots and by one twice: nothing of the sealed bytes is the same.
    #[test]
    fn no_two_frames_share_key_and_nonce() {
        let mut ring = ring(&[1]);
        let mut twice = Outbox::new(A, 5);
        let frames = [
            twice.seal(&mut ring, B, &[0; 64]).unwrap(),
            twice.seal(&mut ring, B, &[0; 64]).unwrap(),
            Outbox::new(A, 6).seal(&mut ring, B, &[0; 64]).unwrap(),
            Outbox::new(C, 5).seal(&mut ring, B, &[0; 64]).unwrap(),
        ];
        for (n, frame) in frames.iter().enumerate() {
            let others = frames.iter().skip(n + 1);
            assert!(others.into_iter().all(|other| other[30..62] != frame[30..62]), "{n}");
        }
    }

    #[test]
    fn keys_are_not_printed() {
        assert!(!format!("{:?}", key(77)).contains("77, 77"), "{:?}", key(77));
    }

    proptest! {
        #[test]
        fn one_bit_changed_is_refused(message: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let mut frame = Outbox::new(A, 5).seal(&mut ring(&[1, 2]), B, &message).unwrap();
            let at = at.index(frame.len());
            frame[at] ^= 1_u8 << bit;
            prop_assert!(inbox(B).open(&mut ring(&[1, 2]), &frame).is_err());
        }
    }
}
