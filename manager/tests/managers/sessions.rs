//! Worker sessions: the whole, then changes that chain, and what a node's silence comes to.

use crate::harness::{Host, WorkerHost};
use crate::poll::until;
use std::time::Duration;
use swarm_model::{Assigned, Assignment};
use swarm_proto::v1::manager_message::Message;
use swarm_proto::v1::{self, worker_message};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, Streaming};

/// A third of the heartbeat that most clusters here are made with.
const BEAT: Duration = Duration::from_millis(100);

/// A worker's end of a session, with the assignment it holds. Beats until it is dropped.
pub struct Session {
    _beats: Option<AbortOnDropHandle<()>>,
    from_manager: Streaming<v1::ManagerMessage>,
    pub held: Assigned,
    pub id: String,
    /// Incremental messages taken so far.
    pub steps: usize,
    /// Every message that came, as text.
    pub heard: String,
}

fn message(message: worker_message::Message) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}

async fn beat(to_manager: mpsc::Sender<v1::WorkerMessage>) {
    let beat = || message(worker_message::Message::Heartbeat(v1::Heartbeat {}));
    while to_manager.send(beat()).await.is_ok() {
        sleep(BEAT).await;
    }
}

impl Session {
    pub async fn open(worker: &WorkerHost, to: &Host, held: &[String]) -> Result<Self, Status> {
        let (mut session, to_manager) = Self::open_silent(worker, to, held).await?;
        session._beats = Some(AbortOnDropHandle::new(tokio::spawn(beat(to_manager))));
        Ok(session)
    }

    /// One that does not beat; it ends when what goes to the manager is dropped.
    pub async fn open_silent(
        worker: &WorkerHost,
        to: &Host,
        held: &[String],
    ) -> Result<(Self, mpsc::Sender<v1::WorkerMessage>), Status> {
        let register = v1::Register {
            hostname: worker.hostname.clone(),
            addr: "127.0.0.1".to_owned(),
            data_path_addr: "127.0.0.1".to_owned(),
            version: "1.0".to_owned(),
            features: swarm_model::FEATURE_LEVEL,
            held: held.to_vec(),
            revision: u64::MAX,
            last_session: None,
            epoch: 0,
            past: Vec::new(),
        };
        let (to_manager, messages) = mpsc::channel(8);
        to_manager.send(message(worker_message::Message::Register(register))).await.unwrap();
        let mut client = worker.dispatcher(to).await;
        let from_manager = client.session(ReceiverStream::new(messages)).await?.into_inner();
        let (held, id) = (Assigned::default(), String::new());
        let mut session = Self { _beats: None, from_manager, held, id, steps: 0, heard: String::new() };
        let Some(Message::Welcome(welcome)) = session.next().await? else { panic!("no welcome") };
        session.id = welcome.session;
        let Some(Message::Complete(whole)) = session.next().await? else { panic!("no whole") };
        session.held = whole.try_into().unwrap();
        Ok((session, to_manager))
    }

    pub async fn next(&mut self) -> Result<Option<Message>, Status> {
        let next = timeout(Duration::from_secs(10), self.from_manager.message());
        let next = next.await.expect("a message in time")?;
        self.heard += &format!("{next:?}");
        Ok(next.and_then(|message| message.message))
    }

    /// Takes the next assignment.
    pub async fn step(&mut self) -> Result<(), Status> {
        loop {
            let assignment: Assignment = match self.next().await? {
                Some(Message::Complete(whole)) => whole.try_into().unwrap(),
                Some(Message::Incremental(step)) => {
                    self.steps += 1;
                    step.try_into().unwrap()
                }
                Some(Message::Welcome(_) | Message::Heartbeat(_)) | None => continue,
            };
            self.held.take(assignment).expect("the chain has no gap");
            return Ok(());
        }
    }

    pub async fn reach(&mut self, revision: u64) {
        while self.held.revision < revision {
            self.step().await.unwrap();
        }
    }

    /// How the session ends, seen from the worker.
    pub async fn end(mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("closed"),
                Err(status) => return status,
            }
        }
    }

    /// Names of the networks held, without those that every node shows.
    pub fn networks(&self) -> Vec<String> {
        let own = self.held.networks.values().filter(|network| !network.predefined);
        own.map(|network| network.name().to_string()).collect()
    }
}

async fn state_of(host: &Host, hostname: &str) -> v1::NodeState {
    host.node_named(hostname).await.status.unwrap().state()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s76_a_session_has_the_whole_then_changes_of_its_own_networks_only() {
    let host = Host::first().await;
    let (one, two) = (WorkerHost::joined(&host, "w1").await, WorkerHost::joined(&host, "w2").await);
    host.create_network("web").await.unwrap();
    host.create_network("db").await.unwrap();
    let mut first = Session::open(&one, &host, &[]).await.unwrap();
    let mut second = Session::open(&two, &host, &[]).await.unwrap();
    assert!(first.networks().is_empty() && first.held.managers.len() == 1);
    let (_, revision) = one.attach(&host, "web", "a").await.unwrap();
    first.reach(revision).await;
    assert_eq!(first.networks(), ["web"]);
    let (_, revision) = two.attach(&host, "web", "b").await.unwrap();
    first.reach(revision).await;
    second.reach(revision).await;
    assert_eq!((first.held.endpoints.len(), second.held.endpoints.len()), (2, 2));
    assert_eq!(first.held.peers.len(), 2);
    // A network of nobody's, and an endpoint on a network of the other alone, send nothing to the first.
    let before = first.steps;
    host.create_network("idle").await.unwrap();
    let (_, revision) = two.attach(&host, "db", "c").await.unwrap();
    second.reach(revision).await;
    let (endpoint, revision) = two.attach(&host, "web", "d").await.unwrap();
    first.reach(revision).await;
    assert_eq!((first.steps - before, first.networks()), (1, vec!["web".to_owned()]));
    let revision = two.detach(&host, &endpoint.id).await.unwrap();
    first.reach(revision).await;
    assert_eq!(first.held.endpoints.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_session_makes_its_node_unknown_then_down_and_a_new_one_ready() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let session = Session::open(&worker, &host, &[]).await.unwrap();
    assert_eq!(state_of(&host, "w1").await, v1::NodeState::Ready);
    drop(session);
    until("the node is seen as lost", async || {
        (state_of(&host, "w1").await != v1::NodeState::Ready).then_some(())
    })
    .await;
    until("the node is down", async || (state_of(&host, "w1").await == v1::NodeState::Down).then_some(()))
        .await;
    let _session = Session::open(&worker, &host, &[]).await.unwrap();
    assert_eq!(state_of(&host, "w1").await, v1::NodeState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s72_missed_heartbeats_end_a_session() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let (mut session, _to_manager) = Session::open_silent(&worker, &host, &[]).await.unwrap();
    let status = session.next().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    until("the node is down", async || (state_of(&host, "w1").await == v1::NodeState::Down).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_session_replaces_the_old_and_the_node_stays_ready() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    let old = Session::open(&worker, &host, &[]).await.unwrap();
    let applied = host.manager.read(|state| state.revision());
    let _new = Session::open(&worker, &host, &[]).await.unwrap();
    assert_eq!(host.manager.read(|state| state.revision()), applied, "nothing had to be written for it");
    assert_eq!(old.end().await.code(), Code::Aborted);
    assert_eq!(state_of(&host, "w1").await, v1::NodeState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_manager_takes_its_sessions_back_without_writing_anything() {
    let host = Host::first_with_heartbeat(5_000).await;
    let mut workers = Vec::new();
    for number in 0..20 {
        let worker = WorkerHost::joined(&host, &format!("w{number}")).await;
        let session = Session::open(&worker, &host, &[]).await.unwrap();
        workers.push((worker, session));
    }
    let revision = host.manager.read(|state| state.revision());
    // Not by a crash: here that is a runtime whose tasks end one after another, some of which could still write.
    host.manager.shutdown().await;
    let host = host.crash().restart().await;
    let mut sessions = Vec::new();
    for (worker, old) in &workers {
        let new = until("a session after the restart", async || Session::open(worker, &host, &[]).await.ok());
        sessions.push((new.await, &old.id));
    }
    assert!(sessions.iter().all(|(new, old)| new.id == **old));
    assert_eq!(host.manager.read(|state| state.revision()), revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_does_not_hold_is_released_when_it_registers() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    host.create_network("web").await.unwrap();
    let (kept, _) = worker.attach(&host, "web", "kept").await.unwrap();
    worker.attach(&host, "web", "lost").await.unwrap();
    let mut session = Session::open(&worker, &host, std::slice::from_ref(&kept.id)).await.unwrap();
    while session.held.endpoints.len() > 1 {
        session.step().await.unwrap();
    }
    assert!(session.held.endpoints.values().all(|endpoint| endpoint.id.to_string() == kept.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_frees_its_endpoints_and_may_do_nothing_more() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    host.create_network("web").await.unwrap();
    worker.attach(&host, "web", "a").await.unwrap();
    let session = Session::open(&worker, &host, &[]).await.unwrap();
    let mut dispatcher = worker.dispatcher(&host).await;
    dispatcher.leave(v1::LeaveClusterRequest::default()).await.unwrap();
    assert_eq!(session.end().await.code(), Code::PermissionDenied);
    assert_eq!(state_of(&host, "w1").await, v1::NodeState::Disconnected);
    assert_eq!(host.manager.read(|state| state.endpoints().len()), 0);
    let refused = Session::open(&worker, &host, &[]).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    dispatcher.leave(v1::LeaveClusterRequest::default()).await.expect("a good-bye may be said twice");
}

/// A copy of a node's files knows its certificate, and not its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_a_good_bye_of_another_than_the_holder_of_the_session_changes_nothing() {
    let host = Host::first().await;
    let worker = WorkerHost::joined(&host, "w1").await;
    host.create_network("web").await.unwrap();
    let (held, _) = worker.attach(&host, "web", "a").await.unwrap();
    let session = Session::open(&worker, &host, std::slice::from_ref(&held.id)).await.unwrap();
    let mut dispatcher = worker.dispatcher(&host).await;
    for last_session in ["", "0session00000000000000000"] {
        let request = v1::LeaveClusterRequest { last_session: Some(last_session.into()) };
        assert_eq!(dispatcher.leave(request).await.unwrap_err().code(), Code::AlreadyExists);
    }
    assert_eq!(state_of(&host, "w1").await, v1::NodeState::Ready);
    assert_eq!(host.manager.read(|state| state.endpoints().len()), 1);
    let holder = v1::LeaveClusterRequest { last_session: Some(session.id.clone()) };
    dispatcher.leave(holder).await.unwrap();
    assert_eq!(state_of(&host, "w1").await, v1::NodeState::Disconnected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s75_endpoints_are_made_for_the_caller_only() {
    let host = Host::first().await;
    let (one, two) = (WorkerHost::joined(&host, "w1").await, WorkerHost::joined(&host, "w2").await);
    host.create_network("web").await.unwrap();
    let (endpoint, _) = one.attach(&host, "web", "a").await.unwrap();
    assert_eq!(endpoint.node, one.node().to_string());
    let taken = one.attach(&host, "web", "a").await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
    assert_eq!(one.attach(&host, "nope", "b").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(two.detach(&host, &endpoint.id).await.unwrap_err().code(), Code::PermissionDenied);
    one.detach(&host, &endpoint.id).await.unwrap();
    assert_eq!(one.detach(&host, &endpoint.id).await.unwrap(), 0, "nothing left to release");
}

/// What a session comes to whose worker says this of itself.
async fn registered(worker: &WorkerHost, host: &Host, hostname: &str, data_path: &str) -> Result<(), Status> {
    let register = v1::Register {
        hostname: hostname.to_owned(),
        data_path_addr: data_path.to_owned(),
        features: swarm_model::FEATURE_LEVEL,
        ..Default::default()
    };
    let (to_manager, messages) = mpsc::channel(8);
    to_manager.send(message(worker_message::Message::Register(register))).await.unwrap();
    worker.dispatcher(host).await.session(ReceiverStream::new(messages)).await.map(drop)
}

/// Every host on a network would be told to send there, or to print it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_cannot_be_called_and_where_it_cannot_be_is_refused_at_both_doors() {
    let host = Host::first().await;
    let data_paths = ["fe80::1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::"];
    let names = ["h3 \u{1b}[7mX", "a\nb", "", "a b"];
    let claims = data_paths.map(|data_path| ("w", data_path, "data-path address"));
    let claims = claims.into_iter().chain(names.map(|name| (name, "127.0.0.1", "is no DNS name")));
    for (hostname, data_path, why) in claims {
        // A node begins only so many sessions in a while.
        let worker = WorkerHost::joined(&host, "w").await;
        let refused = registered(&worker, &host, hostname, data_path).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains(why), "{refused}");
        assert!(!refused.message().chars().any(char::is_control), "{refused}");
        let record = host.manager.read(|state| state.node(&worker.node()).cloned()).unwrap();
        assert_eq!(
            (record.hostname.as_str(), record.data_path_addr.to_string().as_str()),
            ("w", "127.0.0.1")
        );
    }
    let (token, members) =
        (host.token(swarm_model::Role::Worker).await, host.manager.read(|s| s.nodes().len()));
    for name in names {
        let refused = crate::harness::admit(host.addr, &token, name).await.map(drop).unwrap_err();
        assert!(refused.message().contains("is no DNS name"), "{refused}");
        assert!(!refused.message().chars().any(char::is_control), "{refused}");
    }
    assert_eq!(host.manager.read(|state| state.nodes().len()), members);
}
