//! The cluster as one object: its settings and the secrets new members show.

use crate::{ClusterId, Epoch, Lineage, RootRotation, SecretRing, UnlockSecret};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    pub created_ms: u64,
    pub settings: ClusterSettings,
    pub join_secrets: JoinSecrets,
    /// PEM.
    pub root_ca_cert: String,
    /// PEM (PKCS#8). Secret; replicated so that any manager can issue certificates, encrypted at rest.
    pub root_ca_key: String,
    /// Another one whenever the managers were replaced by one survivor or by a backup. Who meets one that came from its own
    /// belongs to a past of this cluster.
    #[serde(default)]
    pub epoch: Epoch,
    /// Commands above this level are not proposed: a manager that votes may not know them.
    #[serde(default = "first_level")]
    pub feature_level: u32,
    /// The epochs this one came from.
    #[serde(default)]
    pub past: Vec<Epoch>,
    /// While the managers' files are locked: what unlocks them. Written by feature level 3 alone.
    #[serde(default)]
    pub unlock_key: Option<UnlockSecret>,
    /// While the root CA is being replaced.
    #[serde(default)]
    pub rotation: Option<RootRotation>,
    /// Written by feature level 4 alone.
    #[serde(default)]
    pub ring: SecretRing,
}

impl Cluster {
    pub fn lineage(&self) -> Lineage {
        Lineage { epoch: self.epoch, past: self.past.clone() }
    }

    pub fn enter(&mut self, lineage: Lineage) {
        Lineage { epoch: self.epoch, past: self.past } = lineage;
    }
}

/// The highest feature level this version knows. Raised with every release that adds commands to the log; a manager
/// below the cluster's level could not read it.
pub const FEATURE_LEVEL: u32 = 4;

/// From this level on there are encrypted networks: a node below it would build one in clear.
pub const ENCRYPTION_LEVEL: u32 = 4;

fn first_level() -> u32 {
    1
}

/// The secret halves of the two join tokens: 25 characters of base 36 each.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinSecrets {
    pub worker: String,
    pub manager: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSettings {
    pub default_addr_pools: Vec<Ipv4Net>,
    /// Prefix length of the subnets cut from the pools.
    pub subnet_prefix: u8,
    /// A ULA /48 (RFC 4193) drawn at `init`; `--ipv6` networks get /64s of it.
    pub ipv6_pool: Ipv6Net,
    /// UDP port of VXLAN.
    pub data_path_port: u16,
    pub cert_expiry_ms: u64,
    pub heartbeat_ms: u64,
    /// Log entries between two Raft snapshots.
    pub snapshot_interval: u64,
    /// Old snapshots kept beside the newest.
    pub max_snapshots: u32,
    /// Whether there is an unlock key.
    pub autolock: bool,
    /// How long after its end a certificate still gets its node a new one.
    #[serde(default = "default_grace_ms")]
    pub cert_grace_ms: u64,
    /// How long a generation of the cluster's secrets is the newest.
    #[serde(default = "default_key_rotation_ms")]
    pub key_rotation_ms: u64,
}

fn default_grace_ms() -> u64 {
    ClusterSettings::DEFAULT_CERT_GRACE_MS
}

fn default_key_rotation_ms() -> u64 {
    ClusterSettings::DEFAULT_KEY_ROTATION_MS
}

impl ClusterSettings {
    pub const DEFAULT_POOL: &'static str = "10.0.0.0/8";
    pub const DEFAULT_SUBNET_PREFIX: u8 = 24;
    pub const DEFAULT_DATA_PATH_PORT: u16 = 4789;
    pub const DEFAULT_CERT_EXPIRY_MS: u64 = 90 * 24 * 3_600_000;
    pub const DEFAULT_CERT_GRACE_MS: u64 = 30 * 24 * 3_600_000;
    pub const DEFAULT_KEY_ROTATION_MS: u64 = 12 * 3_600_000;
    pub const DEFAULT_HEARTBEAT_MS: u64 = 1_500;
    pub const DEFAULT_SNAPSHOT_INTERVAL: u64 = 10_000;

    /// Those of a cluster for which nothing else was asked; its address space is always somebody's choice.
    pub fn with_defaults(default_addr_pools: Vec<Ipv4Net>, ipv6_pool: Ipv6Net) -> Self {
        Self {
            default_addr_pools,
            subnet_prefix: Self::DEFAULT_SUBNET_PREFIX,
            ipv6_pool,
            data_path_port: Self::DEFAULT_DATA_PATH_PORT,
            cert_expiry_ms: Self::DEFAULT_CERT_EXPIRY_MS,
            heartbeat_ms: Self::DEFAULT_HEARTBEAT_MS,
            snapshot_interval: Self::DEFAULT_SNAPSHOT_INTERVAL,
            max_snapshots: 0,
            autolock: false,
            cert_grace_ms: Self::DEFAULT_CERT_GRACE_MS,
            key_rotation_ms: Self::DEFAULT_KEY_ROTATION_MS,
        }
    }

    /// What is asked for by `init` and `update`: as `check`, and with the bounds of what clusters may have from before
    /// these bounds. Not for `apply`, which judges as older managers do.
    pub fn check_asked(&self) -> Result<(), SettingsError> {
        if self.snapshot_interval > 1_000_000 {
            return Err(SettingsError::SnapshotInterval);
        }
        if self.max_snapshots > 100 {
            return Err(SettingsError::MaxSnapshots);
        }
        self.check()
    }

    pub fn check(&self) -> Result<(), SettingsError> {
        const HOUR_MS: u64 = 3_600_000;
        const YEAR_MS: u64 = 365 * 24 * HOUR_MS;
        if !(1024..=49151).contains(&self.data_path_port) {
            return Err(SettingsError::DataPathPort { port: self.data_path_port });
        }
        if !(HOUR_MS..=10 * YEAR_MS + 3 * 24 * HOUR_MS).contains(&self.cert_expiry_ms) {
            return Err(SettingsError::CertExpiry);
        }
        if self.cert_grace_ms > 10 * YEAR_MS {
            return Err(SettingsError::CertGrace);
        }
        if !(10_000..=30 * 24 * HOUR_MS).contains(&self.key_rotation_ms) {
            return Err(SettingsError::KeyRotation);
        }
        if !(100..=60_000).contains(&self.heartbeat_ms) {
            return Err(SettingsError::Heartbeat);
        }
        if self.snapshot_interval == 0 {
            return Err(SettingsError::SnapshotInterval);
        }
        self.check_pools()
    }

    fn check_pools(&self) -> Result<(), SettingsError> {
        let pools = &self.default_addr_pools;
        if pools.is_empty() {
            return Err(SettingsError::NoPool);
        }
        for (i, pool) in pools.iter().enumerate() {
            let first = pool.network().octets()[0];
            if pool.addr() != pool.network() {
                return Err(SettingsError::PoolHostBits { pool: *pool });
            }
            if first == 0 || first == 127 || first >= 224 {
                return Err(SettingsError::PoolNotUnicast { pool: *pool });
            }
            if self.subnet_prefix < pool.prefix_len() || !(16..=30).contains(&self.subnet_prefix) {
                return Err(SettingsError::SubnetPrefix { prefix: self.subnet_prefix, pool: *pool });
            }
            let shares = |other: &&Ipv4Net| other.contains(pool) || pool.contains(*other);
            if let Some(other) = pools.iter().skip(i + 1).find(shares) {
                return Err(SettingsError::PoolOverlap { one: *pool, other: *other });
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsError {
    DataPathPort { port: u16 },
    CertExpiry,
    CertGrace,
    KeyRotation,
    Heartbeat,
    SnapshotInterval,
    MaxSnapshots,
    NoPool,
    PoolHostBits { pool: Ipv4Net },
    PoolNotUnicast { pool: Ipv4Net },
    PoolOverlap { one: Ipv4Net, other: Ipv4Net },
    SubnetPrefix { prefix: u8, pool: Ipv4Net },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataPathPort { port } => {
                write!(f, "data path port {port} is not in valid range: 1024 to 49151")
            }
            Self::CertExpiry => f.write_str("certificate expiry is out of range: 1h to 10 years"),
            Self::CertGrace => f.write_str("grace period of certificates is out of range: 0s to 10 years"),
            Self::KeyRotation => f.write_str("key rotation is out of range: 10s to 30 days"),
            Self::Heartbeat => f.write_str("dispatcher heartbeat is out of range: 100ms to 60s"),
            Self::SnapshotInterval => f.write_str("snapshot interval is out of range: 1 to 1000000 entries"),
            Self::MaxSnapshots => f.write_str("number of old snapshots is out of range: 0 to 100"),
            Self::NoPool => f.write_str("at least one default address pool is needed"),
            Self::PoolHostBits { pool } => {
                write!(f, "default address pool {pool} has host bits set: did you mean {}?", pool.trunc())
            }
            Self::PoolNotUnicast { pool } => write!(f, "default address pool {pool} is not for hosts"),
            Self::PoolOverlap { one, other } => write!(f, "default address pools {one} and {other} overlap"),
            Self::SubnetPrefix { prefix, pool } => write!(
                f,
                "subnets of length /{prefix} cannot be cut from pool {pool}: \
                 the length must be 16 to 30 and not shorter than the pool's"
            ),
        }
    }
}

impl core::error::Error for SettingsError {}
