//! What a manager is started with, and what a new cluster is made of. Knows: shapes. Must not know: how they are used.

use crate::seat::HostRoutes;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use swarm_identity::RootCa;
use swarm_model::{Availability, ClusterId, ClusterSettings, FEATURE_LEVEL, Labels};
use swarm_raft::{StoreKey, Timing};

pub struct ManagerConfig {
    /// Raft's own directory (`<state-dir>/raft`), made if missing (0700). Removing it ends this manager's Raft life.
    pub dir: PathBuf,
    /// What everything in it is sealed with.
    pub key: StoreKey,
    /// Where the audit log is kept (`<state-dir>/audit`); it stays when the node is no manager any more.
    pub audit: PathBuf,
    /// Where the other managers reach this one's port 2377; the port is the one it listens on.
    pub advertise: SocketAddr,
    /// How often that has changed: of two addresses that others hear of, the one with more moves is the later.
    pub moves: u64,
    /// Where those were found whom this manager went on without, if it did.
    pub former: Vec<SocketAddr>,
    pub timing: Timing,
    pub host_routes: HostRoutes,
    /// The feature level this manager announces and keeps to.
    pub features: u32,
}

impl ManagerConfig {
    /// With default times, and no routes of the host to keep clear of.
    pub fn new(dir: PathBuf, key: StoreKey, advertise: SocketAddr) -> Self {
        Self {
            audit: dir.with_file_name("audit"),
            dir,
            key,
            advertise,
            moves: 0,
            former: Vec::new(),
            timing: Timing::default(),
            host_routes: Arc::new(Vec::<IpNet>::new),
            features: FEATURE_LEVEL,
        }
    }
}

/// A cluster about to be made, with this node as its first manager.
pub struct NewCluster {
    pub id: ClusterId,
    /// The CA that signed this node's certificate.
    pub ca: RootCa,
    pub settings: ClusterSettings,
    pub first: FirstNode,
}

pub struct FirstNode {
    pub hostname: String,
    pub availability: Availability,
    pub labels: Labels,
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
    pub version: String,
}
