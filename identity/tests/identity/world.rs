//! A cluster's CA, its nodes, and a manager that tells callers who they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_identity::{
    ConnectedPeer, Connections, Credentials, Dialler, Limits, Listener, NodeIdentity, RootCa, STRANGER_BYTES,
    Served, Subject, Validity, new_key_and_csr, random, serve,
};
use swarm_model::{ClusterId, NodeId, Role};
use swarm_proto::MAX_MESSAGE_BYTES;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::ca_server::{Ca, CaServer};
use swarm_proto::v1::{GetRootCaRequest, GetRootCaResponse, IssueRequest, IssueResponse, RenewRequest};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

pub const DAY_MS: u64 = 24 * 3_600_000;

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

pub struct Cluster {
    pub id: ClusterId,
    pub ca: RootCa,
}

impl Cluster {
    pub fn new() -> Self {
        let id = random::new_id();
        Self { id, ca: RootCa::generate(id, now_ms()).expect("a CA") }
    }

    pub fn subject(&self, role: Role) -> Subject {
        Subject { node: random::new_id(), role, cluster: self.id }
    }

    pub fn node(&self, role: Role) -> NodeIdentity {
        self.certify(&self.subject(role), Validity::starting(now_ms(), DAY_MS))
    }

    pub fn certify(&self, subject: &Subject, validity: Validity) -> NodeIdentity {
        let (key, csr) = new_key_and_csr().expect("a key");
        let chain = self.ca.sign(&csr, subject, validity).expect("a certificate");
        NodeIdentity::issued(key, &chain, &self.ca.digest()).expect("an identity")
    }

    pub fn credentials(&self, role: Role) -> Credentials {
        Credentials::new(self.node(role)).expect("credentials")
    }

    pub fn dialler(&self, role: Role) -> Dialler {
        Dialler::new(self.credentials(role))
    }
}

/// A listener with a server behind it; both end when it is dropped.
pub struct Manager {
    pub addr: SocketAddr,
    pub node: NodeId,
    pub connections: Connections,
    pub credentials: Credentials,
    pub calls: Arc<Calls>,
    task: AbortHandle,
}

impl Manager {
    pub async fn of(cluster: &Cluster) -> Self {
        Self::start(cluster.credentials(Role::Manager), Limits::default()).await
    }

    pub async fn start(credentials: Credentials, limits: Limits) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, credentials.clone(), limits).await.expect("a port");
        let (addr, connections) = (listener.local_addr(), listener.connections());
        let calls = Arc::new(Calls::default());
        let routes =
            |bytes| Routes::new(CaServer::new(WhoAmI(calls.clone())).max_decoding_message_size(bytes));
        let served = Served { members: routes(MAX_MESSAGE_BYTES), strangers: routes(STRANGER_BYTES) };
        let task = tokio::spawn(serve(listener, served, CancellationToken::new())).abort_handle();
        Self { addr, node: credentials.peer().node, connections, credentials, calls, task }
    }

    pub fn at(&self) -> String {
        self.addr.to_string()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Calls that are not answered: how many are there, and how many were there at most.
#[derive(Default)]
pub struct Calls {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Calls {
    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

struct Begun(Arc<Calls>);

impl Begun {
    fn new(calls: &Arc<Calls>) -> Self {
        let now = calls.now.fetch_add(1, Ordering::SeqCst) + 1;
        calls.most.fetch_max(now, Ordering::SeqCst);
        Self(calls.clone())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

struct WhoAmI(Arc<Calls>);

#[tonic::async_trait]
impl Ca for WhoAmI {
    /// Answers with the caller's node and role, or `stranger`.
    async fn get_root_ca(
        &self,
        request: Request<GetRootCaRequest>,
    ) -> Result<Response<GetRootCaResponse>, Status> {
        let who = request.extensions().get::<ConnectedPeer>().ok_or_else(|| Status::internal("no peer"))?;
        let root_ca_cert = match &who.peer {
            Some(peer) => format!("{} {}", peer.role, peer.node),
            None => "stranger".to_owned(),
        };
        Ok(Response::new(GetRootCaResponse { root_ca_cert, now_ms: 0 }))
    }

    async fn issue(&self, _: Request<IssueRequest>) -> Result<Response<IssueResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn renew_expired(
        &self,
        _: Request<swarm_proto::v1::RenewExpiredRequest>,
    ) -> Result<Response<IssueResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    /// Never answers.
    async fn renew(&self, _: Request<RenewRequest>) -> Result<Response<IssueResponse>, Status> {
        let _begun = Begun::new(&self.0);
        std::future::pending().await
    }
}

pub async fn who_am_i(channel: &Channel) -> Result<String, Status> {
    let answer = CaClient::new(channel.clone()).get_root_ca(GetRootCaRequest {}).await?;
    Ok(answer.into_inner().root_ca_cert)
}

/// Polls until `holds`, at most 10 s.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "still not so after 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
