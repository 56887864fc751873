//! What a worker says when its session begins, and what follows from it.
//! Knows: registrations and records. Must not know: streams, Raft.

use crate::claims::Claim;
use std::collections::BTreeSet;
use std::net::IpAddr;
use swarm_model::{EndpointId, Kin, Lineage, Node, NodeId, NodeState, Revision, SessionId};
use swarm_proto::{ConvertError, optional, parse_all, v1};
use swarm_state::{RegisterNode, Session};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub node: NodeId,
    pub hostname: String,
    pub addr: IpAddr,
    pub data_path_addr: IpAddr,
    /// Where the worker's connection comes from.
    pub from: IpAddr,
    pub version: String,
    pub features: u32,
    pub held: BTreeSet<EndpointId>,
    /// The revision of the assignment the node had when it listed what it holds.
    pub listed_at: Revision,
    /// The session this very process had last; `None` from a worker too old to say.
    pub last: Option<LastSession>,
    /// The epoch the node keeps to; the first from a worker too old to say.
    pub lineage: Lineage,
}

/// A worker's last session, as its process remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSession(pub Option<SessionId>);

impl LastSession {
    /// `None` from one too old to say.
    pub fn read(field: &'static str, given: Option<&str>) -> Result<Option<Self>, ConvertError> {
        given.map(|id| optional(field, id, "an id").map(Self)).transpose()
    }

    /// See [`Registration::is_copy`].
    pub fn is_copys(self, node: &Node, session: Option<&Session>, (me, open_here): (NodeId, bool)) -> bool {
        let Some(session) = session else { return false };
        let lives = node.status.state == NodeState::Ready && (session.manager != me || open_here);
        lives && self.0 != Some(session.id)
    }
}

impl Registration {
    /// `connection`: the address the worker came from, which stands for one it did not give.
    pub fn read(node: NodeId, connection: IpAddr, given: v1::Register) -> Result<Self, ConvertError> {
        let addr =
            optional("register.addr", &given.addr, "an IP address")?.unwrap_or(connection).to_canonical();
        let data_path =
            optional::<IpAddr>("register.data_path_addr", &given.data_path_addr, "an IP address")?;
        let held: Vec<EndpointId> =
            parse_all("register.held", &given.held, "an id: 25 characters of 0-9a-z")?;
        Ok(Self {
            last: LastSession::read("register.last_session", given.last_session.as_deref())?,
            lineage: swarm_proto::lineage(given.epoch, &given.past),
            node,
            hostname: given.hostname,
            addr,
            data_path_addr: data_path.unwrap_or(addr).to_canonical(),
            from: connection,
            version: given.version,
            features: given.features,
            held: held.into_iter().collect(),
            listed_at: given.revision,
        })
    }

    /// The session on record, when this manager holds it and the record says all of this already: then nothing needs
    /// to be written, and a manager that restarts takes its sessions back without a single entry in the log.
    pub fn on_record(&self, node: &Node, session: Option<&Session>, me: NodeId) -> Option<SessionId> {
        let same = node.status.state == NodeState::Ready
            && node.hostname == self.hostname
            && node.addr == self.addr
            && node.data_path_addr == self.data_path_addr
            && node.version == self.version
            && node.features == self.features;
        session.filter(|session| same && session.manager == me).map(|session| session.id)
    }

    /// Whether this is a copy of a node that is here: the record says that it holds a session, and this process has never
    /// had that one. `open_here`: a session of the node is open with this manager, `me`. What is on record as this
    /// manager's and is not open any more counts for nothing; what another manager held is judged lost by the leader soon
    /// after.
    pub fn is_copy(&self, node: &Node, session: Option<&Session>, here: (NodeId, bool)) -> bool {
        self.last.is_some_and(|last| last.is_copys(node, session, here))
    }

    /// Why this node is not served by one who lives in `own`: it would turn down what it is told, and stand on record as here
    /// until then.
    pub fn lives_elsewhere(&self, own: &Lineage) -> Option<String> {
        match own.sees(&self.lineage) {
            Kin::Same | Kin::Past => None,
            Kin::Later | Kin::Apart => self.lineage.refusal(own),
        }
    }

    /// What the worker says of itself, to be judged before others go by it.
    pub fn claim(&self) -> Claim<'_> {
        let Self { node, addr, data_path_addr, from, .. } = *self;
        Claim { node, hostname: &self.hostname, addr, data_path_addr, from }
    }

    /// Another node that is here and says it has the same data-path address: what is sent to one arrives at the other.
    pub fn twin<'a>(&self, mut nodes: impl Iterator<Item = &'a Node>) -> Option<&'a Node> {
        nodes.find(|node| {
            node.id != self.node
                && node.data_path_addr == self.data_path_addr
                && node.status.state == NodeState::Ready
        })
    }

    pub fn entry(&self, session: SessionId, manager: NodeId) -> RegisterNode {
        RegisterNode {
            node: self.node,
            session,
            manager,
            hostname: self.hostname.clone(),
            addr: self.addr,
            data_path_addr: self.data_path_addr,
            version: self.version.clone(),
            features: self.features,
        }
    }
}

/// What a change of its node's record means for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Somebody declared the node lost while it is served here, or the record has lost what a manager of an older release
    /// could not keep: say again that it is there, and what it knows.
    RegisterAgain,
    /// The node has a newer session with this manager or another.
    Superseded,
    /// The node left or was removed.
    Gone,
}

/// `session` and `features` are those of the session that is judged.
pub fn judge(
    node: Option<&Node>,
    current: Option<&Session>,
    (session, features): (SessionId, u32),
) -> Verdict {
    let Some(node) = node else {
        return Verdict::Gone;
    };
    match node.status.state {
        NodeState::Disconnected => Verdict::Gone,
        _ if current.is_some_and(|current| current.id != session) => Verdict::Superseded,
        NodeState::Ready if node.features < features => Verdict::RegisterAgain,
        NodeState::Ready => Verdict::GoOn,
        NodeState::Pending | NodeState::Unknown | NodeState::Down => Verdict::RegisterAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::testing::{node_id as id, worker};
    use std::net::Ipv4Addr;

    const ADDR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn session(number: u8, manager: u8) -> Session {
        Session { id: SessionId::from_random([number; 16]), manager: id(manager) }
    }

    fn registration() -> Registration {
        let given =
            v1::Register { hostname: "w1".to_owned(), version: "1".to_owned(), ..v1::Register::default() };
        Registration::read(id(1), ADDR, given).unwrap()
    }

    fn record(state: NodeState) -> Node {
        Node { hostname: "w1".to_owned(), ..worker(1, state) }
    }

    #[test]
    fn nothing_is_written_for_a_session_that_is_on_record_here_as_it_is() {
        let (mine, theirs) = (session(7, 9), session(7, 8));
        let known = |node: &Node, session| registration().on_record(node, session, id(9));
        let ready = record(NodeState::Ready);
        assert_eq!(known(&ready, Some(&mine)), Some(mine.id));
        assert_eq!(known(&ready, Some(&theirs)), None);
        assert_eq!(known(&ready, None), None);
        assert_eq!(known(&record(NodeState::Unknown), Some(&mine)), None);
        let moved = Node { data_path_addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), ..ready };
        assert_eq!(known(&moved, Some(&mine)), None);
    }

    #[test]
    fn a_copy_does_not_know_the_session_of_a_node_that_is_here() {
        let (mine, theirs) = (session(7, 9), session(7, 8));
        let copy = |last, node: &Node, session, open| {
            let registration = Registration { last, ..registration() };
            registration.is_copy(node, Some(session), (id(9), open))
        };
        let ready = record(NodeState::Ready);
        let (fresh, same) = (Some(LastSession(None)), Some(LastSession(Some(mine.id))));
        let other = Some(LastSession(Some(session(6, 9).id)));
        for stranger in [fresh, other] {
            assert!(copy(stranger, &ready, &theirs, false));
            assert!(copy(stranger, &ready, &mine, true));
            // Its session with this very manager is closed: it was killed and is back.
            assert!(!copy(stranger, &ready, &mine, false));
            assert!(!copy(stranger, &record(NodeState::Unknown), &theirs, false));
        }
        assert!(!copy(same, &ready, &theirs, false) && !copy(same, &ready, &mine, true));
        assert!(!copy(None, &ready, &theirs, true), "one too old to say");
    }

    #[test]
    fn a_node_that_is_here_with_the_same_address_is_a_twin() {
        let other = |state| Node { id: id(2), ..record(state) };
        let twin = |node: &Node| registration().twin([node].into_iter()).map(|twin| twin.id);
        assert_eq!(twin(&other(NodeState::Ready)), Some(id(2)));
        // A host that was wiped and joins again finds its earlier self on record.
        for gone in [NodeState::Unknown, NodeState::Down, NodeState::Disconnected] {
            assert_eq!(twin(&other(gone)), None);
        }
        assert_eq!(twin(&record(NodeState::Ready)), None);
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(twin(&Node { data_path_addr: elsewhere, ..other(NodeState::Ready) }), None);
    }

    #[test]
    fn addresses_not_given_are_the_connection_s() {
        let registration = registration();
        assert_eq!((registration.addr, registration.data_path_addr), (ADDR, ADDR));
        let odd = v1::Register { addr: "here".to_owned(), ..v1::Register::default() };
        assert_eq!(Registration::read(id(1), ADDR, odd).unwrap_err().field, "register.addr");
    }

    #[test]
    fn the_record_decides_what_becomes_of_a_session() {
        let (own, newer) = (session(7, 9), session(8, 8));
        let verdict = |node: Option<&Node>, current| judge(node, Some(current), (own.id, 0));
        assert_eq!(verdict(Some(&record(NodeState::Ready)), &own), Verdict::GoOn);
        assert_eq!(verdict(Some(&record(NodeState::Unknown)), &own), Verdict::RegisterAgain);
        assert_eq!(verdict(Some(&record(NodeState::Down)), &own), Verdict::RegisterAgain);
        assert_eq!(verdict(Some(&record(NodeState::Ready)), &newer), Verdict::Superseded);
        assert_eq!(verdict(Some(&record(NodeState::Disconnected)), &own), Verdict::Gone);
        assert_eq!(verdict(None, &own), Verdict::Gone);
        let newer_than_the_record = judge(Some(&record(NodeState::Ready)), Some(&own), (own.id, 1));
        assert_eq!(newer_than_the_record, Verdict::RegisterAgain);
    }
}
