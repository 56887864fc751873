//! Every method of every service on the wire, called by everybody who may come: F21, S75.

use crate::harness::{Host, WorkerHost};
use crate::poll::until;
use crate::sessions::Session;
use std::path::Path;
use swarm_identity::{Credentials, Dialler, NodeIdentity, RootCa, Subject, UserIdentity, Validity};
use swarm_identity::{admission, new_key_and_csr, random};
use swarm_model::Role;
use swarm_proto::v1;
use swarm_proto::v1::control_client::ControlClient;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// An empty message, which for the calls that are let through is one with every field missing.
async fn call(channel: &Channel, method: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let path = format!("/swarm.v1.{method}").parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    client.server_streaming(Request::new(()), path, codec).await.map(drop)
}

const LOOKS: [&str; 9] = [
    "Control/GetCluster",
    "Control/ListNodes",
    "Control/GetNode",
    "Control/ListNetworks",
    "Control/GetNetwork",
    "Control/ListEndpoints",
    "Control/ListJoinTokens",
    "Control/ListUsers",
    "Control/WatchEvents",
];
const OPERATES: [&str; 4] =
    ["Control/UpdateNode", "Control/CreateNetwork", "Control/RemoveNetwork", "Control/PruneNetworks"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    Nobody,
    Worker,
    Removed,
    Viewer,
    Operator,
    Admin,
    RemovedUser,
    Manager,
}

/// Written down once more, by other words than the table has.
fn may(who: Who, method: &str) -> bool {
    let of = |services: &[&str]| services.iter().any(|service| method.starts_with(service));
    let admits = ["Ca/GetRootCa", "Ca/Issue", "Ca/RenewExpired"].contains(&method);
    let user = method == "Ca/GetRootCa" || LOOKS.contains(&method);
    match who {
        Who::Nobody => admits,
        Who::Worker => of(&["Ca/", "Dispatcher/", "Attachments/", "Recovery/"]),
        // Whoever is not known may be admitted once more.
        Who::Removed => admits,
        Who::Viewer => user,
        Who::Operator => user || OPERATES.contains(&method),
        Who::Admin => method == "Ca/GetRootCa" || of(&["Control/"]),
        Who::RemovedUser => false,
        Who::Manager => true,
    }
}

/// What goes on to change the node or the managers when it is let through.
fn is_harmless(method: &str) -> bool {
    ["Ca/", "Control/"].iter().any(|service| method.starts_with(service))
}

async fn walk(channel: &Channel, who: Who) {
    for method in swarm_proto::methods_on_2377() {
        let may = may(who, &method);
        if may && !is_harmless(&method) {
            continue;
        }
        let answer = call(channel, &method).await;
        let code = answer.as_ref().err().map(Status::code);
        let denied = matches!(code, Some(Code::PermissionDenied | Code::Unauthenticated));
        let said = answer.err().map(|status| status.message().to_owned()).unwrap_or_default();
        // A token and a certificate that are none are refused with these codes too.
        let none = ["token", "certificate shown"].iter().any(|what| said.contains(what));
        let denied = denied && !(method.starts_with("Ca/") && none);
        assert_eq!(denied, !may, "{who:?} calls {method}: {code:?} {said}");
    }
}

async fn user(control: &mut ControlClient<Channel>, name: &str, role: v1::UserRole) -> UserIdentity {
    let (key, csr_der) = new_key_and_csr().unwrap();
    let (name, role) = (name.to_owned(), role.into());
    let request = v1::CreateUserRequest { name, role, csr_der, ..Default::default() };
    let made = control.create_user(request).await.unwrap().into_inner();
    UserIdentity::new(key, &made.certificate_chain).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s75_everybody_reaches_what_the_table_says_and_nothing_else() {
    let host = Host::first().await;
    let (mut control, addr) = (host.control().await, host.addr.to_string());
    let nobody = admission::channel(&addr, &host.credentials.ca_digest()).await.unwrap();
    walk(&nobody, Who::Nobody).await;
    let (worker, removed) = (WorkerHost::joined(&host, "w1").await, WorkerHost::joined(&host, "w2").await);
    walk(&Dialler::new(worker.credentials.clone()).to_manager(&addr).await.unwrap(), Who::Worker).await;
    let remove = v1::RemoveNodeRequest { reference: "w2".to_owned(), force: true, ..Default::default() };
    control.remove_node(remove).await.unwrap();
    walk(&Dialler::new(removed.credentials.clone()).to_manager(&addr).await.unwrap(), Who::Removed).await;
    // All of them first: whoever may do everything replaces the root CA.
    let mut users = Vec::new();
    for (who, name, role) in [
        (Who::Viewer, "vera", v1::UserRole::Viewer),
        (Who::Operator, "otto", v1::UserRole::Operator),
        (Who::RemovedUser, "greta", v1::UserRole::Admin),
        (Who::Admin, "anna", v1::UserRole::Admin),
    ] {
        users.push((who, user(&mut control, name, role).await.channel(&addr).await.unwrap()));
    }
    let remove = v1::RemoveUserRequest { reference: "greta".to_owned(), ..Default::default() };
    control.remove_user(remove).await.unwrap();
    for (who, channel) in users {
        walk(&channel, who).await;
    }
    walk(&Dialler::new(host.credentials.clone()).to_manager(&addr).await.unwrap(), Who::Manager).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_another_ca_s_certificate_does_not_come_in_whatever_it_says() {
    let host = Host::first().await;
    let ours = host.credentials.peer();
    let foreign = RootCa::generate(ours.cluster, 1_000).unwrap();
    let (key, csr) = new_key_and_csr().unwrap();
    let subject = Subject { node: ours.node, role: Role::Manager, cluster: ours.cluster };
    let chain =
        foreign.sign(&csr, &subject, Validity { from_ms: 1_000, until_ms: 4_000_000_000_000 }).unwrap();
    let roots = format!("{}{}", foreign.cert_pem(), host.credentials.root_ca_pem());
    let identity = Credentials::new(NodeIdentity::new(key, &chain, &roots).unwrap()).unwrap();
    assert!(Dialler::new(identity).to_manager(&host.addr.to_string()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_a_request_that_made_a_token_does_not_show_another_secret() {
    let host = Host::first().await;
    let request = v1::CreateJoinTokenRequest {
        role: v1::Role::Worker.into(),
        request_id: random::new_id::<swarm_model::NodeId>().to_string(),
        ..Default::default()
    };
    let mut control = host.control().await;
    let made = control.create_join_token(request.clone()).await.unwrap().into_inner();
    let again = control.create_join_token(request).await.unwrap_err();
    assert!(again.message().contains("shown only once"), "{again}");
    assert!(made.token.starts_with("SWMTKN-1-"));
    assert_eq!(host.manager.read(|state| state.tokens().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_were_shown_are_not_in_the_audit_log() {
    let host = Host::first().await;
    let mut control = host.control().await;
    let create = v1::CreateJoinTokenRequest { role: v1::Role::Worker.into(), uses: 1, ..Default::default() };
    let made = control.create_join_token(create).await.unwrap().into_inner().token;
    let token = made.parse().unwrap();
    crate::harness::admit(host.addr, &token, "w1").await.unwrap();
    let refused = crate::harness::admit(host.addr, &token, "w2").await.unwrap_err();
    assert!(refused.message().contains("used up"), "{refused}");
    let text = until("both attempts are told", async || {
        let read = |name| std::fs::read_to_string(host.dir().join("audit").join(name)).ok();
        let text = read("audit.log")? + &read("others.log")?;
        (text.contains("node w1") && text.contains("node w2")).then_some(text)
    })
    .await;
    assert!(!text.contains(token.secret()) && !text.contains("SWMTKN"), "{text}");
    let line = text.lines().find(|line| line.contains("node w2")).unwrap();
    assert!(line.contains("\"refused\"") && line.contains("used up") && line.contains("127.0.0.1"), "{line}");
    assert!(Path::new(&host.dir().join("audit")).is_dir());
}

/// Everything a worker is told while others come and go on networks that are not its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s75_a_worker_hears_only_what_its_own_endpoints_need() {
    let host = Host::first().await;
    let (mine, other) = (WorkerHost::joined(&host, "w1").await, WorkerHost::joined(&host, "w2").await);
    let (shared, foreign) =
        (host.create_network("shared").await.unwrap(), host.create_network("foreign").await.unwrap());
    let mut control = host.control().await;
    let role = v1::Role::Worker.into();
    control.create_join_token(v1::CreateJoinTokenRequest { role, ..Default::default() }).await.unwrap();
    user(&mut control, "anna", v1::UserRole::Admin).await;
    other.attach(&host, "foreign", "hidden-before").await.unwrap();
    let mut session = Session::open(&mine, &host, &[]).await.unwrap();
    mine.attach(&host, "shared", "own").await.unwrap();
    other.attach(&host, "foreign", "hidden-after").await.unwrap();
    let (_, revision) = other.attach(&host, "shared", "neighbour").await.unwrap();
    session.reach(revision).await;
    let heard = session.heard;
    assert!(["own", "neighbour", &shared.id].iter().all(|needed| heard.contains(needed)), "{heard}");
    let (worker, manager, key) = host.manager.read(|state| {
        let cluster = state.cluster().unwrap();
        let secrets = &cluster.join_secrets;
        (secrets.worker.clone(), secrets.manager.clone(), cluster.root_ca_key.clone())
    });
    let key = key.lines().nth(1).unwrap_or_default();
    for kept_back in ["hidden", "foreign", &foreign.id, "anna", &worker, &manager, key, "PRIVATE KEY"] {
        assert!(!heard.contains(kept_back), "a worker was told {kept_back}: {heard}");
    }
}
