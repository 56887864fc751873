//! The cluster's root CA while it is being replaced: which roots count, which one issues. Must not know certificates' bytes.

use crate::{Cluster, NodeId};
use alloc::collections::BTreeSet;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A new root on its way in. Until every node has a certificate under it, the old one counts too, and is the one that join
/// tokens name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRotation {
    /// Tells this rotation from the one it may have taken the place of: the entry that began it.
    pub number: u64,
    pub started_ms: u64,
    /// PEM.
    pub root_ca_cert: String,
    /// PEM (PKCS#8). Secret.
    pub root_ca_key: String,
    /// PEM: the new root's key, signed by the old root. Who trusts the old root alone trusts the new certificates by it.
    pub cross_cert: String,
    /// The nodes that have said that they trust the new root and use a certificate of it.
    pub renewed: BTreeSet<NodeId>,
}

/// What certificates are signed with.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    pub cert: &'a str,
    pub key: &'a str,
    /// PEM: what stands between a node's certificate and the roots in its chain, and roots that others may still go by.
    pub beside: &'a str,
}

impl Cluster {
    /// PEM: every root that counts. The first is the one that join tokens name, the last the one that issues.
    pub fn roots(&self) -> String {
        let next = self.rotation.as_ref().map_or("", |rotation| rotation.root_ca_cert.as_str());
        [self.root_ca_cert.as_str(), next].iter().filter(|pem| !pem.is_empty()).fold(
            String::new(),
            |mut all, pem| {
                all.push_str(pem);
                if !pem.ends_with('\n') {
                    all.push('\n');
                }
                all
            },
        )
    }

    pub fn issuer(&self) -> Issuer<'_> {
        match &self.rotation {
            None => Issuer { cert: &self.root_ca_cert, key: &self.root_ca_key, beside: "" },
            Some(rotation) => Issuer {
                cert: &rotation.root_ca_cert,
                key: &rotation.root_ca_key,
                beside: &rotation.cross_cert,
            },
        }
    }
}
