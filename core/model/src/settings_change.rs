//! What an operator changes of the settings of a living cluster. Must not know who may.

use crate::ClusterSettings;
use serde::{Deserialize, Serialize};

/// `None`: stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChange {
    #[serde(default)]
    pub cert_expiry_ms: Option<u64>,
    #[serde(default)]
    pub cert_grace_ms: Option<u64>,
    #[serde(default)]
    pub heartbeat_ms: Option<u64>,
    #[serde(default)]
    pub key_rotation_ms: Option<u64>,
    #[serde(default)]
    pub snapshot_interval: Option<u64>,
    #[serde(default)]
    pub max_snapshots: Option<u32>,
}

impl SettingsChange {
    /// Whether it changes what managers of feature level 3 do not know to be changeable.
    pub fn is_new(&self) -> bool {
        self.key_rotation_ms.is_some() || self.snapshot_interval.is_some() || self.max_snapshots.is_some()
    }

    pub fn on(&self, settings: &ClusterSettings) -> ClusterSettings {
        ClusterSettings {
            cert_expiry_ms: self.cert_expiry_ms.unwrap_or(settings.cert_expiry_ms),
            cert_grace_ms: self.cert_grace_ms.unwrap_or(settings.cert_grace_ms),
            key_rotation_ms: self.key_rotation_ms.unwrap_or(settings.key_rotation_ms),
            snapshot_interval: self.snapshot_interval.unwrap_or(settings.snapshot_interval),
            max_snapshots: self.max_snapshots.unwrap_or(settings.max_snapshots),
            heartbeat_ms: self.heartbeat_ms.unwrap_or(settings.heartbeat_ms),
            ..settings.clone()
        }
    }
}
