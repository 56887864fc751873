//! Networks: what was asked for (`NetworkSpec`) and what was allocated (`Network`).

use crate::name::check_labels;
use crate::node::words;
use crate::{DnsName, Labels, LabelsError, NetworkId, UnknownWord};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The largest IPv4 network: a /16 (65,534 addresses).
pub const MAX_NETWORK_PREFIX: u8 = 16;

/// Networks every host has of its own; none of the cluster's may be called so.
pub const HOST_NETWORKS: [&str; 4] = ["bridge", "host", "none", "swarm_gwbridge"];

/// VXLAN network identifier, 24 bits (RFC 7348 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vni(u32);

impl Vni {
    pub const MAX: u32 = (1 << 24) - 1;
    /// The first that is given out by itself; smaller ones are left to people who ask for them by `--opt vni=N`.
    pub const FIRST_ALLOCATED: u32 = 4096;

    pub fn new(number: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

words! {
    /// How a network is built.
    Driver { Overlay = "overlay", Bridge = "bridge", Macvlan = "macvlan" } expected "overlay, bridge or macvlan"
}

words! {
    /// Whether a network exists in the cluster or on one host.
    Scope { Swarm = "swarm", Local = "local" } expected "swarm or local"
}

/// One subnet as asked for; returned unchanged by `inspect`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamConfig {
    pub subnet: Option<IpNet>,
    pub gateway: Option<IpAddr>,
    /// Addresses are given out from this part of the subnet only.
    pub ip_range: Option<IpNet>,
    /// Addresses never given out, by name.
    #[serde(default)]
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// What a user asked for; never changed after creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    pub name: DnsName,
    pub driver: Driver,
    pub attachable: bool,
    /// No way out of the network: no default route, no forwarding of names.
    pub internal: bool,
    pub ipv6: bool,
    pub encrypted: bool,
    /// `--opt mtu=N`: an upper bound on the MTU; the path may bear less.
    pub mtu: Option<u16>,
    /// `--opt vni=N`.
    pub vni: Option<Vni>,
    #[serde(default)]
    pub ipam: Vec<IpamConfig>,
    /// `--opt` as given, for `inspect`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    #[serde(default)]
    pub labels: Labels,
}

/// One allocated subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub cidr: IpNet,
    /// Never given to an endpoint.
    pub gateway: IpAddr,
    pub ip_range: Option<IpNet>,
    #[serde(default)]
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// A network of the cluster. Written once, by the `apply` that creates it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    pub spec: NetworkSpec,
    pub vni: Vni,
    pub subnets: Vec<Subnet>,
    /// True for `ingress`: made with the cluster, not to be removed.
    #[serde(default)]
    pub predefined: bool,
    pub created_ms: u64,
}

impl Network {
    pub fn name(&self) -> &DnsName {
        &self.spec.name
    }
}

/// Why a spec is no spec, before any state is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecError {
    HostBits { subnet: IpNet },
    TooLarge { subnet: IpNet },
    TooSmall { subnet: IpNet },
    GatewayOutside { gateway: IpAddr, subnet: IpNet },
    GatewayUnusable { gateway: IpAddr, subnet: IpNet },
    GatewayWithoutSubnet { gateway: IpAddr },
    RangeOutside { range: IpNet, subnet: IpNet },
    RangeWithoutSubnet { range: IpNet },
    AuxOutside { name: String, address: IpAddr },
    Overlap { one: IpNet, other: IpNet },
    NotUnicast { subnet: IpNet },
    Ipv6NotEnabled { subnet: IpNet },
    MtuOutOfRange { mtu: u16 },
    UnknownOption { option: String },
    BadOption { option: String, value: String, expected: &'static str },
    Labels(LabelsError),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostBits { subnet } => {
                write!(f, "subnet {subnet} has host bits set: did you mean {}?", subnet.trunc())
            }
            Self::TooLarge { subnet } => {
                write!(
                    f,
                    "subnet {subnet} is too large: a network is at most a /{MAX_NETWORK_PREFIX} (IPv6: /48)"
                )
            }
            Self::TooSmall { subnet } => {
                write!(
                    f,
                    "subnet {subnet} is too small: it needs room for a gateway and an endpoint, at least a /30 (IPv6: /126)"
                )
            }
            Self::GatewayOutside { gateway, subnet } => {
                write!(f, "gateway {gateway} is not in subnet {subnet}: choose an address inside it")
            }
            Self::GatewayUnusable { gateway, subnet } => {
                write!(f, "gateway {gateway} is the network or broadcast address of {subnet}: choose another")
            }
            Self::GatewayWithoutSubnet { gateway } => {
                write!(f, "gateway {gateway} lies in none of the subnets given: give its --subnet too")
            }
            Self::RangeOutside { range, subnet } => {
                write!(f, "ip-range {range} is not inside subnet {subnet}")
            }
            Self::RangeWithoutSubnet { range } => {
                write!(f, "ip-range {range} lies in none of the subnets given: give its --subnet too")
            }
            Self::AuxOutside { name, address } => {
                write!(f, "aux-address {name}={address} lies in none of the subnets given")
            }
            Self::Overlap { one, other } => write!(f, "subnets {one} and {other} overlap"),
            Self::NotUnicast { subnet } => {
                write!(f, "subnet {subnet} is not for hosts (loopback, link-local, multicast or unspecified)")
            }
            Self::Ipv6NotEnabled { subnet } => write!(f, "subnet {subnet} is IPv6: add --ipv6"),
            Self::MtuOutOfRange { mtu } => {
                write!(f, "mtu {mtu} is out of range: 576 to 65535 (1280 at least with --ipv6)")
            }
            Self::UnknownOption { option } => {
                write!(f, "option {option:?} is not known: expected encrypted, mtu=N or vni=N")
            }
            Self::BadOption { option, value, expected } => {
                write!(f, "option {option}={value:?} is not valid: expected {expected}")
            }
            Self::Labels(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for SpecError {}

impl NetworkSpec {
    /// Everything about a spec that can be judged without looking at the cluster.
    pub fn check(&self) -> Result<(), SpecError> {
        check_labels(&self.labels).map_err(SpecError::Labels)?;
        self.check_mtu()?;
        self.ipam.iter().try_for_each(|config| check_ipam(config, self.ipv6))?;
        self.check_overlap()
    }

    fn check_mtu(&self) -> Result<(), SpecError> {
        let least = if self.ipv6 { 1280 } else { 576 };
        match self.mtu {
            Some(mtu) if mtu < least => Err(SpecError::MtuOutOfRange { mtu }),
            _ => Ok(()),
        }
    }

    fn check_overlap(&self) -> Result<(), SpecError> {
        let subnets: Vec<IpNet> = self.ipam.iter().filter_map(|c| c.subnet).collect();
        for (i, one) in subnets.iter().enumerate() {
            if let Some(other) = subnets.iter().skip(i + 1).find(|other| overlaps(one, other)) {
                return Err(SpecError::Overlap { one: *one, other: *other });
            }
        }
        Ok(())
    }
}

/// True when the two share an address.
pub fn overlaps(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

fn check_ipam(config: &IpamConfig, ipv6: bool) -> Result<(), SpecError> {
    let Some(subnet) = config.subnet else {
        return match (config.gateway, config.ip_range) {
            (Some(gateway), _) => Err(SpecError::GatewayWithoutSubnet { gateway }),
            (None, Some(range)) => Err(SpecError::RangeWithoutSubnet { range }),
            (None, None) => Ok(()),
        };
    };
    check_subnet(subnet, ipv6)?;
    if let Some(gateway) = config.gateway {
        check_gateway(gateway, subnet)?;
    }
    if let Some(range) = config.ip_range.filter(|range| !subnet.contains(range)) {
        return Err(SpecError::RangeOutside { range, subnet });
    }
    match config.aux_addresses.iter().find(|(_, a)| !subnet.contains(*a)) {
        Some((name, address)) => Err(SpecError::AuxOutside { name: name.clone(), address: *address }),
        None => Ok(()),
    }
}

fn check_subnet(subnet: IpNet, ipv6: bool) -> Result<(), SpecError> {
    let (most, least) = match subnet {
        IpNet::V4(_) => (MAX_NETWORK_PREFIX, 30),
        IpNet::V6(_) => (48, 126),
    };
    let address = subnet.network();
    let link_local = match address {
        IpAddr::V4(a) => a.is_link_local() || a.is_broadcast() || a.octets()[0] == 0 || a.octets()[0] >= 240,
        IpAddr::V6(a) => a.segments()[0] & 0xffc0 == 0xfe80,
    };
    if subnet.addr() != address {
        Err(SpecError::HostBits { subnet })
    } else if subnet.prefix_len() < most {
        Err(SpecError::TooLarge { subnet })
    } else if subnet.prefix_len() > least {
        Err(SpecError::TooSmall { subnet })
    } else if address.is_loopback() || address.is_multicast() || address.is_unspecified() || link_local {
        Err(SpecError::NotUnicast { subnet })
    } else if matches!(subnet, IpNet::V6(_)) && !ipv6 {
        Err(SpecError::Ipv6NotEnabled { subnet })
    } else {
        Ok(())
    }
}

fn check_gateway(gateway: IpAddr, subnet: IpNet) -> Result<(), SpecError> {
    if !subnet.contains(&gateway) {
        Err(SpecError::GatewayOutside { gateway, subnet })
    } else if gateway == subnet.network() || (gateway.is_ipv4() && gateway == subnet.broadcast()) {
        Err(SpecError::GatewayUnusable { gateway, subnet })
    } else {
        Ok(())
    }
}
