//! A manager of straw: allocates from one table in memory, tells every session. What it was told is kept to look at.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{
    Assigned, Assignment, Change, Driver, DriverDefaults, Endpoint, EndpointId, Id, ManagerPeer, Network,
    NetworkId, NetworkSpec, Subnet, Vni, mac_for_ip,
};
use swarm_proto::v1::attachments_server::{Attachments, AttachmentsServer};
use swarm_proto::v1::dispatcher_server::{Dispatcher, DispatcherServer};
use swarm_proto::v1::{self, manager_message, worker_message};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

pub(super) const HEARTBEAT_MS: u64 = 100;

#[derive(Clone)]
pub(super) struct Manager {
    pub(super) addr: String,
    /// Several managers of straw may share a table, as real ones do by Raft.
    pub(super) table: Arc<Mutex<Table>>,
    /// The sessions this one holds.
    sessions: Arc<Mutex<Vec<Session>>>,
    /// Those of all managers that share the table: all are told of a change.
    everywhere: Everywhere,
    stop: CancellationToken,
}

type Message = Result<v1::ManagerMessage, Status>;
type Session = mpsc::Sender<Message>;
type Everywhere = Arc<Mutex<Vec<mpsc::WeakSender<Message>>>>;

#[derive(Default)]
pub(super) struct Table {
    pub(super) assigned: Assigned,
    pub(super) registered: Vec<v1::Register>,
    pub(super) programmed: u64,
    pub(super) left: bool,
    /// Heartbeats of workers heard.
    pub(super) heartbeats: u64,
    /// Answers to the next `CreateEndpoints` calls, before they are done (false) or after (true).
    pub(super) failures: Vec<(bool, Status)>,
    pub(super) creates: u64,
    /// So many of the next `CreateEndpoints` calls are not answered at all.
    pub(super) silent_creates: u64,
    /// The answer to whoever wants a session.
    pub(super) refuse_sessions: Option<Status>,
    pub(super) refused: u64,
    sessions: Everywhere,
    not_attachable: BTreeSet<NetworkId>,
    last_host: u32,
}

impl Manager {
    pub(super) async fn start() -> Self {
        Self::sharing(Arc::default()).await
    }

    /// One more manager of the same cluster.
    pub(super) async fn sharing(table: Arc<Mutex<Table>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, table)
    }

    fn on(listener: tokio::net::TcpListener, table: Arc<Mutex<Table>>) -> Self {
        let addr = listener.local_addr().unwrap();
        let everywhere = table.lock().sessions.clone();
        let stop = CancellationToken::new();
        let manager = Self { addr: addr.to_string(), table, sessions: Arc::default(), everywhere, stop };
        {
            let assigned = &mut manager.table.lock().assigned;
            assigned.defaults = DriverDefaults {
                data_path_port: 4789,
                heartbeat_ms: HEARTBEAT_MS,
                ..DriverDefaults::default()
            };
            assigned.managers.push(ManagerPeer { node: Id::from_random([90; 16]), addr });
            assigned.revision += 1;
        }
        let serving = tonic::transport::Server::builder()
            .add_service(DispatcherServer::new(manager.clone()))
            .add_service(AttachmentsServer::new(manager.clone()));
        let stop = manager.stop.clone();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tokio::spawn(async move {
            tokio::select! {
                _ = serving.serve_with_incoming(incoming) => {}
                () = stop.cancelled() => {}
            }
        });
        manager
    }

    /// As killed: connections break, the port is closed.
    pub(super) fn kill(&self) {
        self.stop.cancel();
        self.sessions.lock().clear();
    }

    /// Comes back at the same address.
    pub(super) async fn revive(&self) -> Self {
        let addr: SocketAddr = self.addr.parse().unwrap();
        for _ in 0..200 {
            if let Ok(listener) = tokio::net::TcpListener::bind(addr).await {
                return Self::on(listener, self.table.clone());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{addr} stays in use");
    }

    pub(super) fn network(&self, number: u8, name: &str, change: impl FnOnce(&mut NetworkSpec)) -> NetworkId {
        let mut spec = NetworkSpec {
            name: name.parse().unwrap(),
            driver: Driver::Overlay,
            attachable: true,
            internal: false,
            ipv6: false,
            encrypted: false,
            mtu: None,
            vni: None,
            ipam: Vec::new(),
            options: Default::default(),
            labels: Default::default(),
        };
        change(&mut spec);
        let attachable = spec.attachable;
        let subnet = Subnet {
            cidr: format!("10.0.{number}.0/24").parse().unwrap(),
            gateway: IpAddr::from([10, 0, number, 1]),
            ip_range: None,
            aux_addresses: Default::default(),
        };
        let network = Network {
            id: Id::from_random([number; 16]),
            spec,
            vni: Vni::new(4096 + u32::from(number)).unwrap(),
            subnets: vec![subnet],
            predefined: false,
            created_ms: 0,
        };
        let id = network.id;
        if !attachable {
            self.table.lock().not_attachable.insert(id);
        }
        self.change(vec![Change::PutNetwork(network)]);
        id
    }

    /// An endpoint of another node.
    pub(super) fn remote(&self, network: NetworkId, number: u8, name: &str, ip: &str) {
        let ip: Ipv4Addr = ip.parse().unwrap();
        let node = Id::from_random([77; 16]);
        let peer =
            swarm_model::Peer { node, hostname: "far".into(), data_path_addr: "192.0.2.77".parse().unwrap() };
        let endpoint = Endpoint {
            id: Id::from_random([number; 16]),
            network,
            node,
            sandbox: Id::from_random([number; 16]),
            name: name.parse().unwrap(),
            aliases: vec!["everybody".parse().unwrap()],
            addresses: vec![format!("{ip}/24").parse().unwrap()],
            mac: mac_for_ip(ip.into()),
            created_ms: 0,
        };
        self.change(vec![Change::PutPeer(peer), Change::PutEndpoint(endpoint)]);
    }

    pub(super) fn change(&self, changes: Vec<Change>) -> u64 {
        let mut table = self.table.lock();
        let applies_to = table.assigned.revision;
        let step = Assignment::Incremental { applies_to, results_in: applies_to + 1, changes };
        table.assigned.take(step.clone()).unwrap();
        self.tell(&step);
        applies_to + 1
    }

    pub(super) fn tell(&self, assignment: &Assignment) {
        let message = v1::ManagerMessage::from(assignment);
        let told = |session: Session| session.try_send(Ok(message.clone())).is_ok();
        self.everywhere.lock().retain(|session| session.upgrade().is_some_and(told));
    }

    /// Every session ends with this.
    pub(super) fn end_sessions(&self, status: &Status) {
        for session in self.sessions.lock().drain(..) {
            let _ = session.try_send(Err(status.clone()));
        }
    }

    fn refuse(&self) -> Result<(), Status> {
        let mut table = self.table.lock();
        match table.refuse_sessions.clone() {
            Some(status) => {
                table.refused += 1;
                Err(status)
            }
            None => Ok(()),
        }
    }

    pub(super) fn sessions(&self) -> usize {
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| !session.is_closed());
        sessions.len()
    }

    /// Endpoints of the worker under test.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let node = super::world::Host::node();
        self.table.lock().assigned.endpoints.values().filter(|e| e.node == node).cloned().collect()
    }

    fn allocate(&self, new: &v1::NewEndpoint) -> Result<Endpoint, Status> {
        let mut table = self.table.lock();
        let id: EndpointId = new.id.parse().unwrap();
        if let Some(held) = table.assigned.endpoints.get(&id) {
            return Ok(held.clone());
        }
        let named =
            |n: &&Network| n.name().as_str() == new.network || n.id.as_str().starts_with(&new.network);
        let network = table.assigned.networks.values().find(named).cloned();
        let network =
            network.ok_or_else(|| Status::not_found(format!("network {:?} was not found", new.network)))?;
        if table.not_attachable.contains(&network.id) {
            return Err(Status::permission_denied(format!(
                "network {} is not manually attachable",
                network.name()
            )));
        }
        table.last_host += 1;
        let subnet = network.subnets[0].cidr;
        let IpAddr::V4(base) = subnet.network() else { panic!("IPv4 only") };
        let ip = match new.ip.as_str() {
            "" => IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() + 1 + table.last_host)),
            asked => asked.parse().unwrap(),
        };
        Ok(Endpoint {
            id,
            network: network.id,
            node: super::world::Host::node(),
            sandbox: new.sandbox.parse().unwrap(),
            name: new.name.parse().unwrap(),
            aliases: new.aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
            addresses: vec![format!("{ip}/{}", subnet.prefix_len()).parse().unwrap()],
            mac: mac_for_ip(ip),
            created_ms: 0,
        })
    }

    fn create(&self, request: &v1::CreateEndpointsRequest) -> Result<v1::CreateEndpointsResponse, Status> {
        let mut endpoints = Vec::new();
        for new in &request.endpoints {
            endpoints.push(self.allocate(new)?);
        }
        let revision = self.change(endpoints.iter().cloned().map(Change::PutEndpoint).collect());
        Ok(v1::CreateEndpointsResponse { endpoints: endpoints.iter().map(Into::into).collect(), revision })
    }

    fn release_all_but(&self, held: &[String], at: u64) {
        let gone: Vec<Change> = self
            .endpoints()
            .into_iter()
            .filter(|e| !held.iter().any(|id| *id == e.id.to_string()))
            .map(|e| Change::DropEndpoint(e.id))
            .collect();
        if !gone.is_empty() && at > 0 {
            self.change(gone);
        }
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<v1::ManagerMessage, Status>> + Send>>;

fn message(message: manager_message::Message) -> v1::ManagerMessage {
    v1::ManagerMessage { message: Some(message) }
}

#[tonic::async_trait]
impl Dispatcher for Manager {
    type SessionStream = Messages;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Messages>, Status> {
        self.refuse()?;
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.and_then(|m| m.message);
        let Some(worker_message::Message::Register(register)) = first else {
            return Err(Status::failed_precondition("register first"));
        };
        self.release_all_but(&register.held, register.revision);
        let (say, said) = mpsc::channel(64);
        let welcome =
            v1::Welcome { session: "straw".into(), heartbeat_ms: HEARTBEAT_MS, ..v1::Welcome::default() };
        say.send(Ok(message(manager_message::Message::Welcome(welcome)))).await.unwrap();
        let mut table = self.table.lock();
        table.registered.push(register);
        let whole = Assignment::Complete(table.assigned.clone());
        say.try_send(Ok(v1::ManagerMessage::from(&whole))).unwrap();
        self.everywhere.lock().push(say.downgrade());
        self.sessions.lock().push(say.clone());
        drop(table);
        let (manager, stop) = (self.clone(), self.stop.clone());
        tokio::spawn(async move {
            let mut beats = tokio::time::interval(Duration::from_millis(HEARTBEAT_MS));
            loop {
                tokio::select! {
                    _ = beats.tick() => {
                        let beat = message(manager_message::Message::Heartbeat(v1::Heartbeat {}));
                        if say.send(Ok(beat)).await.is_err() { return; }
                    }
                    heard = incoming.message() => match heard {
                        Ok(Some(m)) => manager.hear(m),
                        _ => return,
                    },
                    () = stop.cancelled() => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }

    async fn leave(
        &self,
        _: Request<v1::LeaveClusterRequest>,
    ) -> Result<Response<v1::LeaveClusterResponse>, Status> {
        self.table.lock().left = true;
        self.release_all_but(&[], u64::MAX);
        Ok(Response::new(v1::LeaveClusterResponse {}))
    }
}

impl Manager {
    fn hear(&self, heard: v1::WorkerMessage) {
        let mut table = self.table.lock();
        match heard.message {
            Some(worker_message::Message::Heartbeat(_)) => table.heartbeats += 1,
            Some(worker_message::Message::Programmed(programmed)) => table.programmed = programmed.revision,
            Some(
                worker_message::Message::Register(_)
                | worker_message::Message::Trust(_)
                | worker_message::Message::Trouble(_)
                | worker_message::Message::Doubts(_)
                | worker_message::Message::Incarnation(_),
            )
            | None => {}
        }
    }
}

#[tonic::async_trait]
impl Attachments for Manager {
    async fn create_endpoints(
        &self,
        request: Request<v1::CreateEndpointsRequest>,
    ) -> Result<Response<v1::CreateEndpointsResponse>, Status> {
        let silent = {
            let mut table = self.table.lock();
            table.creates += 1;
            let silent = table.silent_creates > 0;
            table.silent_creates -= u64::from(silent);
            silent
        };
        if silent {
            std::future::pending::<()>().await;
        }
        let failure = {
            let mut table = self.table.lock();
            (!table.failures.is_empty()).then(|| table.failures.remove(0))
        };
        match failure {
            Some((false, status)) => Err(status),
            Some((true, status)) => self.create(request.get_ref()).and(Err(status)),
            None => self.create(request.get_ref()).map(Response::new),
        }
    }

    async fn release_endpoints(
        &self,
        request: Request<v1::ReleaseEndpointsRequest>,
    ) -> Result<Response<v1::ReleaseEndpointsResponse>, Status> {
        let ids = request.into_inner().ids;
        let revision = self.change(ids.iter().map(|id| Change::DropEndpoint(id.parse().unwrap())).collect());
        Ok(Response::new(v1::ReleaseEndpointsResponse { revision }))
    }
}
