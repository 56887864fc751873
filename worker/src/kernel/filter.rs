//! Elements and rules of our nftables tables, as netlink messages. Knows: how a set key is laid out, what a
//! dumped rule shows. Must not know: sockets, or which elements should be there.

use super::socket::Answer;
use super::uapi::*;
use super::wire::{self, Messages};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use swarm_model::MacAddr;
use swarm_overlay::esp::{GUARD_TABLE, Guard};
use swarm_overlay::rules::{self, SET_V4, SET_V6};
use swarm_overlay::{Allowed, PortName, Rules, TABLE};

/// `nfgenmsg`: family, version 0, resource in network order.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

const IFNAME: usize = 16;
/// The MAC and its padding to a whole register.
const MAC: usize = 8;

/// The key `ifname . ether_addr . address`: each part padded to four bytes.
fn key(allowed: &Allowed) -> Vec<u8> {
    let mut key = vec![0; IFNAME + MAC];
    key.iter_mut().zip(allowed.port.as_str().bytes()).for_each(|(to, from)| *to = from);
    key.iter_mut().skip(IFNAME).zip(allowed.mac.0).for_each(|(to, from)| *to = from);
    match allowed.ip {
        IpAddr::V4(ip) => key.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => key.extend_from_slice(&ip.octets()),
    }
    key
}

fn read_key(key: &[u8]) -> Option<Allowed> {
    let port = PortName::from_kernel(wire::text(key.get(..IFNAME)?))?;
    let mac: [u8; 6] = key.get(IFNAME..IFNAME + 6)?.try_into().ok()?;
    let address = key.get(IFNAME + MAC..)?;
    let ip = match address.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        _ => return None,
    };
    Some(Allowed { port, mac: MacAddr(mac), ip })
}

/// One transaction that adds (`NFT_NEW_SETELEM`) or deletes (`NFT_DEL_SETELEM`) elements of the port check.
/// Asks for an answer to the message whose index comes with it.
pub fn elements(kind: u16, all: &[Allowed]) -> (Messages, usize) {
    let mut messages = Messages::default();
    messages.begin(NFNL_BATCH_BEGIN, 0, &header(0, NFNL_SUBSYSTEM_NFTABLES));
    let create = if kind == NFT_NEW_SETELEM { CREATE } else { 0 };
    for (index, allowed) in all.iter().enumerate() {
        let ack = if index + 1 == all.len() { ACK } else { 0 };
        let set = if allowed.ip.is_ipv4() { SET_V4 } else { SET_V6 };
        messages.begin(NFT | kind, create | ack, &header(NFT_FAMILY_BRIDGE, 0));
        messages.attr_text(NFTA_ELEMS_TABLE, TABLE).attr_text(NFTA_ELEMS_SET, set);
        let list = messages.open(NFTA_ELEMS_LIST);
        let element = messages.open(NFTA_LIST_ELEM);
        let value = messages.open(NFTA_ELEM_KEY);
        messages.attr(NFTA_DATA_VALUE, &key(allowed));
        messages.close(value);
        messages.close(element);
        messages.close(list);
    }
    messages.begin(NFNL_BATCH_END, 0, &header(0, NFNL_SUBSYSTEM_NFTABLES));
    (messages, all.len())
}

/// Asks for the elements of one set.
pub fn get_elements(messages: &mut Messages, set: &str) {
    messages.begin(NFT | NFT_GET_SETELEM, 0, &header(NFT_FAMILY_BRIDGE, 0));
    messages.attr_text(NFTA_ELEMS_TABLE, TABLE).attr_text(NFTA_ELEMS_SET, set);
}

/// The elements in an answer to [`get_elements`].
pub fn read_elements(answers: &[Answer]) -> BTreeSet<Allowed> {
    let lists = answers.iter().filter_map(|a| wire::attr(&a.body, 4, NFTA_ELEMS_LIST));
    let elements = lists
        .flat_map(|list| wire::attrs(list, 0))
        .filter_map(|(_, element)| wire::attr(element, 0, NFTA_ELEM_KEY));
    elements.filter_map(|key| wire::attr(key, 0, NFTA_DATA_VALUE)).filter_map(read_key).collect()
}

/// The element a notification is about.
pub fn read_event_element(body: &[u8]) -> Option<Allowed> {
    let (_, element) = wire::attrs(wire::attr(body, 4, NFTA_ELEMS_LIST)?, 0).next()?;
    read_key(wire::attr(wire::attr(element, 0, NFTA_ELEM_KEY)?, 0, NFTA_DATA_VALUE)?)
}

/// Asks for the rules of a table of ours.
pub fn get_rules(messages: &mut Messages, family: u8, table: &str) {
    messages.begin(NFT | NFT_GET_RULE, 0, &header(family, 0)).attr_text(NFTA_RULE_TABLE, table);
}

/// What the rules of our tables (bridge family first, chains in their order) say they are: the digest, if
/// every rule of that version is there, once, in order, and nothing else.
pub fn read_rules(answers: &[Answer], wanted: Option<Rules>, expected: rules::Expected) -> Option<Rules> {
    is_whole(answers, TABLE, expected).map(|whole| wanted.filter(|_| whole).unwrap_or(Rules::wrong()))
}

/// What the guard's rules say it is: `wanted`, if every one is there.
pub fn read_guard(answers: &[Answer], wanted: Option<&Arc<Guard>>) -> Option<Arc<Guard>> {
    let expected = wanted.map_or(Guard::wrong().expected(), |guard| guard.expected());
    let whole = is_whole(answers, GUARD_TABLE, expected)?;
    Some(wanted.filter(|_| whole).cloned().unwrap_or_else(|| Arc::new(Guard::wrong())))
}

/// Whether each expected rule is there, once, in order, and nothing else. `None` without any rule.
fn is_whole(answers: &[Answer], table: &str, expected: rules::Expected) -> Option<bool> {
    let ours = |a: &&Answer| wire::attr(&a.body, 4, NFTA_RULE_TABLE).map(wire::text) == Some(table);
    let rules: Vec<&Answer> = answers.iter().filter(ours).collect();
    let is_right = |(number, rule): (usize, &&Answer)| {
        let comment = wire::attr(&rule.body, 4, NFTA_RULE_USERDATA).and_then(comment);
        comment == Some(rules::comment(expected.digest, number).as_str())
    };
    (!rules.is_empty()).then(|| rules.len() == expected.rules && rules.iter().enumerate().all(is_right))
}

/// nft's userdata is a list of type u8, length u8, value; type 0 is the comment.
fn comment(mut userdata: &[u8]) -> Option<&str> {
    loop {
        let (kind, length) = (*userdata.first()?, *userdata.get(1)? as usize);
        let value = userdata.get(2..2 + length)?;
        if kind == 0 {
            return Some(wire::text(value));
        }
        userdata = userdata.get(2 + length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(port: &str, ip: &str) -> Allowed {
        let port = PortName::from_kernel(port).expect("a name");
        Allowed { port, mac: MacAddr([2, 0x42, 10, 0, 0, 5]), ip: ip.parse().expect("an address") }
    }

    /// As `nft --debug=netlink` shows what nft itself makes of
    /// `add element bridge swarmd v4 { "abc" . 02:42:0a:00:00:05 . 10.0.0.5 }`.
    #[test]
    fn keys_are_laid_out_as_nft_does() {
        let expected = b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x42\x0a\0\0\x05\0\0\x0a\0\0\x05";
        assert_eq!(key(&allowed("abc", "10.0.0.5")), expected);
        assert_eq!(key(&allowed("abc", "fd00::1")).len(), 40);
        for one in [allowed("abc", "10.0.0.5"), allowed("v123456789abcde", "fd00::1")] {
            assert_eq!(read_key(&key(&one)), Some(one));
        }
    }

    #[test]
    fn a_batch_is_framed_and_asks_for_one_answer() {
        let all = [allowed("a", "10.0.0.5"), allowed("b", "fd00::1")];
        let (messages, answers_to) = elements(NFT_NEW_SETELEM, &all);
        let [piece] = <[_; 1]>::try_from(messages.pieces(1, usize::MAX, REQUEST, 0)).ok().expect("one piece");
        let received: Vec<_> = wire::split(&piece.bytes).collect();
        let kinds: Vec<u16> = received.iter().map(|r| r.kind).collect();
        assert_eq!(kinds, [0x10, 0x0a0c, 0x0a0c, 0x11]);
        let acks: Vec<bool> = received.iter().map(|r| r.flags & ACK != 0).collect();
        assert_eq!(acks, [false, false, true, false]);
        assert_eq!(answers_to, 2);
        let bodies = received.iter().map(|r| Answer { kind: r.kind, body: r.body.to_vec() });
        assert_eq!(read_elements(&bodies.collect::<Vec<_>>()), all.into_iter().collect());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>) {
            let _ = (comment(&body), read_key(&body), read_event_element(&body));
            let answers = [Answer { kind: 0, body }];
            let _ = read_elements(&answers);
        }
    }
}
