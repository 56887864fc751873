//! The table against the descriptors of the wire, and callers against the record.

use crate::authorise::{Denied, Roster, Standing, authorise, by_certificate_alone, permits, permits_role};
use crate::caller::{Caller, Identity, UserIdentity};
use crate::method::Method;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use swarm_model::{
    Availability, ClusterId, Labels, Node, NodeId, NodeState, NodeStatus, Role, User, UserId, UserRole,
};

#[test]
fn every_method_served_on_2377_is_in_the_table_and_no_other() {
    let on_wire: BTreeSet<String> = swarm_proto::methods_on_2377().into_iter().collect();
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

struct Record(Option<Node>, Option<User>);

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

    fn user(&self, id: UserId) -> Option<&User> {
        self.1.as_ref().filter(|user| user.id == id)
    }
}

fn on_record(role: Role, state: NodeState) -> Record {
    let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let node = Node {
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
        incarnation: None,
    };
    Record(Some(node), None)
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

/// Names of methods are nobody's words.
#[test]
fn refusals_say_what_was_wanted_in_words() {
    for method in Method::ALL.iter().copied() {
        let standing = Standing::User(UserRole::Viewer);
        for denied in [Denied::NotPermitted { method, standing }, Denied::NoCertificate { method }] {
            let said = denied.to_string();
            assert!(!said.contains('/') && said.contains(method.wish()), "{said}");
        }
    }
    let denied = Denied::RoleNotPermitted { standing: Standing::User(UserRole::Operator) };
    assert!(denied.to_string().starts_with("a user who is an operator may not promote or demote nodes"));
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
    let nothing = Record(None, None);
    assert_eq!(ask(holder(1, Role::Manager, 1), Method::Append, &nothing), Ok(()));
    let worker = ask(holder(1, Role::Worker, 1), Method::Append, &nothing);
    assert!(matches!(worker, Err(Denied::NotPermitted { .. })));
    assert!(matches!(ask(Caller::Anonymous, Method::Append, &nothing), Err(Denied::NoCertificate { .. })));
}

const VIEWER: Standing = Standing::User(UserRole::Viewer);
const OPERATOR: Standing = Standing::User(UserRole::Operator);
const ADMIN: Standing = Standing::User(UserRole::Admin);

#[test]
fn each_role_of_users_may_what_those_below_it_may_and_none_is_a_node() {
    let of = |standing| -> BTreeSet<Method> {
        Method::ALL.iter().copied().filter(|method| permits(*method, standing)).collect()
    };
    let (viewer, operator, admin) = (of(VIEWER), of(OPERATOR), of(ADMIN));
    assert!(viewer.is_subset(&operator) && operator.is_subset(&admin));
    assert_eq!((viewer.len(), operator.len(), admin.len()), (10, 14, 26));
    assert_eq!(allowed(ADMIN), BTreeSet::from(["Ca", "Control"]));
    assert!(
        !permits(Method::Issue, ADMIN) && !permits(Method::Renew, ADMIN) && !permits(Method::Propose, ADMIN)
    );
    let shows_a_secret = [Method::GetJoinToken, Method::CreateJoinToken, Method::CreateUser, Method::Backup];
    assert!(shows_a_secret.iter().all(|method| !operator.contains(method) && admin.contains(method)));
    let roles = Standing::ALL.map(permits_role);
    assert_eq!(roles, [true, true, false, false, false, false, true]);
}

#[test]
fn a_user_counts_as_its_record_says_and_without_one_for_nothing() {
    let id = UserId::from_random([7; 16]);
    let mut record = on_record(Role::Manager, NodeState::Ready);
    let caller = |of: u8| Caller::User(UserIdentity { user: id, cluster: cluster(of) });
    let removed = ask(caller(1), Method::ListNodes, &record);
    assert_eq!(removed, Err(Denied::NotAUser { user: id }));
    let role = UserRole::Viewer;
    record.1 = Some(User {
        id,
        name: "anna".to_owned(),
        role,
        created_ms: 0,
        expires_ms: 1,
        outdated_ms: None,
        rotation: None,
    });
    assert_eq!(ask(caller(1), Method::ListNodes, &record), Ok(()));
    let denied = ask(caller(1), Method::CreateNetwork, &record);
    assert_eq!(denied, Err(Denied::NotPermitted { method: Method::CreateNetwork, standing: VIEWER }));
    assert!(matches!(ask(caller(2), Method::ListNodes, &record), Err(Denied::OtherCluster { .. })));
    // Its id is no node's, even where a node has the same.
    let same = Caller::User(UserIdentity { user: UserId::from_random([1; 16]), cluster: cluster(1) });
    assert!(matches!(ask(same, Method::Session, &record), Err(Denied::NotAUser { .. })));
}

#[test]
fn nothing_managers_say_to_each_other_is_taken_from_the_removed_and_those_who_left() {
    let (known, gone) =
        (on_record(Role::Manager, NodeState::Ready), on_record(Role::Manager, NodeState::Disconnected));
    for method in [
        Method::Append,
        Method::Vote,
        Method::PreVote,
        Method::InstallSnapshot,
        Method::TransferLeader,
        Method::Greet,
        Method::Survey,
    ] {
        assert!(matches!(ask(holder(2, Role::Manager, 1), method, &known), Err(Denied::NotMember { .. })));
        assert!(matches!(ask(holder(1, Role::Manager, 1), method, &gone), Err(Denied::NotMember { .. })));
    }
    let alone = |role, method| {
        let Caller::Node(identity) = holder(2, role, 1) else { return Ok(()) };
        by_certificate_alone(&identity, method)
    };
    assert_eq!(alone(Role::Manager, Method::Greet), Ok(()));
    assert!(alone(Role::Worker, Method::Greet).is_err() && alone(Role::Manager, Method::Propose).is_err());
}
