//! Tables on disk are lists of their rows; the key is in the row and is not written twice.

use crate::tables::Placed;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use swarm_model::{EndpointId, IssuedToken, Network, NetworkId, Node, NodeId, TokenId, User, UserId};

/// A row that knows its key.
pub trait Row {
    type Key: Ord + ToString;
    fn key(&self) -> Self::Key;
}

impl Row for Node {
    type Key = NodeId;
    fn key(&self) -> NodeId {
        self.id
    }
}
impl Row for Network {
    type Key = NetworkId;
    fn key(&self) -> NetworkId {
        self.id
    }
}
impl Row for Placed {
    type Key = EndpointId;
    fn key(&self) -> EndpointId {
        self.endpoint.id
    }
}

impl Row for IssuedToken {
    type Key = TokenId;
    fn key(&self) -> TokenId {
        self.id
    }
}
impl Row for User {
    type Key = UserId;
    fn key(&self) -> UserId {
        self.id
    }
}

pub fn serialize<R: Row + Serialize, S: Serializer>(
    table: &BTreeMap<R::Key, Arc<R>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(table.values())
}

pub fn deserialize<'de, R: Row + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<R::Key, Arc<R>>, D::Error> {
    let rows = Vec::<Arc<R>>::deserialize(deserializer)?;
    let count = rows.len();
    let table: BTreeMap<_, _> = rows.into_iter().map(|row| (row.key(), row)).collect();
    if table.len() == count { Ok(table) } else { Err(de::Error::custom("two rows of a table have one key")) }
}
