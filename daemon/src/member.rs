//! A member of a cluster, and a host that waits to become one, as they are remembered.
//! Knows what is kept; must not know where and how.

use crate::address::{Chosen, Wishes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use swarm_identity::{KeyError, NodeKey};
use swarm_model::{Availability, ClusterId, NodeId, RequestId, Role};

/// A member of a cluster. Its keys and certificate are in `certificates/`, its Raft data in `raft/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub node: NodeId,
    pub cluster: ClusterId,
    pub role: Role,
    pub advertise: SocketAddr,
    pub listen: SocketAddr,
    pub data_path: IpAddr,
    /// Managers to begin with, until an assignment says which there are: see `remembered`.
    pub managers: Vec<SocketAddr>,
    /// When a manager last listed them, milliseconds since the epoch.
    #[serde(default)]
    pub listed_ms: BTreeMap<SocketAddr, u64>,
    /// Who the managers were when one listed them last. Their addresses outlive them in `managers`, their word does not.
    /// Empty: not known.
    #[serde(default)]
    pub listed: BTreeSet<NodeId>,
    /// Managers' names (`HOST:PORT`) as an operator gave them. A name is never forgotten: what it stands for may change.
    #[serde(default)]
    pub names: Vec<String>,
    /// What was typed of the three addresses above. `None` in a file from before this was kept: then nothing follows the
    /// host by itself.
    #[serde(default)]
    pub wishes: Option<Wishes>,
    /// How often `advertise` has changed: others believe the later of two addresses.
    #[serde(default)]
    pub moves: u64,
    /// Where the other managers were found when this one went on without them.
    #[serde(default)]
    pub former: Vec<SocketAddr>,
}

/// Names an operator gave that are kept; the latest stay.
const MOST_NAMES: usize = 16;

impl Member {
    pub fn chosen(&self) -> Chosen {
        Chosen { advertise: self.advertise, listen: self.listen, data_path: self.data_path }
    }

    /// Where managers may be found, `HOST:PORT`: what has an operator's word comes first.
    pub fn seeds(&self) -> Vec<String> {
        let addresses = self.managers.iter().map(SocketAddr::to_string);
        self.names.iter().cloned().chain(addresses).collect()
    }

    /// Keeps what an operator said of where managers are found.
    pub fn reached_by(mut self, remotes: &[String]) -> Self {
        for remote in remotes.iter().rev() {
            match remote.parse::<SocketAddr>() {
                Ok(addr) => {
                    self.managers.retain(|known| *known != addr);
                    self.managers.insert(0, addr);
                }
                Err(_) => {
                    self.names.retain(|known| known != remote);
                    self.names.insert(0, remote.clone());
                }
            }
        }
        self.names.truncate(MOST_NAMES);
        self
    }
}

/// A join that has not come to an end: tried again after a restart until it does or `leave` drops it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJoin {
    /// Secret: the file is 0600 in a 0700 folder and goes when the join ends.
    pub token: String,
    pub remotes: Vec<String>,
    pub advertise: SocketAddr,
    pub listen: SocketAddr,
    pub data_path: IpAddr,
    pub availability: Availability,
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub wishes: Option<Wishes>,
    pub request: RequestId,
    /// PEM. Secret: an answer that was lost is given again for the same key only. Empty in a file from before this was kept.
    #[serde(default)]
    pub key: String,
}

impl PendingJoin {
    /// The key the certificate is to be for.
    pub fn key(&self) -> Result<NodeKey, KeyError> {
        match self.key.as_str() {
            "" => NodeKey::generate(),
            pem => NodeKey::from_pem(pem.as_bytes()),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn member() -> Member {
        Member {
            node: NodeId::from_random([1; 16]),
            cluster: ClusterId::from_random([2; 16]),
            role: Role::Manager,
            advertise: "10.0.0.1:2377".parse().unwrap(),
            listen: "[::]:2377".parse().unwrap(),
            data_path: "10.0.0.1".parse().unwrap(),
            managers: vec![],
            listed_ms: BTreeMap::new(),
            listed: BTreeSet::new(),
            names: vec![],
            wishes: Some(Wishes::default()),
            moves: 3,
            former: vec![],
        }
    }

    #[test]
    fn names_stay_and_the_latest_word_comes_first() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let member = member().reached_by(&words(&["one.example:2377", "10.0.0.2:2377"]));
        let member = member.reached_by(&words(&["10.0.0.3:2377", "two.example:2377", "one.example:2377"]));
        assert_eq!(
            member.seeds(),
            ["two.example:2377", "one.example:2377", "10.0.0.3:2377", "10.0.0.2:2377"]
        );
        let many: Vec<String> = (0..50).map(|n| format!("m{n}.example:2377")).collect();
        assert_eq!(member.reached_by(&many).names.len(), MOST_NAMES);
    }

    #[test]
    fn a_file_from_before_addresses_were_followed_is_read() {
        let mut old = serde_json::to_value(member()).unwrap();
        let fields = old.as_object_mut().unwrap();
        for field in ["listed_ms", "listed", "names", "wishes", "moves", "former"] {
            fields.remove(field).unwrap();
        }
        let read: Member = serde_json::from_value(old).unwrap();
        assert_eq!(read, Member { wishes: None, moves: 0, ..member() });
    }
}
