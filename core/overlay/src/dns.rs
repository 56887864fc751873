//! What names mean inside a sandbox. Knows: names and addresses of one network each, and how a sandbox's networks
//! answer together. Must not know: packets, sockets, or other networks.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swarm_model::{DnsName, Endpoint, EndpointId, NodeId};

/// How long an answer may be kept, in seconds.
pub const TTL_S: u32 = 5;

/// Longest name in its textual form without the last dot (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 253;

/// The names and addresses of one network. Names are kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    network: String,
    endpoints: BTreeMap<EndpointId, Entry>,
    names: BTreeMap<String, Vec<Named>>,
    addresses: BTreeMap<IpAddr, Vec<EndpointId>>,
}

/// What has to be taken out again when an endpoint goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The endpoint's own name first, then its aliases.
    names: Vec<String>,
    ips: Vec<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    ip: IpAddr,
    endpoint: EndpointId,
    node: NodeId,
}

impl Zone {
    pub fn new(network: &DnsName) -> Self {
        Self {
            network: network.key(),
            endpoints: BTreeMap::new(),
            names: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// The network's name in lower case.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Takes an endpoint in, or its new form in place of the old one.
    pub fn put(&mut self, endpoint: &Endpoint) {
        self.drop_endpoint(endpoint.id);
        let mut names = Vec::with_capacity(1 + endpoint.aliases.len());
        for name in core::iter::once(&endpoint.name).chain(&endpoint.aliases) {
            let key = name.key();
            if !names.contains(&key) {
                names.push(key);
            }
        }
        let ips: Vec<IpAddr> = endpoint.ips().collect();
        for ip in &ips {
            insert_sorted(self.addresses.entry(*ip).or_default(), endpoint.id);
            for name in &names {
                let at = Named { ip: *ip, endpoint: endpoint.id, node: endpoint.node };
                insert_sorted(self.names.entry(name.clone()).or_default(), at);
            }
        }
        self.endpoints.insert(endpoint.id, Entry { names, ips });
    }

    /// Takes an endpoint out; one that is not there is fine.
    pub fn drop_endpoint(&mut self, id: EndpointId) {
        let Some(entry) = self.endpoints.remove(&id) else { return };
        for name in &entry.names {
            prune(&mut self.names, name.as_str(), |named| named.endpoint == id);
        }
        for ip in &entry.ips {
            prune(&mut self.addresses, ip, |holder| *holder == id);
        }
    }

    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// The network's part of an answer; `name` in lower case. Returns whether the name is known here.
    fn lookup(&self, name: &str, found: &mut Vec<Named>, wanted: impl Fn(&IpAddr) -> bool) -> bool {
        let own = match name.split_once('.') {
            None => name,
            Some((own, network)) if network == self.network => own,
            Some(_) => return false,
        };
        let Some(named) = self.names.get(own) else { return false };
        for at in named {
            if wanted(&at.ip) && !found.iter().any(|other| other.ip == at.ip) {
                found.push(*at);
            }
        }
        true
    }

    fn reverse(&self, ip: IpAddr, names: &mut Vec<String>) {
        for id in self.addresses.get(&ip).into_iter().flatten() {
            if let Some(first) = self.endpoints.get(id).and_then(|entry| entry.names.first()) {
                names.push(format!("{first}.{}", self.network));
            }
        }
    }
}

/// Keeps the order of answers independent of the order in which endpoints came.
fn insert_sorted<T: Ord>(list: &mut Vec<T>, value: T) {
    list.insert(list.partition_point(|other| *other < value), value);
}

/// Takes out of one list of a table; a list that becomes empty goes too.
fn prune<K, Q, V>(table: &mut BTreeMap<K, Vec<V>>, key: &Q, gone: impl Fn(&V) -> bool)
where
    K: core::borrow::Borrow<Q> + Ord,
    Q: Ord + ?Sized,
{
    let Some(list) = table.get_mut(key) else { return };
    list.retain(|value| !gone(value));
    if list.is_empty() {
        table.remove(key);
    }
}

/// What is asked about a name. Everything that is neither is `Other`: known names have none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    A,
    Aaaa,
    Ptr,
    /// Every type (RFC 8482 allows to answer with part of it).
    Any,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Addresses(Vec<IpAddr>),
    /// Names without the last dot.
    Names(Vec<String>),
    /// The name is known and has nothing of that kind: NOERROR without records.
    Empty,
    /// Not ours: to be asked elsewhere, where that is allowed.
    Unknown,
}

/// In which order several addresses are told.
#[derive(Clone, Copy)]
pub struct Order<'o> {
    /// One more each time gives each address its turn to be the first.
    pub turn: u64,
    /// Nodes whose addresses come after all others. They are told all the same: who is doubted may be well.
    pub last: &'o dyn Fn(&NodeId) -> bool,
}

/// Asks the networks of one sandbox. `name` is lower case and without the last dot.
pub fn answer<'a>(
    zones: impl IntoIterator<Item = &'a Zone>,
    name: &str,
    kind: Kind,
    order: Order<'_>,
) -> Answer {
    if let Some(ip) = reverse_name(name) {
        return answer_reverse(zones, ip, kind);
    }
    let wanted = |ip: &IpAddr| match kind {
        Kind::A => ip.is_ipv4(),
        Kind::Aaaa => ip.is_ipv6(),
        Kind::Any => true,
        Kind::Ptr | Kind::Other => false,
    };
    let (mut found, mut known) = (Vec::new(), false);
    for zone in zones {
        known |= zone.lookup(name, &mut found, wanted);
    }
    match (known, found.len()) {
        (false, _) => Answer::Unknown,
        (true, 0) => Answer::Empty,
        (true, many) => {
            found.rotate_left((order.turn % many as u64) as usize);
            found.sort_by_key(|at| (order.last)(&at.node));
            Answer::Addresses(found.into_iter().map(|at| at.ip).collect())
        }
    }
}

fn answer_reverse<'a>(zones: impl IntoIterator<Item = &'a Zone>, ip: IpAddr, kind: Kind) -> Answer {
    let mut names = Vec::new();
    zones.into_iter().for_each(|zone| zone.reverse(ip, &mut names));
    match kind {
        _ if names.is_empty() => Answer::Unknown,
        Kind::Ptr | Kind::Any => Answer::Names(names),
        Kind::A | Kind::Aaaa | Kind::Other => Answer::Empty,
    }
}

/// Reads `5.1.0.10.in-addr.arpa` (RFC 1035 §3.5) and 32 nibbles under `ip6.arpa` (RFC 3596 §2.5); lower case.
pub fn reverse_name(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let mut bytes = [0u8; 4];
        let mut parts = octets.split('.');
        for byte in bytes.iter_mut().rev() {
            let part = parts.next()?;
            let plain = !part.is_empty() && (part == "0" || !part.starts_with('0'));
            *byte = part.parse().ok().filter(|_| plain && !part.starts_with('+'))?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(bytes).into());
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let (mut value, mut count) = (0u128, 0u32);
    for part in nibbles.split('.') {
        let digit = part.chars().next().filter(|_| part.len() == 1)?.to_digit(16)?;
        if count == 32 {
            return None;
        }
        value |= u128::from(digit) << (4 * count);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from(value).into())
}

/// The name under which an address is looked up.
pub fn name_of_address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let nibbles = (0..32).map(|i| format!("{:x}.", (bits >> (4 * i)) & 0xf));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}

/// A name as it is looked up: lower case, without the last dot. The root is the empty name.
pub fn lookup_form(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned().to_ascii_lowercase()
}
