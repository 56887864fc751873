//! Any bytes as a frame off the wire, and as the message of one that a member sealed. Must not know sockets.

use super::{GossipKey, Ring};
use swarm_gossip::frame::{HEADER_BYTES, Header};
use swarm_gossip::{Dropped, Inbox, Message, Number, Outbox};
use zeroize::Zeroizing;

const MEMBER: Number = Number([1; 16]);
const ME: Number = Number([2; 16]);

fn ring_of(secret: u8) -> Ring {
    let key = |generation| GossipKey { generation, secret: Zeroizing::new([secret ^ generation as u8; 32]) };
    Ring::new((1..=3).map(key).collect())
}

fn ring() -> Ring {
    ring_of(0)
}

/// Nothing is ever sealed with it here: a fuzzer that watches comparisons learns whole frames from `sealed`.
fn untouched() -> Ring {
    ring_of(0x40)
}

/// # Panics
/// Bytes that nobody sealed are opened, a sealed message is another one when opened or is taken twice, or a message that is
/// read is another one when written.
pub fn gossip_frame(bytes: &[u8]) {
    let mut inbox = Inbox::new(ME);
    inbox.admit([MEMBER]);
    assert!(inbox.open(&mut untouched(), bytes).is_err(), "nobody sealed this");
    if let Some((header, _)) = Header::decode(bytes) {
        assert!(bytes.starts_with(&header.encode()), "another header");
    }
    // The beginning as whatever the wire did to a real frame, the whole as what a lying member says.
    sealed(&mut inbox, bytes);
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(message.encode(), bytes, "another message");
    }
}

fn sealed(inbox: &mut Inbox, bytes: &[u8]) {
    let (mut ring, mut outbox) = (ring(), Outbox::new(MEMBER, 1));
    let message = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    let Some(frame) = outbox.seal(&mut ring, ME, message) else { return };
    let mut damaged = frame.clone();
    for (byte, change) in damaged.iter_mut().zip(bytes.iter().take(HEADER_BYTES)) {
        *byte ^= change;
    }
    if damaged != frame {
        assert!(inbox.open(&mut ring, &damaged).is_err(), "a damaged frame");
    }
    let opened = inbox.open(&mut ring, &frame);
    assert!(
        opened.is_ok_and(|opened| opened.sender == MEMBER && opened.message == message),
        "not what was sealed"
    );
    assert_eq!(inbox.open(&mut ring, &frame), Err(Dropped::Replayed), "twice");
}
