//! Hosts on loopback: a manager with its listener and directory, a worker with its certificate. Each manager has a
//! runtime of its own, so that it can be made to crash: all its tasks and sockets gone at once, nothing handed over.

use crate::poll::until;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use swarm_identity::{
    Connections, Credentials, Dialler, JoinToken, Limits, Listener, NodeIdentity, NodeKey, RootCa, Subject,
    Validity, admission, new_key_and_csr, random,
};
use swarm_manager::{FirstNode, Manager, ManagerConfig, NewCluster, StoreKey, Timing};
use swarm_model::{Availability, ClusterSettings, NodeId, Role};
use swarm_proto::v1;
use swarm_proto::v1::attachments_client::AttachmentsClient;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// One manager and what serves it.
pub struct Host {
    pub manager: Manager,
    /// At its port.
    pub connections: Connections,
    pub credentials: Credentials,
    pub addr: SocketAddr,
    dir: Option<Arc<TempDir>>,
    key: StoreKey,
    runtime: Option<Runtime>,
}

fn timing() -> Timing {
    Timing { heartbeat_ms: 40, election_min_ms: 200, election_max_ms: 400, request_ms: 3_000 }
}

fn settings(heartbeat_ms: u64) -> ClusterSettings {
    ClusterSettings {
        heartbeat_ms,
        ..ClusterSettings::with_defaults(
            vec!["10.0.0.0/8".parse().unwrap()],
            "fd00:1234:5678::/48".parse().unwrap(),
        )
    }
}

impl Host {
    /// The first manager of a new cluster whose workers are given up after about a second.
    pub async fn first() -> Self {
        Self::first_with_heartbeat(300).await
    }

    pub async fn first_with_heartbeat(heartbeat_ms: u64) -> Self {
        let (cluster, node) = (random::new_id(), random::new_id());
        let ca = RootCa::generate(cluster, now_ms()).unwrap();
        let (key, csr) = new_key_and_csr().unwrap();
        let subject = Subject { node, role: Role::Manager, cluster };
        let chain = ca.sign(&csr, &subject, Validity::starting(now_ms(), 3_600_000)).unwrap();
        let host = Self::start(NodeIdentity::new(key, &chain, ca.cert_pem()).unwrap()).await;
        let first = FirstNode {
            hostname: "n1".to_owned(),
            availability: Availability::Active,
            labels: Default::default(),
            addr: LOOPBACK,
            data_path_addr: LOOPBACK,
            version: "1.0".to_owned(),
        };
        host.manager
            .bootstrap(NewCluster { id: cluster, ca, settings: settings(heartbeat_ms), first })
            .await
            .unwrap();
        host
    }

    /// Another manager, joined by token.
    pub async fn joined(to: &Host, hostname: &str) -> Self {
        let token = to.token(Role::Manager).await;
        let host = Self::start(admit(to.addr, &token, hostname).await.unwrap()).await;
        host.manager.join_raft(&[to.addr.to_string()]).await.unwrap();
        host
    }

    pub async fn start(identity: NodeIdentity) -> Self {
        let credentials = Credentials::new(identity).unwrap();
        let key = StoreKey::new(random::bytes());
        let addr = SocketAddr::from((LOOPBACK, 0));
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), key, credentials, addr).await.unwrap()
    }

    async fn start_in(
        dir: Arc<TempDir>,
        key: StoreKey,
        credentials: Credentials,
        addr: SocketAddr,
    ) -> Result<Self, String> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let raft = dir.path().join("raft");
        let served = runtime.spawn(serve(raft, key.clone(), credentials.clone(), addr)).await.unwrap();
        let runtime = Some(runtime);
        match served {
            Ok((manager, connections, addr)) => {
                Ok(Self { manager, connections, credentials, addr, dir: Some(dir), key, runtime })
            }
            Err(error) => {
                end(runtime);
                Err(error)
            }
        }
    }

    /// As `kill -9`: nobody is told anything.
    pub fn crash(mut self) -> Dead {
        end(self.runtime.take());
        Dead {
            dir: self.dir.take().unwrap(),
            key: self.key.clone(),
            credentials: self.credentials.clone(),
            addr: self.addr,
        }
    }

    pub fn node(&self) -> NodeId {
        self.credentials.peer().node
    }

    /// Its state folder.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.as_ref().unwrap().path()
    }

    pub async fn control(&self) -> ControlClient<Channel> {
        control_of(&self.credentials, self.addr).await
    }

    pub async fn token(&self, role: Role) -> JoinToken {
        let role = v1::Role::from(role).into();
        let answer = self.control().await.get_join_token(v1::GetJoinTokenRequest { role }).await.unwrap();
        answer.into_inner().token.parse().unwrap()
    }

    pub async fn create_network(&self, name: &str) -> Result<v1::Network, Status> {
        let request = v1::CreateNetworkRequest { spec: Some(spec(name)), request_id: String::new() };
        let answer = self.control().await.create_network(request).await?;
        Ok(answer.into_inner().network.unwrap())
    }

    /// Their names, sorted.
    pub async fn networks(&self) -> Vec<String> {
        let answer = self.control().await.list_networks(v1::ListNetworksRequest {}).await.unwrap();
        let networks = answer.into_inner().networks.into_iter();
        let mut names: Vec<_> = networks.map(|network| network.spec.unwrap().name).collect();
        names.sort_unstable();
        names
    }

    /// The state of the node with this host name, and its reachability as a manager.
    pub async fn node_named(&self, hostname: &str) -> v1::Node {
        let nodes =
            self.control().await.list_nodes(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes;
        nodes.into_iter().find(|node| node.hostname == hostname).unwrap()
    }
}

impl Drop for Host {
    /// A runtime must not be dropped where tasks run; a test that fails drops its hosts there.
    fn drop(&mut self) {
        end(self.runtime.take());
    }
}

/// All its tasks stop where they are.
fn end(runtime: Option<Runtime>) {
    if let Some(runtime) = runtime {
        runtime.shutdown_background();
    }
}

async fn serve(
    raft: PathBuf,
    key: StoreKey,
    credentials: Credentials,
    addr: SocketAddr,
) -> Result<(Manager, Connections, SocketAddr), String> {
    let bound = Listener::bind(addr, credentials.clone(), Limits::default()).await;
    let listener = bound.map_err(|e| e.to_string())?;
    let (addr, connections) = (listener.local_addr(), listener.connections());
    let mut config = ManagerConfig::new(raft, key, addr);
    config.timing = timing();
    let manager = Manager::start(config, credentials).await.map_err(|e| e.to_string())?;
    tokio::spawn(swarm_identity::serve(listener, manager.tls_routes(), CancellationToken::new()));
    Ok((manager, connections, addr))
}

/// What is left of a crashed host.
pub struct Dead {
    dir: Arc<TempDir>,
    key: StoreKey,
    credentials: Credentials,
    addr: SocketAddr,
}

impl Dead {
    /// Once the dead one's port and files are free.
    pub async fn restart(self) -> Host {
        until("a crashed manager starts again", async || {
            let (key, credentials) = (self.key.clone(), self.credentials.clone());
            Host::start_in(self.dir.clone(), key, credentials, self.addr).await.ok()
        })
        .await
    }
}

pub fn spec(name: &str) -> v1::NetworkSpec {
    v1::NetworkSpec {
        name: name.to_owned(),
        driver: v1::Driver::Overlay.into(),
        attachable: true,
        ..v1::NetworkSpec::default()
    }
}

pub async fn control_of(credentials: &Credentials, addr: SocketAddr) -> ControlClient<Channel> {
    let dialler = Dialler::new(credentials.clone());
    ControlClient::new(dialler.to_manager(&addr.to_string()).await.unwrap())
}

/// A request to be admitted, before a token is put in.
pub fn admission_request(hostname: &str) -> (NodeKey, v1::IssueRequest) {
    let (key, csr_der) = new_key_and_csr().unwrap();
    let request = v1::IssueRequest {
        csr_der,
        hostname: hostname.to_owned(),
        version: "1.0".to_owned(),
        features: swarm_model::FEATURE_LEVEL,
        request_id: random::new_id::<swarm_model::NodeId>().to_string(),
        ..v1::IssueRequest::default()
    };
    (key, request)
}

/// Becomes a member by token, as a joining node does.
pub async fn admit(addr: SocketAddr, token: &JoinToken, hostname: &str) -> Result<NodeIdentity, Status> {
    let (key, mut request) = admission_request(hostname);
    request.token = token.to_string();
    // Somebody listens there, which is all that admission asks of a future manager.
    request.listen_port = addr.port().into();
    let channel = admission::channel(&addr.to_string(), &token.digest()).await.unwrap();
    let answer = CaClient::new(channel).issue(request).await?.into_inner();
    Ok(NodeIdentity::issued(key, &answer.certificate_chain, &token.digest()).unwrap())
}

/// A worker's certificate and the clients it uses.
pub struct WorkerHost {
    pub credentials: Credentials,
    pub hostname: String,
}

impl WorkerHost {
    pub async fn joined(to: &Host, hostname: &str) -> Self {
        let token = to.token(Role::Worker).await;
        let identity = admit(to.addr, &token, hostname).await.unwrap();
        Self { credentials: Credentials::new(identity).unwrap(), hostname: hostname.to_owned() }
    }

    pub fn node(&self) -> NodeId {
        self.credentials.peer().node
    }

    async fn channel(&self, to: &Host) -> Channel {
        Dialler::new(self.credentials.clone()).to_manager(&to.addr.to_string()).await.unwrap()
    }

    pub async fn dispatcher(&self, to: &Host) -> DispatcherClient<Channel> {
        DispatcherClient::new(self.channel(to).await)
    }

    pub async fn attachments(&self, to: &Host) -> AttachmentsClient<Channel> {
        AttachmentsClient::new(self.channel(to).await)
    }

    /// One endpoint on this network, in a sandbox of its own.
    pub async fn attach(&self, to: &Host, network: &str, name: &str) -> Result<(v1::Endpoint, u64), Status> {
        let endpoint = v1::NewEndpoint {
            id: random::new_id::<NodeId>().to_string(),
            network: network.to_owned(),
            sandbox: random::new_id::<NodeId>().to_string(),
            name: name.to_owned(),
            ..v1::NewEndpoint::default()
        };
        let request = v1::CreateEndpointsRequest { endpoints: vec![endpoint], request_id: String::new() };
        let mut client = self.attachments(to).await;
        let answer = client.create_endpoints(request).await?.into_inner();
        Ok((answer.endpoints.into_iter().next().unwrap(), answer.revision))
    }

    pub async fn detach(&self, to: &Host, id: &str) -> Result<u64, Status> {
        let request = v1::ReleaseEndpointsRequest { ids: vec![id.to_owned()], request_id: String::new() };
        let mut client = self.attachments(to).await;
        Ok(client.release_endpoints(request).await?.into_inner().revision)
    }
}
