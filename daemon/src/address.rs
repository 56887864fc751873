//! Which addresses this host shows to the others: plain functions over what was typed and what the host has.
//! Knows the forms `IP`, `INTERFACE`, each with or without `:PORT`; must not ask the kernel itself.

mod moved;

pub use moved::{Wishes, moved};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use thiserror::Error;
use tonic::Status;

/// TCP port managers listen on.
pub const DEFAULT_PORT: u16 = 2377;

/// One address of one interface of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddress {
    pub interface: String,
    pub ip: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("could not choose an IP address to advertise: this host has several ({}); specify one with --advertise-addr", list(.0))]
    Several(Vec<HostAddress>),
    #[error("could not find an IP address to advertise on this host; specify one with --advertise-addr")]
    NoneFound,
    #[error("{flag} {given:?}: must be a non-zero IP address, one that others can reach")]
    Zero { flag: &'static str, given: String },
    #[error(
        "{flag} {given:?} is no address others can reach: multicast and broadcast addresses are not hosts"
    )]
    NotUnicast { flag: &'static str, given: String },
    #[error(
        "{flag} {given:?} is neither an IP address nor an interface of this host; expected IP or INTERFACE{port}"
    )]
    NotAnAddress { flag: &'static str, given: String, port: &'static str },
    #[error("{flag} {given:?} is not an address of this host; it has {}", list(.has))]
    NotOurs { flag: &'static str, given: String, has: Vec<HostAddress> },
    #[error("{advertised} is no address of this host, so VXLAN cannot leave from it; choose one of its own with --data-path-addr ({})", list(.has))]
    DataPathUnclear { advertised: IpAddr, has: Vec<HostAddress> },
    #[error("interface {interface} has no usable address ({flag})")]
    InterfaceWithout { flag: &'static str, interface: String },
    #[error("interface {interface} has several addresses ({}); name one of them with {flag}", list(.has))]
    InterfaceSeveral { flag: &'static str, interface: String, has: Vec<HostAddress> },
    #[error("{flag} {given:?}: {port:?} is not a port, expected 1 to 65535")]
    BadPort { flag: &'static str, given: String, port: String },
    #[error(
        "{flag} {given:?} is this host's loopback: others would reach themselves there, and not this host; it has {}", list(.has)
    )]
    Loopback { flag: &'static str, given: String, has: Vec<HostAddress> },
    #[error("{flag} takes no port: {given:?}")]
    PortNotTaken { flag: &'static str, given: String },
}

/// What was typed wrongly, or that this host leaves a choice.
impl From<AddressError> for Status {
    fn from(error: AddressError) -> Self {
        let said = error.to_string();
        match error {
            AddressError::Several(_) | AddressError::NoneFound | AddressError::DataPathUnclear { .. } => {
                Self::failed_precondition(said)
            }
            _ => Self::invalid_argument(said),
        }
    }
}

fn list(addresses: &[HostAddress]) -> String {
    let each: Vec<_> = addresses.iter().map(|a| format!("{} on {}", a.ip, a.interface)).collect();
    each.join(", ")
}

/// What the three flags together mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// How others reach this node's manager.
    pub advertise: SocketAddr,
    pub listen: SocketAddr,
    /// The outer source address of VXLAN.
    pub data_path: IpAddr,
}

impl Chosen {
    /// What is only advertised may be in front of this host (NAT, a forwarded port), or a slip that nobody notices until
    /// others look for this node.
    pub fn warning(&self, host: &[HostAddress]) -> Option<String> {
        let (ip, port, heard) = (self.advertise.ip(), self.advertise.port(), self.listen.port());
        if is_ours(ip, host) {
            return (port != heard).then(|| {
                format!(
                    "{} is advertised, and swarmd listens on port {heard}: others reach this node only if something passes \
                     the one on to the other; without --listen-addr it listens on the port that is advertised",
                    self.advertise
                )
            });
        }
        Some(format!(
            "{ip} is advertised, and is no address of this host (it has {}): others reach this node only if \
                 something in front of it passes their connections on",
            list(host)
        ))
    }
}

/// Whether others that are found at `peers` could reach this one where it was typed to be, and its VXLAN. A cluster on one
/// host alone may live on loopback.
pub fn reachable_for(
    peers: &[IpAddr],
    typed: Typed<'_>,
    chosen: &Chosen,
    host: &[HostAddress],
) -> Result<(), AddressError> {
    let elsewhere = peers.iter().any(|ip| !ip.is_loopback());
    for (flag, given, ip) in [
        ("--advertise-addr", typed.advertise, chosen.advertise.ip()),
        ("--data-path-addr", typed.data_path, chosen.data_path),
    ] {
        if elsewhere && ip.is_loopback() {
            let given = if given.is_empty() { ip.to_string() } else { given.to_owned() };
            return Err(AddressError::Loopback { flag, given, has: host.to_vec() });
        }
    }
    Ok(())
}

/// An address that nobody dials before it is taken, as a worker's, must be this host's: a slip would only be seen by its
/// traffic, which stops.
pub fn must_be_ours(given: &str, ip: IpAddr, host: &[HostAddress]) -> Result<(), AddressError> {
    ours("--advertise-addr", given, ip, host).map(drop)
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<'a> {
    pub advertise: &'a str,
    pub listen: &'a str,
    pub data_path: &'a str,
}

impl Typed<'_> {
    /// For the day on which the same words mean another address.
    pub fn kept(&self) -> Wishes {
        Wishes {
            advertise: self.advertise.to_owned(),
            listen: self.listen.to_owned(),
            data_path: self.data_path.to_owned(),
        }
    }
}

/// # Errors
/// See [`AddressError`]: each names the flag and what was expected.
pub fn choose(typed: Typed<'_>, host: &[HostAddress]) -> Result<Chosen, AddressError> {
    let named = match typed.advertise {
        "" => None,
        given => Some(resolve("--advertise-addr", given, host)?),
    };
    let listen = match (typed.listen, named) {
        // A port of this host's own address would be nobody's if nothing listened there. In front of it (NAT) it may be.
        ("", Some((ip, Some(port)))) if is_ours(ip, host) => SocketAddr::new(listen("", host)?.ip(), port),
        (given, _) => listen(given, host)?,
    };
    let advertise = match named {
        None if !listen.ip().is_unspecified() => listen,
        None => SocketAddr::new(only(host)?, listen.port()),
        Some((ip, port)) => SocketAddr::new(ip, port.unwrap_or(listen.port())),
    };
    let data_path = match typed.data_path {
        "" => own_or_only(advertise.ip(), host)?,
        given => match resolve("--data-path-addr", given, host)? {
            (_, Some(_)) => {
                return Err(AddressError::PortNotTaken { flag: "--data-path-addr", given: given.into() });
            }
            (ip, None) => ours("--data-path-addr", given, ip, host)?,
        },
    };
    Ok(Chosen { advertise, listen, data_path })
}

/// `[::]` hears IPv4 too; `0.0.0.0` where the host has no IPv6 at all.
fn listen(given: &str, host: &[HostAddress]) -> Result<SocketAddr, AddressError> {
    const FLAG: &str = "--listen-addr";
    let any: IpAddr = match host.iter().any(|a| a.ip.is_ipv6()) {
        true => Ipv6Addr::UNSPECIFIED.into(),
        false => Ipv4Addr::UNSPECIFIED.into(),
    };
    if given.is_empty() {
        return Ok(SocketAddr::new(any, DEFAULT_PORT));
    }
    let (name, port) = split(FLAG, given)?;
    let ip = match name.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => ip,
        Ok(ip) => ours(FLAG, given, unicast(FLAG, given, ip)?, host)?,
        Err(_) => of_interface(FLAG, given, name, host)?,
    };
    Ok(SocketAddr::new(ip, port.unwrap_or(DEFAULT_PORT)))
}

/// VXLAN leaves from an address of this host. One that is only advertised (NAT) is none.
fn own_or_only(advertised: IpAddr, host: &[HostAddress]) -> Result<IpAddr, AddressError> {
    if is_ours(advertised, host) {
        return Ok(advertised);
    }
    pick(host).map_err(|has| AddressError::DataPathUnclear { advertised, has })
}

/// An address that others are to use. It need not be this host's own: NAT may stand between.
fn resolve(
    flag: &'static str,
    given: &str,
    host: &[HostAddress],
) -> Result<(IpAddr, Option<u16>), AddressError> {
    let (name, port) = split(flag, given)?;
    let ip = match name.parse::<IpAddr>() {
        Ok(ip) => unicast(flag, given, ip)?,
        Err(_) => of_interface(flag, given, name, host)?,
    };
    Ok((ip, port))
}

fn unicast(flag: &'static str, given: &str, ip: IpAddr) -> Result<IpAddr, AddressError> {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() {
        Err(AddressError::Zero { flag, given: given.into() })
    } else if ip.is_multicast() || broadcast {
        Err(AddressError::NotUnicast { flag, given: given.into() })
    } else {
        Ok(ip)
    }
}

fn is_ours(ip: IpAddr, host: &[HostAddress]) -> bool {
    ip.is_loopback() || host.iter().any(|address| address.ip == ip)
}

fn ours(flag: &'static str, given: &str, ip: IpAddr, host: &[HostAddress]) -> Result<IpAddr, AddressError> {
    if is_ours(ip, host) {
        return Ok(ip);
    }
    Err(AddressError::NotOurs { flag, given: given.into(), has: host.to_vec() })
}

/// `10.0.0.1`, `10.0.0.1:2377`, `[::1]`, `[::1]:2377`, `::1`, `eth0`, `eth0:2377`.
fn split<'a>(flag: &'static str, given: &'a str) -> Result<(&'a str, Option<u16>), AddressError> {
    let bracketed = given.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = match bracketed {
        Some((ip, "")) => (ip, None),
        Some((ip, rest)) => (ip, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None if given.parse::<Ipv6Addr>().is_ok() => (given, None),
        None => match given.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (given, None),
        },
    };
    let Some(text) = port else { return Ok((name, None)) };
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok((name, Some(port))),
        _ => Err(AddressError::BadPort { flag, given: given.into(), port: text.into() }),
    }
}

fn of_interface(
    flag: &'static str,
    given: &str,
    interface: &str,
    host: &[HostAddress],
) -> Result<IpAddr, AddressError> {
    let known = host.iter().any(|a| a.interface == interface);
    let plausible = !interface.is_empty() && interface.len() < 16 && !interface.contains(['/', ' ', '.']);
    if !known {
        return Err(match plausible && flag != "--data-path-addr" && interface == given {
            true => AddressError::InterfaceWithout { flag, interface: interface.into() },
            false => AddressError::NotAnAddress {
                flag,
                given: given.into(),
                port: if flag == "--data-path-addr" { "" } else { ", each with or without :PORT" },
            },
        });
    }
    let on: Vec<HostAddress> = host.iter().filter(|a| a.interface == interface).cloned().collect();
    match pick(&on) {
        Ok(ip) => Ok(ip),
        Err(several) => {
            Err(AddressError::InterfaceSeveral { flag, interface: interface.into(), has: several })
        }
    }
}

fn only(host: &[HostAddress]) -> Result<IpAddr, AddressError> {
    if host.is_empty() {
        return Err(AddressError::NoneFound);
    }
    pick(host).map_err(AddressError::Several)
}

/// The only IPv4 address, else the only IPv6 one.
fn pick(addresses: &[HostAddress]) -> Result<IpAddr, Vec<HostAddress>> {
    let v4: Vec<_> = addresses.iter().filter(|a| a.ip.is_ipv4()).collect();
    match (v4.as_slice(), addresses) {
        ([one], _) => Ok(one.ip),
        ([], [one]) => Ok(one.ip),
        _ => Err(addresses.to_vec()),
    }
}

#[cfg(test)]
mod tests;
