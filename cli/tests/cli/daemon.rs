//! The stage set: every answer is fixed, or one refusal for all; what was asked is written down.

use crate::data;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swarm_proto::v1::control_server::{Control, ControlServer};
use swarm_proto::v1::local_server::{Local, LocalServer};
use swarm_proto::v1::{self, run_event::Event, run_step::Step};
use tokio::net::UnixListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Code, Request, Response, Status, Streaming};

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Daemon {
    pub dir: Arc<tempfile::TempDir>,
    scene: Arc<Mutex<Scene>>,
}

struct Scene {
    refusal: Option<Status>,
    control_refusal: Option<Status>,
    info: v1::InfoResponse,
    sandbox: Option<v1::Sandbox>,
    asked: Vec<String>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Daemon {
    pub fn manager() -> Self {
        Self::start(data::info(v1::Role::Manager), None)
    }

    pub fn worker() -> Self {
        let said = "this node is not a manager: ask one of 192.0.2.1:2377, 192.0.2.2:2377";
        Self::start(data::info(v1::Role::Worker), Some(Status::unavailable(said)))
    }

    pub fn outside() -> Self {
        let said = "this host belongs to no swarm: use swarmctl init or swarmctl join";
        Self::start(data::outside(), Some(Status::unavailable(said)))
    }

    pub fn locked() -> Self {
        Self::start(data::locked(), Some(Status::unavailable(data::LOCKED)))
    }

    fn start(info: v1::InfoResponse, control_refusal: Option<Status>) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let scene = Scene { refusal: None, control_refusal, info, sandbox: None, asked: Vec::new() };
        let daemon = Self { dir, scene: Arc::new(Mutex::new(scene)) };
        let listener = UnixListener::bind(daemon.socket()).unwrap();
        let serving = tonic::transport::Server::builder()
            .add_service(LocalServer::new(daemon.clone()))
            .add_service(ControlServer::new(daemon.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        tokio::spawn(serving);
        daemon
    }

    /// From now on everything is answered with this.
    pub fn refuse(&self, code: Code, said: &str) {
        self.scene.lock().unwrap().refusal = Some(Status::new(code, said));
    }

    pub fn set_info(&self, change: impl FnOnce(&mut v1::InfoResponse)) {
        change(&mut self.scene.lock().unwrap().info);
    }

    /// What `run` makes and `exec` finds.
    pub fn set_sandbox(&self, sandbox: v1::Sandbox) {
        self.scene.lock().unwrap().sandbox = Some(sandbox);
    }

    /// The requests so far, as Rust prints them.
    pub fn asked(&self) -> Vec<String> {
        self.scene.lock().unwrap().asked.clone()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("swarmd.sock")
    }

    pub fn command(&self, line: &str) -> tokio::process::Command {
        let mut command = swarmctl();
        command.env("SWARM_HOST", format!("unix://{}", self.socket().display()));
        command.args(words(line));
        command
    }

    pub async fn run(&self, line: &str) -> Outcome {
        finish(self.command(line)).await
    }

    fn hear(&self, request: &impl std::fmt::Debug) -> Result<(), Status> {
        let mut scene = self.scene.lock().unwrap();
        scene.asked.push(format!("{request:?}"));
        scene.refusal.clone().map_or(Ok(()), Err)
    }

    fn is_outside(&self) -> bool {
        self.scene.lock().unwrap().info.node.is_empty()
    }

    fn sandbox(&self) -> v1::Sandbox {
        self.scene.lock().unwrap().sandbox.clone().unwrap_or_else(|| data::sandboxes(false).remove(0))
    }

    async fn talk(
        self,
        mut steps: Streaming<v1::RunStep>,
        events: tokio::sync::mpsc::Sender<Result<v1::RunEvent, Status>>,
    ) {
        while let Some(Ok(step)) = steps.next().await {
            let event = match step.step {
                Some(Step::Create(create)) => self.hear(&create).map(|()| Event::Ready(self.sandbox())),
                Some(Step::Started(started)) => self.hear(&started).map(|()| Event::Running(self.sandbox())),
                None => Err(Status::invalid_argument("no step")),
            };
            let last = !matches!(event, Ok(Event::Ready(_)));
            let sent = events.send(event.map(|event| v1::RunEvent { event: Some(event) })).await;
            if last || sent.is_err() {
                return;
            }
        }
    }
}

pub fn swarmctl() -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_swarmctl"));
    command.env_remove("COLUMNS").env_remove("SWARM_HOST").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Words between blanks; single quotes keep them together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (nth, part) in line.split('\'').enumerate() {
        match nth % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

pub async fn finish(mut command: tokio::process::Command) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let output = tokio::time::timeout(DEADLINE, command.output()).await.expect("it ends").unwrap();
    Outcome {
        code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

macro_rules! answers {
    ($service:ident { $($extra:item)* } $($method:ident($request:ident) -> $response:ident = $answer:expr;)+) => {
        #[tonic::async_trait]
        impl $service for Daemon {
            $($extra)*
            $(async fn $method(
                &self,
                request: Request<v1::$request>,
            ) -> Result<Response<v1::$response>, Status> {
                let request = request.into_inner();
                self.hear(&request)?;
                let answer: fn(&Daemon, v1::$request) -> Result<v1::$response, Status> = $answer;
                answer(self, request).map(Response::new)
            })+
        }
    };
}

fn managed<T>(daemon: &Daemon, answer: T) -> Result<T, Status> {
    daemon.scene.lock().unwrap().control_refusal.clone().map_or(Ok(answer), Err)
}

fn not_found<T>(kind: &str, reference: &str) -> Result<T, Status> {
    Err(Status::not_found(format!("{kind} {reference} not found")))
}

answers! {
    Local {
        type RunStream = ReceiverStream<Result<v1::RunEvent, Status>>;
        async fn run(&self, request: Request<Streaming<v1::RunStep>>) -> Result<Response<Self::RunStream>, Status> {
            let (events, stream) = tokio::sync::mpsc::channel(2);
            tokio::spawn(self.clone().talk(request.into_inner(), events));
            Ok(Response::new(ReceiverStream::new(stream)))
        }
        async fn restore(
            &self,
            request: Request<Streaming<v1::RestorePart>>,
        ) -> Result<Response<v1::RestoreResponse>, Status> {
            let mut parts = request.into_inner();
            let mut file = 0;
            while let Some(part) = parts.next().await {
                match part?.part {
                    Some(v1::restore_part::Part::Piece(piece)) => file += piece.len(),
                    begin => self.hear(&begin)?,
                }
            }
            Ok(Response::new(data::restored(file)))
        }
    }
    init(InitRequest) -> InitResponse = |_, request| Ok(v1::InitResponse {
        node: data::OWN.into(),
        join_token_worker: "SWMTKN-1-digest-secret".into(),
        advertise_addr: "192.0.2.1:2377".into(),
        unlock_key: if request.autolock { data::UNLOCK_KEY.into() } else { String::new() },
        warnings: match request.advertise_addr.as_str() {
            "" => Vec::new(),
            given => vec![format!("{given} is advertised, and is no address of this host")],
        },
    });
    join(JoinRequest) -> JoinResponse = |_, request| Ok(match request.token.as_str() {
        "slow" => v1::JoinResponse {
            pending: true,
            message: "timeout was reached: 192.0.2.9:2377 does not answer".into(),
            ..Default::default()
        },
        "manager" => v1::JoinResponse { role: v1::Role::Manager.into(), ..Default::default() },
        _ => v1::JoinResponse { role: v1::Role::Worker.into(), ..Default::default() },
    });
    leave(LeaveRequest) -> LeaveResponse = |daemon, request| Ok(match (request.force, daemon.is_outside()) {
        (false, false) => v1::LeaveResponse { farewell: v1::Farewell::Told.into(), ..Default::default() },
        (true, false) => v1::LeaveResponse {
            sandboxes: vec!["blue".into(), "web".into()],
            farewell: v1::Farewell::NotTold.into(),
            reason: "no manager answered in time; the managers known are: 192.0.2.1:2377".into(),
        },
        (false, true) => v1::LeaveResponse { farewell: v1::Farewell::JoinCancelled.into(), ..Default::default() },
        (true, true) => v1::LeaveResponse {
            sandboxes: vec!["web".into()],
            farewell: v1::Farewell::NotOurs.into(),
            reason: "node 1 is here, from 192.0.2.7".into(),
        },
    });
    rejoin(RejoinRequest) -> RejoinResponse = |_, request| Ok(v1::RejoinResponse {
        manager: data::OWN.into(),
        addr: request.remote_addrs.first().cloned().unwrap_or_default(),
        advertise_addr: "192.0.2.1:2377".into(),
        quorum: request.advertise_addr.is_empty(),
        hostname: "n1".into(),
    });
    info(InfoRequest) -> InfoResponse = |daemon, _| Ok(daemon.scene.lock().unwrap().info.clone());
    unlock(UnlockRequest) -> UnlockResponse = |_, request| match request.key.as_str() {
        data::UNLOCK_KEY => Ok(v1::UnlockResponse {}),
        _ => Err(Status::permission_denied("this is not the key that locked this manager")),
    };
    attach(AttachRequest) -> SandboxResponse = |_, _| Ok(v1::SandboxResponse { sandbox: data::sandboxes(false).pop() });
    detach(DetachRequest) -> DetachResponse = |_, _| Ok(v1::DetachResponse {});
    list_sandboxes(ListSandboxesRequest) -> ListSandboxesResponse =
        |_, request| Ok(v1::ListSandboxesResponse { sandboxes: data::sandboxes(request.all), warnings: vec![] });
    get_sandbox(GetSandboxRequest) -> SandboxResponse = |daemon, request| match request.reference.as_str() {
        "nope" => not_found("sandbox", "nope"),
        _ => Ok(v1::SandboxResponse { sandbox: Some(daemon.sandbox()) }),
    };
    remove_sandbox(RemoveSandboxRequest) -> RemoveSandboxResponse = |_, request| match request.reference.as_str() {
        "nope" => not_found("sandbox", "nope"),
        reference => Ok(v1::RemoveSandboxResponse { id: reference.into() }),
    };
    connect_network(ConnectRequest) -> SandboxResponse = |_, _| Ok(v1::SandboxResponse { sandbox: None });
    disconnect_network(DisconnectRequest) -> DisconnectResponse = |_, _| Ok(v1::DisconnectResponse {});
    list_local_networks(ListLocalNetworksRequest) -> ListLocalNetworksResponse =
        |_, _| Ok(v1::ListLocalNetworksResponse { networks: data::local_networks() });
}

answers! {
    Control {
        type BackupStream = ReceiverStream<Result<v1::BackupPart, Status>>;
        async fn backup(&self, request: Request<v1::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
            let request = request.into_inner();
            self.hear(&(&request, &request.passphrase))?;
            let parts = managed(self, data::backup(&request.passphrase))?;
            let (send, stream) = tokio::sync::mpsc::channel(parts.len());
            parts.into_iter().for_each(|part| send.try_send(part).unwrap());
            if request.passphrase == "hangs" {
                std::mem::forget(send);
            }
            Ok(Response::new(ReceiverStream::new(stream)))
        }
        type WatchEventsStream = ReceiverStream<Result<v1::WatchEventsResponse, Status>>;
        async fn watch_events(
            &self,
            request: Request<v1::WatchEventsRequest>,
        ) -> Result<Response<Self::WatchEventsStream>, Status> {
            self.hear(request.get_ref())?;
            let told = managed(self, data::events())?;
            let (send, stream) = tokio::sync::mpsc::channel(told.len() + 1);
            told.into_iter().for_each(|event| send.try_send(Ok(v1::WatchEventsResponse { event })).unwrap());
            send.try_send(Err(Status::unavailable("this manager stops: watch the events of another one"))).unwrap();
            Ok(Response::new(ReceiverStream::new(stream)))
        }
    }
    get_cluster(GetClusterRequest) -> GetClusterResponse = |daemon, _| managed(daemon, data::cluster());
    get_join_token(GetJoinTokenRequest) -> JoinTokenResponse =
        |daemon, _| managed(daemon, v1::JoinTokenResponse { token: "SWMTKN-1-digest-secret".into() });
    rotate_join_token(RotateJoinTokenRequest) -> JoinTokenResponse =
        |daemon, _| managed(daemon, v1::JoinTokenResponse { token: "SWMTKN-1-digest-rotated".into() });
    update_cluster(UpdateClusterRequest) -> UpdateClusterResponse =
        |daemon, _| managed(daemon, v1::UpdateClusterResponse { cluster: data::cluster().cluster });
    rotate_root(RotateRootRequest) -> RotateRootResponse = |daemon, _| managed(daemon, v1::RotateRootResponse {});
    list_nodes(ListNodesRequest) -> ListNodesResponse =
        |daemon, _| managed(daemon, v1::ListNodesResponse { nodes: data::nodes(), warnings: vec![data::WARNING.into()] });
    get_node(GetNodeRequest) -> GetNodeResponse = |daemon, request| {
        let meant = |node: &v1::Node| node.id == request.reference || node.hostname == request.reference;
        let Some(node) = data::nodes().into_iter().find(meant) else {
            return not_found("node", &request.reference);
        };
        let mut endpoints = data::endpoints();
        endpoints.retain(|endpoint| endpoint.node == node.id);
        managed(daemon, v1::GetNodeResponse { node: Some(node), endpoints })
    };
    update_node(UpdateNodeRequest) -> UpdateNodeResponse = |daemon, request| {
        let Some(node) = data::nodes().into_iter().find(|node| node.hostname == request.reference) else {
            return not_found("node", &request.reference);
        };
        let mut endpoints = data::endpoints();
        endpoints.retain(|endpoint| endpoint.node == node.id);
        managed(daemon, v1::UpdateNodeResponse { node: Some(node), endpoints })
    };
    remove_node(RemoveNodeRequest) -> RemoveNodeResponse = |daemon, request| match request.reference.as_str() {
        "nope" => not_found("node", "nope"),
        id => managed(daemon, v1::RemoveNodeResponse { id: id.to_owned() }),
    };
    create_network(CreateNetworkRequest) -> CreateNetworkResponse =
        |daemon, _| managed(daemon, v1::CreateNetworkResponse { network: Some(data::network()) });
    list_networks(ListNetworksRequest) -> ListNetworksResponse =
        |daemon, _| managed(daemon, v1::ListNetworksResponse { networks: vec![data::network()] });
    get_network(GetNetworkRequest) -> GetNetworkResponse = |daemon, request| {
        let answer = v1::GetNetworkResponse {
            network: Some(data::network()),
            endpoints: data::endpoints(),
            peers: data::peers(),
        };
        let answer = managed(daemon, answer)?;
        if request.reference == "my_net" { Ok(answer) } else { not_found("network", &request.reference) }
    };
    remove_network(RemoveNetworkRequest) -> RemoveNetworkResponse = |daemon, request| match request.reference.as_str() {
        "nope" => not_found("network", "nope"),
        _ => managed(daemon, v1::RemoveNetworkResponse { id: data::network().id }),
    };
    prune_networks(PruneNetworksRequest) -> PruneNetworksResponse =
        |daemon, _| managed(daemon, v1::PruneNetworksResponse { names: vec!["a".into(), "b".into()] });
    set_lock(SetLockRequest) -> UnlockKeyResponse = |daemon, request| managed(daemon, v1::UnlockKeyResponse {
        key: match request.lock() {
            v1::Lock::Off => String::new(),
            v1::Lock::On | v1::Lock::Rotate => request.key,
        },
    });
    get_unlock_key(GetUnlockKeyRequest) -> UnlockKeyResponse =
        |daemon, _| managed(daemon, v1::UnlockKeyResponse { key: data::UNLOCK_KEY.into() });
    list_endpoints(ListEndpointsRequest) -> ListEndpointsResponse =
        |daemon, _| managed(daemon, v1::ListEndpointsResponse { endpoints: data::endpoints() });
    create_join_token(CreateJoinTokenRequest) -> CreateJoinTokenResponse = |daemon, _| {
        let record = data::tokens().pop();
        managed(daemon, v1::CreateJoinTokenResponse { token: "SWMTKN-1-digest-made".into(), record })
    };
    list_join_tokens(ListJoinTokensRequest) -> ListJoinTokensResponse =
        |daemon, _| managed(daemon, v1::ListJoinTokensResponse { tokens: data::tokens() });
    revoke_join_token(RevokeJoinTokenRequest) -> RevokeJoinTokenResponse = |daemon, request| match request.reference.as_str() {
        "nope" => not_found("join token", "nope"),
        id => managed(daemon, v1::RevokeJoinTokenResponse { id: id.to_owned() }),
    };
    create_user(CreateUserRequest) -> CreateUserResponse =
        |daemon, _| managed(daemon, v1::CreateUserResponse { user: data::users().pop(), certificate_chain: String::new() });
    list_users(ListUsersRequest) -> ListUsersResponse =
        |daemon, _| managed(daemon, v1::ListUsersResponse { users: data::users() });
    remove_user(RemoveUserRequest) -> RemoveUserResponse = |daemon, request| match request.reference.as_str() {
        "nope" => not_found("user", "nope"),
        reference => managed(daemon, v1::RemoveUserResponse { id: reference.to_owned() }),
    };
}
