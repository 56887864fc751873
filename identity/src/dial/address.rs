//! Where a manager is reached, as people write it. Must not know whether anybody is there.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

const DEFAULT_PORT: u16 = 2377;
/// A name has at most 253 characters (RFC 1035 §2.3.4); a scope or brackets may be around an address.
const MOST_CHARACTERS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    Name(String),
}

/// A host and a TCP port. Without a port in the text: 2377.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("no address was given: expected HOST:PORT")]
    Empty,
    #[error("address {given:?} has no usable port: expected HOST:PORT with a port from 1 to 65535")]
    Port { given: String },
    #[error("address {given:?} is ambiguous: write an IPv6 address in brackets, as in [2001:db8::1]:2377")]
    Brackets { given: String },
    #[error("address {given:?} has no IPv6 address in its brackets: expected as in [2001:db8::1]:2377")]
    Ipv6 { given: String },
    #[error("address {given:?} names no host: expected an IP address or a host name")]
    Host { given: String },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(given: &str) -> Result<Self, AddressError> {
        let text = given.trim();
        let given = || text.chars().take(80).collect::<String>();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) =
                rest.split_once(']').ok_or_else(|| AddressError::Ipv6 { given: given() })?;
            let ip: Ipv6Addr = inside.parse().map_err(|_| AddressError::Ipv6 { given: given() })?;
            let port = port(after.strip_prefix(':'), after.is_empty(), &given)?;
            return Ok(Self { host: Host::Ip(ip.into()), port });
        }
        let (host, number) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => return Err(AddressError::Brackets { given: given() }),
            Some((host, number)) => (host, Some(number)),
            None => (text, None),
        };
        let port = port(number, number.is_none(), &given)?;
        let host = host_from(host).ok_or_else(|| AddressError::Host { given: given() })?;
        Ok(Self { host, port })
    }
}

fn port(text: Option<&str>, absent: bool, given: &dyn Fn() -> String) -> Result<u16, AddressError> {
    match text {
        None if absent => Ok(DEFAULT_PORT),
        Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or_else(|| AddressError::Port { given: given() })
        }
        _ => Err(AddressError::Port { given: given() }),
    }
}

fn host_from(text: &str) -> Option<Host> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(Host::Ip(ip));
    }
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    // All digits and dots, but no address: a slip, which a resolver might take for some other address.
    let slip = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let fine = text.len() <= MOST_CHARACTERS && !slip && text.chars().all(of_a_name);
    fine.then(|| Host::Name(text.to_owned()))
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self { host: Host::Ip(addr.ip()), port: addr.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => fmt::Display::fmt(&SocketAddr::new(*ip, self.port), f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}
