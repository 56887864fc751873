//! The table against the descriptors of the wire, and callers against the record.

use crate::authorise::{Denied, Roster, Standing, authorise, permits};
use crate::caller::{Caller, Identity};
use crate::method::Method;
use prost::Message;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use swarm_model::{Availability, ClusterId, Labels, Node, NodeId, NodeState, NodeStatus, Role};

/// The few fields of `google.protobuf.FileDescriptorSet` that name methods.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}
#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Named>,
}
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

#[test]
fn every_method_served_on_2377_is_in_the_table_and_no_other() {
    let files = Files::decode(swarm_proto::DESCRIPTORS).unwrap();
    let services = files.file.iter().flat_map(|file| &file.service);
    // The local socket's own service is served by the daemon, to whoever may open that socket.
    let served = services.filter(|service| service.name != "Local");
    let on_wire: BTreeSet<String> = served
        .flat_map(|service| service.method.iter().map(|method| format!("{}/{}", service.name, method.name)))
        .collect();
    let in_table: BTreeSet<String> = Method::ALL.iter().map(|method| method.name().to_owned()).collect();
    assert_eq!(on_wire, in_table);
    assert!(on_wire.len() > 20, "the descriptors were not read: {on_wire:?}");
}

fn allowed(standing: Standing) -> BTreeSet<&'static str> {
    let methods = Method::ALL.iter().filter(|method| permits(**method, standing));
    methods.map(|method| method.name().split('/').next().unwrap_or_default()).collect()
}

#[test]
fn each_standing_reaches_its_services_only() {
    assert_eq!(allowed(Standing::LocalOperator), BTreeSet::from(["Control"]));
    assert_eq!(allowed(Standing::Anonymous), BTreeSet::from(["Ca"]));
    assert_eq!(allowed(Standing::Worker), BTreeSet::from(["Attachments", "Ca", "Dispatcher", "Recovery"]));
    assert_eq!(allowed(Standing::Manager).len(), 7);
    assert!(!permits(Method::Backup, Standing::Worker), "the root CA's key is in it");
    assert!(!permits(Method::Renew, Standing::Anonymous), "renewing needs the certificate that is renewed");
}

#[test]
fn names_find_their_methods() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(*method));
    }
    assert_eq!(Method::from_name("Control/DropEverything"), None);
}

struct Record(Option<Node>);

fn cluster(number: u8) -> ClusterId {
    ClusterId::from_random([number; 16])
}

impl Roster for Record {
    fn cluster(&self) -> Option<ClusterId> {
        self.0.as_ref().map(|_| cluster(1))
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.0.as_ref().filter(|node| node.id == id)
    }
}

fn on_record(role: Role, state: NodeState) -> Record {
    let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Record(Some(Node {
        id: NodeId::from_random([1; 16]),
        hostname: "n1".to_owned(),
        role,
        availability: Availability::Active,
        labels: Labels::new(),
        addr,
        data_path_addr: addr,
        version: String::new(),
        status: NodeStatus { state, message: String::new(), since_ms: 0 },
        manager: None,
        joined_ms: 0,
        revision: 0,
        features: 0,
    }))
}

fn holder(node: u8, role: Role, of: u8) -> Caller {
    Caller::Node(Identity { node: NodeId::from_random([node; 16]), role, cluster: cluster(of) })
}

fn ask(caller: Caller, method: Method, record: &Record) -> Result<(), Denied> {
    authorise(caller, method, (), record).map(drop)
}

#[test]
fn a_certificate_counts_no_more_than_the_record_and_no_more_than_itself() {
    let (worker, manager) =
        (on_record(Role::Worker, NodeState::Ready), on_record(Role::Manager, NodeState::Ready));
    let demoted = ask(holder(1, Role::Manager, 1), Method::CreateNetwork, &worker);
    assert!(matches!(demoted, Err(Denied::NotPermitted { standing: Standing::Worker, .. })), "{demoted:?}");
    let promoted = ask(holder(1, Role::Worker, 1), Method::CreateNetwork, &manager);
    assert!(matches!(promoted, Err(Denied::NotPermitted { standing: Standing::Worker, .. })), "{promoted:?}");
    assert_eq!(ask(holder(1, Role::Worker, 1), Method::Session, &manager), Ok(()));
    assert_eq!(ask(holder(1, Role::Manager, 1), Method::CreateNetwork, &manager), Ok(()));
}

#[test]
fn strangers_the_removed_and_other_clusters_are_refused() {
    let record = on_record(Role::Manager, NodeState::Ready);
    let stranger = ask(Caller::Anonymous, Method::ListNodes, &record);
    assert!(matches!(stranger, Err(Denied::NoCertificate { .. })));
    let removed = ask(holder(2, Role::Manager, 1), Method::ListNodes, &record);
    assert!(matches!(removed, Err(Denied::NotMember { .. })));
    let foreign = ask(holder(1, Role::Manager, 2), Method::ListNodes, &record);
    assert!(matches!(foreign, Err(Denied::OtherCluster { .. })));
    let gone = on_record(Role::Manager, NodeState::Disconnected);
    assert!(matches!(
        ask(holder(1, Role::Manager, 1), Method::Session, &gone),
        Err(Denied::NotMember { .. })
    ));
    assert_eq!(ask(holder(1, Role::Manager, 1), Method::LeaveRaft, &gone), Ok(()));
}

#[test]
fn a_manager_without_any_record_yet_takes_raft_from_managers_only() {
    let nothing = Record(None);
    assert_eq!(ask(holder(1, Role::Manager, 1), Method::Append, &nothing), Ok(()));
    let worker = ask(holder(1, Role::Worker, 1), Method::Append, &nothing);
    assert!(matches!(worker, Err(Denied::NotPermitted { .. })));
    assert!(matches!(ask(Caller::Anonymous, Method::Append, &nothing), Err(Denied::NoCertificate { .. })));
}
