//! Three managers: any of them answers, one may go.

use crate::harness::{Host, WorkerHost, admit};
use crate::poll::until;
use crate::sessions::Session;
use swarm_model::Role;
use swarm_proto::v1;
use swarm_proto::v1::control_server::Control;
use tonic::Code;

async fn three() -> [Host; 3] {
    let first = Host::first().await;
    let second = Host::joined(&first, "n2").await;
    let third = Host::joined(&second, "n3").await;
    [first, second, third]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_manager_takes_writes_and_answers_what_was_just_written() {
    let hosts = three().await;
    for (number, host) in hosts.iter().enumerate() {
        host.create_network(&format!("net{number}")).await.unwrap();
        for other in &hosts {
            assert!(other.networks().await.contains(&format!("net{number}")));
        }
    }
    let rotate = v1::RotateJoinTokenRequest { role: v1::Role::Worker.into(), request_id: String::new() };
    let rotated = hosts[1].control().await.rotate_join_token(rotate).await.unwrap().into_inner().token;
    assert_eq!(hosts[2].token(Role::Worker).await.to_string(), rotated);
    let reachable = |node: v1::Node| node.manager.unwrap().reachability();
    assert_eq!(reachable(hosts[2].node_named("n1").await), v1::Reachability::Leader);
    assert_eq!(reachable(hosts[2].node_named("n2").await), v1::Reachability::Reachable);
    let quorum = hosts[1].manager.quorum().await;
    assert_eq!((quorum.voters, quorum.reachable, quorum.survives()), (3, 3, 1));
}

/// Seen by the benchmark of writes: each change of a node asked every other manager over a connection of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_node_costs_no_connection() {
    const CHANGES: u64 = 40;
    let hosts = three().await;
    let mut control = hosts[0].control().await;
    let before: u64 = hosts.iter().map(|host| host.connections.counts().accepted).sum();
    for number in 0..CHANGES {
        let update = v1::UpdateNodeRequest {
            reference: "n2".to_owned(),
            labels_add: [("n".to_owned(), number.to_string())].into(),
            ..v1::UpdateNodeRequest::default()
        };
        control.update_node(update).await.unwrap();
    }
    let after: u64 = hosts.iter().map(|host| host.connections.counts().accepted).sum();
    // Managers look for each other now and then whatever is asked of them.
    assert!(after - before < CHANGES / 2, "{} connections for {CHANGES} changes", after - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_joins_through_a_follower_and_holds_its_session_there() {
    let [first, second, third] = three().await;
    let worker = WorkerHost::joined(&third, "w1").await;
    let mut session = Session::open(&worker, &second, &[]).await.unwrap();
    first.create_network("web").await.unwrap();
    let (_, revision) = worker.attach(&third, "web", "a").await.unwrap();
    session.reach(revision).await;
    assert_eq!(session.networks(), ["web"]);
    assert_eq!(session.held.managers.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_leader_the_cluster_goes_on_and_sessions_elsewhere_are_not_disturbed() {
    let [first, second, third] = three().await;
    let worker = WorkerHost::joined(&first, "w1").await;
    let mut session = Session::open(&worker, &second, &[]).await.unwrap();
    let dead = first.crash();
    second.create_network("after").await.expect("the write waits for the new leader");
    let (_, revision) = worker.attach(&third, "after", "a").await.unwrap();
    // The stream opened before the crash goes on.
    session.reach(revision).await;
    assert_eq!(session.networks(), ["after"]);
    assert_eq!(third.node_named("w1").await.status.unwrap().state(), v1::NodeState::Ready);
    until("the killed manager is shown as such", async || {
        let manager = third.node_named("n1").await.manager.unwrap();
        (manager.reachability() == v1::Reachability::Unreachable).then_some(())
    })
    .await;
    let back = dead.restart().await;
    until("the killed manager is back with what it missed", async || {
        back.networks().await.contains(&"after".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_moves_to_another_manager_ends_the_old_one_and_leaves_its_node_ready() {
    let [first, second, third] = three().await;
    let worker = WorkerHost::joined(&first, "w1").await;
    let old = Session::open(&worker, &second, &[]).await.unwrap();
    let _new = Session::open(&worker, &third, &[]).await.unwrap();
    assert_eq!(old.end().await.code(), Code::Aborted);
    assert_eq!(first.node_named("w1").await.status.unwrap().state(), v1::NodeState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_a_crashed_manager_served_are_declared_lost_by_the_leader() {
    let [first, second, third] = three().await;
    let worker = WorkerHost::joined(&first, "w1").await;
    let _session = Session::open(&worker, &third, &[]).await.unwrap();
    let _dead = third.crash();
    until("the node is down", async || {
        let state = second.node_named("w1").await.status.unwrap().state();
        (state == v1::NodeState::Down).then_some(())
    })
    .await;
    let _session = Session::open(&worker, &second, &[]).await.unwrap();
    assert_eq!(first.node_named("w1").await.status.unwrap().state(), v1::NodeState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_writes_and_fresh_reads_say_so_in_time() {
    let [first, second, third] = three().await;
    drop((second.crash(), third.crash()));
    let started = tokio::time::Instant::now();
    let status = first.create_network("web").await.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded), "{status:?}");
    let status = first.control().await.list_networks(v1::ListNetworksRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("no leader"), "{}", status.message());
    assert!(started.elapsed().as_secs() < 25, "{:?}", started.elapsed());
    until("the leader that lost its quorum does not name itself", async || {
        let request = v1::GetClusterRequest {};
        let quorum = first.control().await.get_cluster(request).await.unwrap().into_inner().quorum.unwrap();
        assert_eq!(quorum.managers, 3);
        ((quorum.reachable, quorum.leader.as_str()) == (1, "")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_manager_judges_nobody_by_records_that_may_be_old() {
    let [first, second, third] = three().await;
    let worker = WorkerHost::joined(&first, "w1").await;
    let dead = third.crash();
    worker.dispatcher(&first).await.leave(v1::LeaveClusterRequest::default()).await.unwrap();
    drop((first.crash(), second.crash()));
    // Alone it cannot know that the worker has left.
    let alone = dead.restart().await;
    let asked = tokio::time::Instant::now();
    let status = worker.attach(&alone, "web", "a").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("just started"), "{}", status.message());
    assert!(asked.elapsed().as_secs() < 8, "{:?}", asked.elapsed());
    let local = alone.manager.local_control();
    let seen = local.get_cluster(tonic::Request::new(v1::GetClusterRequest {})).await.unwrap();
    assert_eq!(seen.into_inner().quorum.unwrap().managers, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_leave_one_after_another_the_leader_too() {
    let [first, second, third] = three().await;
    first.manager.leave(false).await.unwrap();
    first.manager.shutdown().await;
    until("two managers are left", async || {
        let quorum = second.manager.quorum().await;
        (quorum.voters == 2 && quorum.leader.is_some()).then_some(())
    })
    .await;
    // Its worker says good-bye before its manager does.
    let own_worker = WorkerHost { credentials: third.credentials.clone(), hostname: "n3".to_owned() };
    own_worker.dispatcher(&third).await.leave(v1::LeaveClusterRequest::default()).await.unwrap();
    third.manager.leave(false).await.unwrap();
    third.manager.shutdown().await;
    until("one manager is left", async || {
        let quorum = second.manager.quorum().await;
        (quorum.voters == 1 && quorum.leader == Some(second.node())).then_some(())
    })
    .await;
    second.create_network("alone").await.unwrap();
    assert_eq!(second.node_named("n3").await.manager, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_does_not_answer_under_its_identity_is_refused_and_nothing_changes() {
    let first = Host::first().await;
    let token = first.token(Role::Manager).await;
    let identity = admit(first.addr, &token, "n2").await.unwrap();
    let second = Host::start(identity).await;
    let raft_id = second.manager.quorum().await.term + 7;
    let dialler = swarm_identity::Dialler::new(second.credentials.clone());
    let channel = dialler.to_manager(&first.addr.to_string()).await.unwrap();
    let mut membership = v1::membership_client::MembershipClient::new(channel);
    // The first manager's own address: somebody answers there, but not the joiner.
    let request = v1::JoinRaftRequest { raft_id, addr: first.addr.to_string() };
    let status = membership.join_raft(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("cannot reach"), "{}", status.message());
    assert_eq!(first.manager.quorum().await.voters, 1);
    assert_eq!(first.node_named("n2").await.status.unwrap().state(), v1::NodeState::Disconnected);
    first.create_network("web").await.unwrap();
}
