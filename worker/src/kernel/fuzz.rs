//! Any bytes as what one read of a netlink socket brought. Must not know sockets.

use super::events::understand;
use super::socket::failure;
use super::{read, wire, xfrm};

/// Nothing is asserted but that it comes back: the kernel's word is taken as it is.
pub fn netlink_reply(bytes: &[u8]) {
    for received in wire::split(bytes) {
        let _ = failure(&received, 1);
        let _ = understand(received.kind, received.body);
        let _ = (read::link(received.body), read::address(received.body), read::neighbour(received.body));
        let _ = (xfrm::read_sa(received.body), xfrm::read_policy(received.body, 4789));
        let _ = (read::route(received.body), read::any_route(received.body));
    }
}
