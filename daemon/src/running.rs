//! What runs on a member: the worker, and on a manager the manager and the port it is reached at.
//! Knows the order in which parts start and stop; must not know what they do.

use crate::copies::{Original, refuse_copy};
use crate::daemon::Daemon;
use crate::member::Member;
use crate::renewal::Renewals;
use crate::serving::Serving;
use crate::state_dir::StateDir;
use anyhow::{Context, bail};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use swarm_identity::{Credentials, Dialler, NodeIdentity};
use swarm_manager::{
    BackupStream, Ear, EventStream, Heard, ManagerConfig, ManagerError, NewCluster, followed, room_to_begin,
};
use swarm_model::{Availability, Kin, Lineage, ManagerPeer, Role};
use swarm_proto::v1 as pb;
use swarm_proto::v1::control_server::Control;
use swarm_worker::{Dial, Hearing, Verdict, Worker, WorkerConfig, WorkerHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

/// The control API of the manager on this host.
pub type ManagerControl = dyn Control<BackupStream = BackupStream, WatchEventsStream = EventStream>;

pub struct Running {
    pub worker: WorkerHandle,
    pub credentials: Credentials,
    /// As `node.json` has it.
    member: RwLock<Member>,
    /// While this host is a manager.
    serving: RwLock<Option<Arc<Serving>>>,
    pub renewals: Renewals,
    /// Ends what follows the cluster's wishes for this host.
    pub stop: CancellationToken,
}

/// What a member starts with.
pub struct Start {
    pub member: Member,
    pub credentials: Credentials,
    pub data_path_port: u16,
}

/// Starts the first manager of a new cluster.
pub async fn bootstrap(
    daemon: &Arc<Daemon>,
    start: Start,
    cluster: NewCluster,
) -> Result<Arc<Running>, Status> {
    let serving = serve(daemon, &start).await?;
    let made = serving.manager.bootstrap(cluster).await.map_err(status);
    come_up(daemon, start, serving, made).await
}

/// Starts the only manager of a cluster that lies in Raft's directory already.
pub async fn restored(daemon: &Arc<Daemon>, start: Start) -> Result<Arc<Running>, Status> {
    let serving = serve(daemon, &start).await?;
    let leads = serving.leads().await;
    come_up(daemon, start, serving, leads).await
}

/// Starts what a node that was just let in needs for its role. On an error everything is stopped again.
pub async fn join(
    daemon: &Arc<Daemon>,
    start: Start,
    managers: &[ManagerPeer],
) -> Result<Arc<Running>, Status> {
    if start.member.role == Role::Worker {
        let worker = finish(daemon, &start, None).await?;
        return Ok(running(start, worker, None));
    }
    has_room(&daemon.state, 0)?;
    let serving = serve(daemon, &start).await?;
    let addresses: Vec<String> = managers.iter().map(|m| m.addr.to_string()).collect();
    let joined = serving.manager.join_raft(&addresses).await.map_err(status);
    come_up(daemon, start, serving, joined).await
}

/// A manager that has its cluster, or has failed to get it, becomes a member or is stopped again.
async fn come_up(
    daemon: &Daemon,
    start: Start,
    serving: Serving,
    has_cluster: Result<(), Status>,
) -> Result<Arc<Running>, Status> {
    let made = match has_cluster {
        Ok(()) => finish(daemon, &start, Some(&serving)).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(worker) => Ok(running(start, worker, Some(serving))),
        Err(error) => {
            serving.stop().await;
            Err(error)
        }
    }
}

/// Starts a member again from what is on disk.
pub async fn resume(daemon: &Arc<Daemon>, member: Member) -> anyhow::Result<Arc<Running>> {
    let dir = daemon.state.certificates();
    let Some(identity) = daemon.state.identity()? else {
        bail!(
            "{} is missing while node.json says that this host is a member: restore it, or remove the state folder and join again",
            dir.display()
        );
    };
    if identity.peer().node != member.node {
        bail!("{} belongs to another node than node.json", dir.display());
    }
    if member.role == Role::Worker {
        daemon.state.end_raft().context("cannot clear what is left of this host's time as a manager")?;
    }
    let credentials = Credentials::new(identity)?;
    let before = member.clone();
    let member = match member.role {
        Role::Manager => only_one(daemon, member, &credentials).await?,
        Role::Worker => member,
    };
    let member = match crate::whereabouts::moved(&member) {
        Some(moved) => {
            tracing::info!(from = %member.advertise, to = %moved.advertise, "this node is found elsewhere than before");
            moved
        }
        None => member,
    };
    if member != before {
        daemon.state.set_member(&member)?;
    }
    let start = Start { member, credentials, data_path_port: 0 };
    let serving = match (start.member.role, start.credentials.peer().role) {
        // With a worker's certificate it first needs another one: that is for those who follow its role.
        (Role::Worker, _) | (_, Role::Worker) => None,
        (Role::Manager, Role::Manager) => Some(serve(daemon, &start).await.map_err(sentence)?),
    };
    let worker = start_worker(daemon, &start, serving.as_ref()).await.map_err(sentence)?;
    if let Some(later) = followed(&daemon.state.old_raft())
        && worker.status().lineage.sees(&later) == Kin::Later
    {
        // It was on its way there, and has had no word from there yet.
        worker.expect(later);
    }
    Ok(running(start, worker, serving))
}

/// The manager is no copy of one that is there; after one that was, it comes back as a new member of Raft.
async fn only_one(daemon: &Daemon, member: Member, credentials: &Credentials) -> anyhow::Result<Member> {
    let Original { member, outlived } = refuse_copy(member, credentials).await?;
    if outlived {
        tracing::warn!(
            "another daemon was this manager meanwhile, on a copy of these files: Raft begins anew here"
        );
        daemon.state.end_raft().context("cannot clear away the outdated files of Raft")?;
    }
    Ok(member)
}

fn sentence(status: Status) -> anyhow::Error {
    anyhow::anyhow!(status.message().to_owned())
}

fn running(start: Start, worker: WorkerHandle, serving: Option<Serving>) -> Arc<Running> {
    serving.iter().for_each(|serving| serving.manager.listen(ear(&worker)));
    Arc::new(Running {
        worker,
        credentials: start.credentials,
        member: RwLock::new(start.member),
        serving: RwLock::new(serving.map(Arc::new)),
        renewals: Renewals::default(),
        stop: CancellationToken::new(),
    })
}

/// The worker starts, and from then on this host is a member.
async fn finish(daemon: &Daemon, start: &Start, serving: Option<&Serving>) -> Result<WorkerHandle, Status> {
    let worker = start_worker(daemon, start, serving).await?;
    match daemon.state.set_member(&start.member) {
        Ok(()) => Ok(worker),
        Err(error) => {
            let _ = worker.leave().await;
            Err(Status::internal(format!("cannot store the membership: {error}")))
        }
    }
}

async fn start_worker(
    daemon: &Daemon,
    start: &Start,
    serving: Option<&Serving>,
) -> Result<WorkerHandle, Status> {
    let member = &start.member;
    let config = worker_config(daemon, member, start.data_path_port);
    let worker = Worker::start(config, Arc::new(MemberDial(Dialler::new(start.credentials.clone())))).await?;
    worker.set_own_manager(serving.map(|_| own_manager(member).to_string()));
    Ok(worker)
}

/// What the worker on this host is started with.
pub fn worker_config(daemon: &Daemon, member: &Member, data_path_port: u16) -> WorkerConfig {
    WorkerConfig {
        node: member.node,
        hostname: daemon.config.hostname.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        state_dir: daemon.config.state_dir.clone(),
        run_dir: daemon.config.run_dir.clone(),
        addr: member.advertise.ip(),
        data_path_addr: member.data_path,
        data_path_port,
        seeds: member.seeds(),
        resolv_conf: "/etc/resolv.conf".into(),
        features: daemon.config.features,
    }
}

/// Where this host finds its own manager: as advertised, unless that address is not here but in front (NAT).
pub fn own_manager(member: &Member) -> SocketAddr {
    let here = crate::host::addresses().iter().any(|a| a.ip == member.advertise.ip());
    match member.listen.ip() {
        _ if here => member.advertise,
        ip if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), member.listen.port()),
        _ => member.listen,
    }
}

pub async fn serve(daemon: &Arc<Daemon>, start: &Start) -> Result<Serving, Status> {
    let config = manager_config(daemon, &start.member)?;
    let serving =
        Serving::start(daemon.clone(), start.member.listen, config, start.credentials.clone()).await?;
    serving.manager.look_at(start.member.seeds());
    Ok(serving)
}

/// What a manager on this host is started with.
pub fn manager_config(daemon: &Daemon, member: &Member) -> Result<ManagerConfig, Status> {
    let key = raft_key(&daemon.state).map_err(|e| Status::internal(format!("{e:#}")))?;
    Ok(ManagerConfig {
        host_routes: Arc::new(crate::host::routes),
        moves: member.moves,
        former: member.former.clone(),
        features: daemon.config.features,
        ..ManagerConfig::new(daemon.state.raft(), key, member.advertise)
    })
}

/// The credentials that were just stored, read back.
pub fn stored_credentials(state: &StateDir) -> Result<Credentials, Status> {
    let stored = || -> anyhow::Result<Credentials> {
        let identity = state.identity()?;
        Ok(Credentials::new(identity.context("the certificate that was just stored is not there")?)?)
    };
    stored().map_err(|e| Status::internal(format!("{e:#}")))
}

/// Whether a manager with a state of so many bytes could begin on this host's disk: one that is full at once decides nothing.
pub fn has_room(state: &StateDir, bytes: usize) -> Result<(), Status> {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let room = room_to_begin(&state.raft(), bytes);
    room.map_err(|e| {
        Status::failed_precondition(format!(
            "{e}; make room, or use another disk (swarmd --state-dir). Nothing was changed"
        ))
    })
}

fn raft_key(state: &StateDir) -> anyhow::Result<swarm_manager::StoreKey> {
    state.raft_key().with_context(|| format!("cannot use the Raft key in {}", state.path().display()))
}

pub fn status(error: ManagerError) -> Status {
    match error {
        ManagerError::Refused(status) => status,
        ManagerError::LastManager => Status::failed_precondition(error.to_string()),
        other => Status::internal(other.to_string()),
    }
}

impl Running {
    pub fn member(&self) -> Member {
        self.member.read().clone()
    }

    pub fn set_member(&self, member: Member) {
        *self.member.write() = member;
    }

    /// From here on this host is known by this identity, also after a restart.
    pub fn take_identity(&self, state: &StateDir, identity: NodeIdentity) -> Result<(), Status> {
        let internal = |e: String| Status::internal(format!("the new certificate cannot be used: {e}"));
        state.set_identity(&identity).map_err(|e| internal(e.to_string()))?;
        self.credentials.replace(identity).map_err(|e| internal(e.to_string()))
    }

    pub fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.read().clone()
    }

    /// From here on this host is a manager, or is none any more; the worker turns to it or away from it.
    pub fn set_serving(&self, serving: Option<Arc<Serving>>) {
        self.worker.set_own_manager(serving.as_ref().map(|_| own_manager(&self.member()).to_string()));
        serving.iter().for_each(|serving| serving.manager.listen(ear(&self.worker)));
        *self.serving.write() = serving;
    }

    pub fn is_manager(&self) -> bool {
        self.serving.read().is_some()
    }

    pub fn control(&self) -> Option<Arc<ManagerControl>> {
        self.serving().map(|s| Arc::new(s.manager.local_control()) as Arc<ManagerControl>)
    }

    /// The managers this host knows, with their ids where an assignment said them.
    pub fn known_managers(&self) -> Vec<ManagerPeer> {
        match self.serving() {
            Some(serving) if serving.manager.has_cluster() => serving.manager.managers(),
            _ => self.worker.status().managers,
        }
    }

    /// The epoch of the cluster that this host keeps to. That of its own manager, until it follows another.
    pub fn lineage(&self) -> Lineage {
        let worker = self.worker.status().lineage;
        match self.serving().filter(|serving| serving.manager.has_cluster()) {
            Some(serving) => Some(serving.manager.lineage()).filter(|own| own.sees(&worker) != Kin::Later),
            None => None,
        }
        .unwrap_or(worker)
    }

    /// As the cluster has it on record; known to managers alone.
    pub fn availability(&self) -> Option<Availability> {
        let node = self.member().node;
        self.serving()?.manager.read(|state| state.node(&node).map(|node| node.availability))
    }

    /// Their addresses; those given to `join` until an assignment came.
    pub fn managers(&self) -> Vec<SocketAddr> {
        let known: Vec<SocketAddr> = self.known_managers().iter().map(|m| m.addr).collect();
        if known.is_empty() { self.member().managers } else { known }
    }

    /// Out of Raft and off the record, in order if that can be had.
    pub async fn leave_as_manager(&self) -> Result<(), Status> {
        match self.serving() {
            Some(serving) => serving.manager.leave(true).await.map_err(status),
            None => Ok(()),
        }
    }

    pub async fn stop_serving(&self) {
        let serving = self.serving();
        if let Some(serving) = serving {
            serving.stop().await;
        }
    }

    /// Stops the parts; touches no kernel object.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.worker.shutdown().await;
        self.stop_serving().await;
    }
}

/// What the manager on this host asks the worker's gossip.
fn ear(worker: &WorkerHandle) -> Ear {
    let worker = worker.clone();
    Arc::new(move || worker.hearings().into_iter().map(|(node, hearing)| (node, heard(&hearing))).collect())
}

fn heard(said: &Hearing) -> Heard {
    let hearing = match said.verdict {
        Verdict::Alive => pb::Hearing::Alive,
        Verdict::Suspect => pb::Hearing::Suspect,
        Verdict::Down => pb::Hearing::Down,
    };
    Heard { hearing, round_trip: said.round_trip }
}

/// The cluster's dialler, as the worker wants it.
struct MemberDial(Dialler);

impl Dial for MemberDial {
    fn manager<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, Result<Channel, String>> {
        async move { self.0.to_manager(addr).await.map_err(|e| e.to_string()) }.boxed()
    }
}
