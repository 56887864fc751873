//! A cluster of one manager: the control API, references, refusals, restarts.

use crate::harness::{Host, WorkerHost, control_of, spec};
use crate::poll::until;
use swarm_identity::random;
use swarm_model::{NodeId, Role};
use swarm_proto::v1;
use tonic::Code;

fn request_id() -> String {
    random::new_id::<NodeId>().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_cluster_answers_and_knows_itself() {
    let host = Host::first().await;
    let mut control = host.control().await;
    let cluster = control.get_cluster(v1::GetClusterRequest {}).await.unwrap().into_inner();
    let quorum = cluster.quorum.unwrap();
    assert_eq!((quorum.managers, quorum.reachable, quorum.survives), (1, 1, 0));
    assert_eq!(quorum.leader, host.node().to_string());
    assert_eq!((cluster.nodes, cluster.networks), (1, 1));
    let node = host.node_named("n1").await;
    assert_eq!(node.manager.unwrap().reachability(), v1::Reachability::Leader);
    assert_eq!(host.networks().await, ["ingress"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_are_made_once_per_request_and_found_by_every_reference() {
    let host = Host::first().await;
    let mut control = host.control().await;
    let request = v1::CreateNetworkRequest { spec: Some(spec("web")), request_id: request_id() };
    let made = control.create_network(request.clone()).await.unwrap().into_inner().network.unwrap();
    let again = control.create_network(request).await.unwrap().into_inner().network.unwrap();
    assert_eq!(made, again);
    assert!(made.vni >= 4096 && made.subnets.len() == 1);
    let taken = host.create_network("web").await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
    for reference in [made.id.as_str(), "web", &made.id[..8]] {
        let get = v1::GetNetworkRequest { reference: reference.to_owned() };
        let found = control.get_network(get).await.unwrap().into_inner().network.unwrap();
        assert_eq!(found.id, made.id);
    }
    let remove = |reference: &str| v1::RemoveNetworkRequest {
        reference: reference.to_owned(),
        request_id: String::new(),
    };
    assert_eq!(control.remove_network(remove("nope")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(control.remove_network(remove("ingress")).await.unwrap_err().code(), Code::FailedPrecondition);
    control.remove_network(remove("web")).await.unwrap();
    assert_eq!(host.networks().await, ["ingress"]);
}

/// Found by the chaos run of seed 2: the answer to the first try was lost, and the second said "not found".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_is_asked_for_again_is_answered_as_the_first_time() {
    let host = Host::first().await;
    let mut control = host.control().await;
    host.create_network("web").await.unwrap();
    let request = v1::RemoveNetworkRequest { reference: "web".to_owned(), request_id: request_id() };
    let removed = control.remove_network(request.clone()).await.unwrap().into_inner();
    assert_eq!(control.remove_network(request.clone()).await.unwrap().into_inner(), removed);
    // Nor does it take another that has the name now.
    host.create_network("web").await.unwrap();
    assert_eq!(control.remove_network(request).await.unwrap().into_inner(), removed);
    assert_eq!(host.networks().await, ["ingress", "web"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_name_the_field_and_change_nothing() {
    let host = Host::first().await;
    let mut control = host.control().await;
    let unnamed = v1::CreateNetworkRequest { spec: Some(spec("no label!")), request_id: String::new() };
    let status = control.create_network(unnamed).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("name"), "{}", status.message());
    let odd = v1::CreateNetworkRequest { spec: Some(spec("web")), request_id: "short".to_owned() };
    assert_eq!(control.create_network(odd).await.unwrap_err().code(), Code::InvalidArgument);
    let nobody = v1::RotateJoinTokenRequest { role: 0, request_id: String::new() };
    assert_eq!(control.rotate_join_token(nobody).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(host.networks().await, ["ingress"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_may_not_use_the_control_api_nor_speak_for_others() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let mut control = control_of(&worker.credentials, host.addr).await;
    let status = control.list_nodes(v1::ListNodesRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let mut forged = tonic::Request::new(v1::ListNodesRequest {});
    forged.metadata_mut().insert("swarm-forwarded-peer", "\"LocalOperator\"".parse().unwrap());
    assert_eq!(control.list_nodes(forged).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_manager_comes_back_to_the_same_cluster() {
    let host = Host::first().await;
    let network = host.create_network("web").await.unwrap();
    let token = host.token(Role::Worker).await.to_string();
    let host = host.crash().restart().await;
    let found = until("the network after a restart", async || {
        let get = v1::GetNetworkRequest { reference: "web".to_owned() };
        host.control().await.get_network(get).await.ok()
    })
    .await;
    assert_eq!(found.into_inner().network.unwrap(), network);
    assert_eq!(host.token(Role::Worker).await.to_string(), token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_manager_leaves_by_force_only() {
    let host = Host::first().await;
    let refused = host.manager.leave(false).await.unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    host.manager.leave(true).await.unwrap();
}
