//! What happens in the cluster, told to those who watch while it is applied.
//! Knows: how a change of the state reads as an event. Must not know: streams, who may watch.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use swarm_model::{Endpoint, EndpointId, Labels, Network, NetworkId, Node, NodeId, NodeState};
use swarm_proto::v1::ClusterEvent;
use swarm_state::{Event, State};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

/// Events kept for a watcher that is slow. One that is slower misses some, and is told so.
const KEPT: usize = 1024;
/// Each is a stream that has to be served.
const MOST_WATCHERS: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Event(Arc<ClusterEvent>),
    /// Between the last event and the next there were others.
    Gap,
}

/// Nothing is remembered, and no event is made, while nobody watches.
pub struct News {
    /// The objects as they were told last: what is gone cannot be looked up.
    seen: Mutex<Option<Seen>>,
    sender: broadcast::Sender<Told>,
    places: Arc<Semaphore>,
    over: CancellationToken,
}

/// One watcher. Dropped, its place is free.
pub struct Watcher {
    pub told: broadcast::Receiver<Told>,
    /// Ends every watch: this manager stops.
    pub over: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Default for News {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            sender: broadcast::Sender::new(KEPT),
            places: Arc::new(Semaphore::new(MOST_WATCHERS)),
            over: CancellationToken::new(),
        }
    }
}

impl News {
    /// From this state on. `None`: too many watch already.
    pub fn watch(&self, state: &State) -> Option<Watcher> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut seen = self.seen.lock();
        let told = self.sender.subscribe();
        seen.get_or_insert_with(|| Seen::of(state));
        Some(Watcher { told, over: self.over.clone(), _place: place })
    }

    /// Called with the state these events led to, in order and under its lock.
    pub fn offer(&self, state: &State, at_ms: u64, events: &[Event]) {
        let mut seen = self.seen.lock();
        if self.sender.receiver_count() == 0 {
            *seen = None;
        }
        let Some(seen) = &mut *seen else { return };
        for event in events.iter().filter_map(|event| seen.tell(state, event)) {
            let _ = self.sender.send(Told::Event(Arc::new(ClusterEvent { at_ms, ..event })));
        }
    }

    /// The state is another one, and what lay between is not known.
    pub fn start_over(&self, state: &State) {
        let mut seen = self.seen.lock();
        if seen.is_some() {
            *seen = Some(Seen::of(state));
            let _ = self.sender.send(Told::Gap);
        }
    }

    pub fn stop(&self) {
        self.over.cancel();
    }
}

/// Who leads from now on, if anybody does.
pub fn of_leader(state: &State, node: Option<&str>, at_ms: u64) -> ClusterEvent {
    let host = |id: &str| state.node(&id.parse().ok()?).map(|node| node.hostname.clone());
    match node {
        Some(id) => {
            ClusterEvent { at_ms, ..event("cluster", "leader", id, &host(id).unwrap_or_default(), []) }
        }
        None => ClusterEvent { at_ms, ..event("cluster", "no-leader", "", "", []) },
    }
}

struct Seen {
    nodes: BTreeMap<NodeId, Node>,
    networks: BTreeMap<NetworkId, String>,
    endpoints: BTreeMap<EndpointId, (String, String)>,
}

impl Seen {
    fn of(state: &State) -> Self {
        Self {
            nodes: state.nodes().map(|node| (node.id, node.clone())).collect(),
            networks: state.networks().map(|network| (network.id, network.name().to_string())).collect(),
            endpoints: state.endpoints().map(|endpoint| (endpoint.id, endpoint_seen(endpoint))).collect(),
        }
    }

    /// `None` for what people need not hear of, or hear by another event of the same entry.
    fn tell(&mut self, state: &State, what: &Event) -> Option<ClusterEvent> {
        match *what {
            Event::NodeChanged(id) => {
                let now = state.node(&id)?.clone();
                let told = of_node(self.nodes.get(&id), &now);
                self.nodes.insert(id, now);
                told
            }
            Event::NodeRemoved(id) => {
                let host = self.nodes.remove(&id).map(|node| node.hostname).unwrap_or_default();
                Some(event("node", "remove", id.as_str(), &host, []))
            }
            Event::NetworkCreated(id) => {
                let network = state.network(&id)?;
                self.networks.insert(id, network.name().to_string());
                Some(of_network(network))
            }
            Event::NetworkRemoved(id) => {
                let name = self.networks.remove(&id).unwrap_or_default();
                Some(event("network", "remove", id.as_str(), &name, []))
            }
            Event::EndpointCreated { endpoint, network, node } => {
                let seen = endpoint_seen(state.endpoint(&endpoint)?);
                let told = self.of_endpoint("create", endpoint, &seen, (network, node));
                self.endpoints.insert(endpoint, seen);
                Some(told)
            }
            Event::EndpointReleased { endpoint, network, node } => {
                let seen = self.endpoints.remove(&endpoint).unwrap_or_default();
                Some(self.of_endpoint("remove", endpoint, &seen, (network, node)))
            }
            Event::DefaultsChanged => Some(of_cluster(state, "update")),
            Event::LockChanged => Some(of_cluster(state, "lock")),
            Event::ManagersChanged
            | Event::MemberChanged(_)
            | Event::IncarnationChanged(_)
            | Event::RingChanged
            | Event::PeerChanged(_)
            | Event::RoleChanged(_)
            | Event::PresenceChanged { .. } => None,
        }
    }

    fn of_endpoint(
        &self,
        action: &str,
        id: EndpointId,
        (name, addresses): &(String, String),
        (network, node): (NetworkId, NodeId),
    ) -> ClusterEvent {
        let network = self.networks.get(&network).cloned().unwrap_or_else(|| network.to_string());
        let host = self.nodes.get(&node).map_or_else(|| node.to_string(), |node| node.hostname.clone());
        let attributes = [("addresses", addresses.clone()), ("network", network), ("node", host)];
        event("endpoint", action, id.as_str(), name, attributes)
    }
}

fn endpoint_seen(endpoint: &Endpoint) -> (String, String) {
    let addresses: Vec<String> = endpoint.addresses.iter().map(ToString::to_string).collect();
    (endpoint.name.to_string(), addresses.join(","))
}

fn event<const N: usize>(
    of: &str,
    action: &str,
    id: &str,
    name: &str,
    attributes: [(&str, String); N],
) -> ClusterEvent {
    ClusterEvent {
        at_ms: 0,
        r#type: of.to_owned(),
        action: action.to_owned(),
        id: id.to_owned(),
        name: name.to_owned(),
        attributes: attributes.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

fn of_network(network: &Network) -> ClusterEvent {
    let subnets: Vec<String> = network.subnets.iter().map(|subnet| subnet.cidr.to_string()).collect();
    let attributes = [("driver", network.spec.driver.to_string()), ("subnets", subnets.join(","))];
    event("network", "create", network.id.as_str(), network.name().as_str(), attributes)
}

fn of_cluster(state: &State, action: &str) -> ClusterEvent {
    let Some(cluster) = state.cluster() else { return event("cluster", action, "", "", []) };
    let rotating = if cluster.rotation.is_some() { "running" } else { "none" };
    let attributes = [
        ("autolock", cluster.settings.autolock.to_string()),
        ("ca.rotation", rotating.to_owned()),
        ("epoch", cluster.epoch.to_string()),
    ];
    event("cluster", action, cluster.id.as_str(), "", attributes)
}

/// As Docker has it: what changed, as `KEY.old` and `KEY.new`. A message about a node that stays what it is makes an event
/// of its own, which people may wait for.
fn of_node(before: Option<&Node>, now: &Node) -> Option<ClusterEvent> {
    let told = |action: &str| event("node", action, now.id.as_str(), &now.hostname, []);
    let Some(before) = before else {
        let attributes = [("role", now.role.to_string()), ("address", now.addr.to_string())];
        return Some(event("node", "create", now.id.as_str(), &now.hostname, attributes));
    };
    let attributes = changes(before, now);
    if !attributes.is_empty() {
        return Some(ClusterEvent { attributes, ..told("update") });
    }
    if before.status.message == now.status.message || now.status.state != NodeState::Ready {
        return None;
    }
    let message = now.status.message.clone();
    Some(match message.is_empty() {
        true => told("trouble-over"),
        false => ClusterEvent { attributes: [("message".to_owned(), message)].into(), ..told("trouble") },
    })
}

fn changes(before: &Node, now: &Node) -> BTreeMap<String, String> {
    let in_raft = |node: &Node| node.manager.as_ref().map_or("none".into(), |m| m.member.to_string());
    let each = |node: &Node| {
        [
            ("state", node.status.state.to_string()),
            ("role", node.role.to_string()),
            ("availability", node.availability.to_string()),
            ("manager", in_raft(node)),
            ("address", node.addr.to_string()),
            ("hostname", node.hostname.clone()),
            ("version", node.version.clone()),
            ("labels", labels(&node.labels)),
        ]
    };
    let mut attributes = BTreeMap::new();
    for ((key, old), (_, new)) in each(before).into_iter().zip(each(now)).filter(|(old, new)| old != new) {
        attributes.insert(format!("{key}.old"), old);
        attributes.insert(format!("{key}.new"), new);
    }
    if attributes.contains_key("state.new") && !now.status.message.is_empty() {
        attributes.insert("message".to_owned(), now.status.message.clone());
    }
    attributes
}

fn labels(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_state::{Command, Entry};

    fn node() -> Node {
        let state = crate::leader::testing::of_level(2, &[(1, 2)]);
        state.nodes().next().unwrap().clone()
    }

    fn with(state: NodeState, message: &str) -> Node {
        let mut node = node();
        (node.status.state, node.status.message) = (state, message.into());
        node
    }

    #[test]
    fn a_change_of_a_node_tells_what_it_was_and_what_it_is() {
        let made = of_node(None, &node()).unwrap();
        assert_eq!((made.r#type.as_str(), made.action.as_str()), ("node", "create"));
        let down = of_node(Some(&with(NodeState::Ready, "")), &with(NodeState::Down, "silent")).unwrap();
        assert_eq!(down.action, "update");
        let told: Vec<_> = down.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(told, ["message=silent", "state.new=down", "state.old=ready"]);
        assert_eq!(of_node(Some(&node()), &node()), None);
    }

    #[test]
    fn f20_trouble_with_a_node_that_goes_on_has_a_beginning_and_an_end() {
        let (well, ill) = (with(NodeState::Ready, ""), with(NodeState::Ready, "no certificate"));
        let began = of_node(Some(&well), &ill).unwrap();
        assert_eq!(
            (began.action.as_str(), began.attributes["message"].as_str()),
            ("trouble", "no certificate")
        );
        assert_eq!(of_node(Some(&ill), &well).unwrap().action, "trouble-over");
        assert_eq!(of_node(Some(&ill), &ill), None);
    }

    #[test]
    fn nothing_is_kept_for_nobody_and_a_snapshot_is_a_gap() {
        let mut state = crate::leader::testing::of_level(2, &[(1, 2)]);
        let news = News::default();
        news.offer(&state, 1, &[Event::DefaultsChanged]);
        assert!(news.seen.lock().is_none());
        let mut watcher = news.watch(&state).unwrap();
        let node = state.nodes().next().unwrap().id;
        let index = state.revision() + 1;
        let command = Command::SetNodeStatus {
            node,
            state: NodeState::Ready,
            message: "careful".into(),
            session: None,
        };
        let applied = swarm_state::apply(&mut state, index, &Entry { request: None, now_ms: 7, command });
        news.offer(&state, 7, &applied.events);
        let Told::Event(told) = watcher.told.try_recv().unwrap() else { panic!("a gap") };
        assert_eq!((told.at_ms, told.id.as_str()), (7, node.as_str()));
        news.start_over(&state);
        assert_eq!(watcher.told.try_recv(), Ok(Told::Gap));
        drop(watcher);
        news.offer(&state, 8, &[Event::DefaultsChanged]);
        assert!(news.seen.lock().is_none());
        let places: Vec<_> = (0..MOST_WATCHERS).map(|_| news.watch(&state).unwrap()).collect();
        assert!(news.watch(&state).is_none());
        drop(places);
        assert!(news.watch(&state).is_some());
    }
}
