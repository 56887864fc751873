//! The cluster and its settings on the wire. The cluster goes one way only: its secrets never travel.

use crate::convert::{CIDR, ConvertError, narrow, parse, parse_all};
use crate::v1;
use swarm_model as model;

impl From<&model::Cluster> for v1::Cluster {
    fn from(cluster: &model::Cluster) -> Self {
        Self {
            id: cluster.id.to_string(),
            created_ms: cluster.created_ms,
            settings: Some((&cluster.settings).into()),
            root_ca_cert: cluster.root_ca_cert.clone(),
            epoch: cluster.epoch.as_u64(),
            feature_level: cluster.feature_level,
        }
    }
}

/// An epoch and those it came from, as several messages carry them: the fields `epoch` and `past`.
pub fn lineage(epoch: u64, past: &[u64]) -> model::Lineage {
    let surplus = past.len().saturating_sub(model::MOST_PAST);
    let past = past.iter().skip(surplus).copied().map(model::Epoch::from_u64).collect();
    model::Lineage { epoch: model::Epoch::from_u64(epoch), past }
}

/// The field `past` of such a message.
pub fn past(lineage: &model::Lineage) -> Vec<u64> {
    lineage.past.iter().map(|epoch| epoch.as_u64()).collect()
}

impl From<&model::ClusterSettings> for v1::ClusterSettings {
    fn from(settings: &model::ClusterSettings) -> Self {
        Self {
            default_addr_pools: settings.default_addr_pools.iter().map(ToString::to_string).collect(),
            subnet_prefix: settings.subnet_prefix.into(),
            ipv6_pool: settings.ipv6_pool.to_string(),
            data_path_port: settings.data_path_port.into(),
            cert_expiry_ms: settings.cert_expiry_ms,
            heartbeat_ms: settings.heartbeat_ms,
            snapshot_interval: settings.snapshot_interval,
            max_snapshots: settings.max_snapshots,
            autolock: settings.autolock,
            cert_grace_ms: Some(settings.cert_grace_ms),
            key_rotation_ms: Some(settings.key_rotation_ms),
        }
    }
}

/// The shape only; whether the settings make sense is `ClusterSettings::check`'s to say.
impl TryFrom<v1::ClusterSettings> for model::ClusterSettings {
    type Error = ConvertError;

    fn try_from(settings: v1::ClusterSettings) -> Result<Self, ConvertError> {
        Ok(Self {
            default_addr_pools: parse_all("default_addr_pools", &settings.default_addr_pools, CIDR)?,
            subnet_prefix: narrow("subnet_prefix", settings.subnet_prefix, "a prefix length: 16 to 30")?,
            ipv6_pool: parse("ipv6_pool", &settings.ipv6_pool, "an IPv6 CIDR as in fd00::/48")?,
            data_path_port: narrow("data_path_port", settings.data_path_port, "a port: 1024 to 49151")?,
            cert_expiry_ms: settings.cert_expiry_ms,
            heartbeat_ms: settings.heartbeat_ms,
            snapshot_interval: settings.snapshot_interval,
            max_snapshots: settings.max_snapshots,
            autolock: settings.autolock,
            cert_grace_ms: settings.cert_grace_ms.unwrap_or(model::ClusterSettings::DEFAULT_CERT_GRACE_MS),
            key_rotation_ms: settings
                .key_rotation_ms
                .unwrap_or(model::ClusterSettings::DEFAULT_KEY_ROTATION_MS),
        })
    }
}
