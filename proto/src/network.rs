//! Networks, their specs and subnets on the wire and in the model.

use crate::convert::{CIDR, ConvertError, ID, IP, NAME, each, inner, narrow, optional, parse};
use crate::enums::word;
use crate::v1;
use std::collections::BTreeMap;
use std::net::IpAddr;
use swarm_model as model;
use swarm_model::Vni;

const VNI: &str = "a VNI: 1 to 16777215";
const MTU: &str = "an MTU: 1 to 65535";

fn text<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

fn aux_to_wire(addresses: &BTreeMap<String, IpAddr>) -> BTreeMap<String, String> {
    addresses.iter().map(|(name, address)| (name.clone(), address.to_string())).collect()
}

fn aux_from_wire(addresses: BTreeMap<String, String>) -> Result<BTreeMap<String, IpAddr>, ConvertError> {
    addresses.into_iter().map(|(name, address)| Ok((name, parse("aux_addresses", &address, IP)?))).collect()
}

fn vni(given: u32) -> Result<Vni, ConvertError> {
    Vni::new(given).ok_or_else(|| ConvertError::new("vni", &given, VNI))
}

impl From<&model::IpamConfig> for v1::IpamConfig {
    fn from(config: &model::IpamConfig) -> Self {
        Self {
            subnet: text(&config.subnet),
            gateway: text(&config.gateway),
            ip_range: text(&config.ip_range),
            aux_addresses: aux_to_wire(&config.aux_addresses),
        }
    }
}

impl TryFrom<v1::IpamConfig> for model::IpamConfig {
    type Error = ConvertError;

    fn try_from(config: v1::IpamConfig) -> Result<Self, ConvertError> {
        Ok(Self {
            subnet: optional("subnet", &config.subnet, CIDR)?,
            gateway: optional("gateway", &config.gateway, IP)?,
            ip_range: optional("ip_range", &config.ip_range, CIDR)?,
            aux_addresses: aux_from_wire(config.aux_addresses)?,
        })
    }
}

impl From<&model::NetworkSpec> for v1::NetworkSpec {
    fn from(spec: &model::NetworkSpec) -> Self {
        Self {
            name: spec.name.to_string(),
            driver: v1::Driver::from(spec.driver).into(),
            attachable: spec.attachable,
            internal: spec.internal,
            ipv6: spec.ipv6,
            encrypted: spec.encrypted,
            mtu: spec.mtu.map_or(0, u32::from),
            vni: spec.vni.map_or(0, Vni::get),
            ipam: spec.ipam.iter().map(Into::into).collect(),
            options: spec.options.clone(),
            labels: spec.labels.clone(),
        }
    }
}

/// The shape only; whether the spec makes sense is `NetworkSpec::check`'s to say.
impl TryFrom<v1::NetworkSpec> for model::NetworkSpec {
    type Error = ConvertError;

    fn try_from(spec: v1::NetworkSpec) -> Result<Self, ConvertError> {
        Ok(Self {
            name: parse("name", &spec.name, NAME)?,
            driver: word("driver", spec.driver)?,
            attachable: spec.attachable,
            internal: spec.internal,
            ipv6: spec.ipv6,
            encrypted: spec.encrypted,
            mtu: (spec.mtu != 0).then(|| narrow("mtu", spec.mtu, MTU)).transpose()?,
            vni: (spec.vni != 0).then(|| vni(spec.vni)).transpose()?,
            ipam: each("ipam", spec.ipam)?,
            options: spec.options,
            labels: spec.labels,
        })
    }
}

impl From<&model::Subnet> for v1::Subnet {
    fn from(subnet: &model::Subnet) -> Self {
        Self {
            cidr: subnet.cidr.to_string(),
            gateway: subnet.gateway.to_string(),
            ip_range: text(&subnet.ip_range),
            aux_addresses: aux_to_wire(&subnet.aux_addresses),
        }
    }
}

impl TryFrom<v1::Subnet> for model::Subnet {
    type Error = ConvertError;

    fn try_from(subnet: v1::Subnet) -> Result<Self, ConvertError> {
        Ok(Self {
            cidr: parse("cidr", &subnet.cidr, CIDR)?,
            gateway: parse("gateway", &subnet.gateway, IP)?,
            ip_range: optional("ip_range", &subnet.ip_range, CIDR)?,
            aux_addresses: aux_from_wire(subnet.aux_addresses)?,
        })
    }
}

impl From<&model::Network> for v1::Network {
    fn from(network: &model::Network) -> Self {
        Self {
            id: network.id.to_string(),
            spec: Some((&network.spec).into()),
            vni: network.vni.get(),
            subnets: network.subnets.iter().map(Into::into).collect(),
            predefined: network.predefined,
            created_ms: network.created_ms,
        }
    }
}

impl TryFrom<v1::Network> for model::Network {
    type Error = ConvertError;

    fn try_from(network: v1::Network) -> Result<Self, ConvertError> {
        Ok(Self {
            id: parse("id", &network.id, ID)?,
            spec: inner("spec", network.spec)?,
            vni: vni(network.vni)?,
            subnets: each("subnets", network.subnets)?,
            predefined: network.predefined,
            created_ms: network.created_ms,
        })
    }
}
