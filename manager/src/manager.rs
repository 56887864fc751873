//! One manager: its parts started, wired and stopped.
//! Knows: which parts there are and in which order they come and go. Must not know: what they decide. It does not
//! listen: the daemon serves `tls_routes` on TCP 2377 and `local_control` on its own socket.

use crate::addresses::{self, Addresses, greet_others};
use crate::api::{self, ControlService, Ear};
use crate::applied::AppliedState;
use crate::attachments::AttachmentsService;
use crate::audit::Audit;
use crate::ca::CaService;
use crate::config::{ManagerConfig, NewCluster};
use crate::dispatcher::DispatcherService;
use crate::figures::{Figures, figures};
use crate::gate::Door;
use crate::leader::{end_stale_sessions, tell_of_leaders, watch_over};
use crate::links::Links;
use crate::machine::StateMachine;
use crate::member_file::{MemberFileError, load_or_make};
use crate::membership::MembershipService;
use crate::quorum::Quorum;
use crate::raft_door::RaftDoor;
use crate::recovery::{self, Met, Others, RecoveryService};
use crate::seat::Seat;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::{Credentials, Dialler, STRANGER_BYTES, Served};
use swarm_model::{Lineage, ManagerPeer, Role, UnlockSecret};
use swarm_proto::MAX_MESSAGE_BYTES;
use swarm_proto::v1::attachments_server::AttachmentsServer;
use swarm_proto::v1::ca_server::CaServer;
use swarm_proto::v1::control_server::ControlServer;
use swarm_proto::v1::dispatcher_server::DispatcherServer;
use swarm_proto::v1::membership_server::MembershipServer;
use swarm_proto::v1::recovery_server::RecoveryServer;
use swarm_raft::{RaftConfig, RaftNode, StartError, StoreKey};
use swarm_state::State;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Longest wait for sessions and loops to end when the manager stops.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    #[error(transparent)]
    Member(#[from] MemberFileError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the certificate of this node is a worker's: it cannot be a manager with it")]
    NotAManager,
    #[error("the cluster could not be made: {0}")]
    Bootstrap(String),
    /// The sentence and code of the manager that refused, or of the last attempt.
    #[error("{}", .0.message())]
    Refused(tonic::Status),
    #[error(
        "this is the last manager: with it the cluster and everything in it is gone for good; leave with --force to do so"
    )]
    LastManager,
}

/// See [`Manager::wanted_lock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedLock {
    Unknown,
    Off,
    On(UnlockSecret),
}

/// A running manager. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Manager {
    pub(crate) seat: Arc<Seat>,
    ca: CaService,
    stop: CancellationToken,
}

impl Manager {
    /// Opens what is on disk, or an empty directory that waits for [`Manager::bootstrap`] or [`Manager::join_raft`].
    /// Both of these need `tls_routes` to be served already.
    pub async fn start(config: ManagerConfig, credentials: Credentials) -> Result<Self, ManagerError> {
        if credentials.peer().role != Role::Manager {
            return Err(ManagerError::NotAManager);
        }
        let applied = Arc::new(AppliedState::default());
        let links = Links::new(Dialler::new(credentials.clone()));
        let (dir, former) = (config.dir.clone(), config.former);
        let raft = RaftNode::start(
            RaftConfig {
                timing: config.timing,
                cadence: applied.cadence(),
                ..RaftConfig::new(load_or_make(&config.dir)?, config.dir, config.key)
            },
            StateMachine { applied: applied.clone(), features: config.features },
            Arc::new(links.clone()),
        )
        .await?;
        let addresses = Addresses::new(config.advertise, config.moves);
        let met = Met::load(dir);
        let audit = Audit::start(config.audit, applied.clone());
        let seat = Arc::new(Seat::new(
            applied,
            raft,
            (links, addresses, met),
            (credentials, config.host_routes, config.features),
            (audit, Duration::from_millis(config.timing.election_min_ms)),
        ));
        let stop = CancellationToken::new();
        seat.tasks.spawn(watch_over(seat.clone(), stop.clone()));
        seat.tasks.spawn(greet_others(seat.clone(), stop.clone()));
        seat.tasks.spawn(end_stale_sessions(seat.clone(), stop.clone()));
        seat.tasks.spawn(tell_of_leaders(seat.clone(), stop.clone()));
        seat.tasks.spawn(recovery::look_out(seat.clone(), former, stop.clone()));
        let ca = CaService::new(seat.clone());
        Ok(Self { seat, ca, stop })
    }

    /// Makes a new cluster of which this node is the first manager. Returns once it is committed.
    pub async fn bootstrap(&self, cluster: NewCluster) -> Result<(), ManagerError> {
        crate::bootstrap::bootstrap(self, cluster).await
    }

    /// Comes into the Raft of an existing cluster through any of its managers (`HOST:PORT`). Returns as a voter that
    /// has the cluster's state. Asked again after a failure, it goes on from there.
    pub async fn join_raft(&self, managers: &[String]) -> Result<(), ManagerError> {
        crate::join_leave::join(self, managers).await
    }

    /// Takes this node out of Raft and off the record (its endpoints are released with it). The leader hands
    /// leadership over first. With `force`, what cannot be done in time is passed over. Raft is to be shut down and its
    /// directory removed afterwards.
    pub async fn leave(&self, force: bool) -> Result<(), ManagerError> {
        crate::join_leave::leave(self, force).await
    }

    /// Everything served on TCP 2377, to members and to callers without a certificate.
    pub fn tls_routes(&self) -> Served {
        Served { members: self.routes(MAX_MESSAGE_BYTES), strangers: self.routes(STRANGER_BYTES) }
    }

    /// Everything, with messages up to so many bytes.
    fn routes(&self, most: usize) -> Routes {
        let seat = &self.seat;
        let door = RaftDoor::new(seat.applied.clone(), seat.raft.clone(), seat.leader_silence);
        let raft = seat.raft.service(door.check_sender());
        let control = ControlService::new(seat.clone(), Door::Tls);
        let attachments = AttachmentsServer::new(AttachmentsService { seat: seat.clone() });
        // A whole assignment may be larger than what is taken from others.
        let dispatcher = DispatcherServer::new(DispatcherService::new(seat.clone()));
        let membership = MembershipServer::new(MembershipService { seat: seat.clone() });
        Routes::new(ControlServer::new(control).max_decoding_message_size(most))
            .add_service(CaServer::new(self.ca.clone()).max_decoding_message_size(most))
            .add_service(dispatcher.max_decoding_message_size(most))
            .add_service(attachments.max_decoding_message_size(most))
            .add_service(membership.max_decoding_message_size(most))
            .add_service(
                RecoveryServer::new(RecoveryService { seat: seat.clone() }).max_decoding_message_size(most),
            )
            .add_service(door.before(raft))
    }

    /// The control API for the local socket: its callers are the operator.
    pub fn local_control(&self) -> ControlService {
        ControlService::new(self.seat.clone(), Door::Local)
    }

    /// Where the gossip of this host is asked what it says of the others.
    pub fn listen(&self, ear: Ear) {
        self.seat.hearsay.listen(ear);
    }

    /// The managers as this one sees them; asks the leader, for at most a second.
    pub async fn quorum(&self) -> Quorum {
        api::quorum(&self.seat).await
    }

    /// False on an empty directory: nothing was bootstrapped or joined yet.
    pub fn has_cluster(&self) -> bool {
        self.seat.applied.read(|state| state.cluster().is_some())
    }

    /// Whether this manager has come all the way into Raft. A learner has the cluster's state too; whoever was about to make
    /// it a voter may be lost.
    pub fn has_joined(&self) -> bool {
        let status = self.seat.raft.status();
        // Before Raft has read its log it tells of no voters at all.
        self.has_cluster() && (status.voters.is_empty() || status.voters.contains_key(&status.id))
    }

    /// Returns, with the later epoch, when the cluster was found to have gone on without this manager and those it decides
    /// with, if any. `None`: this manager was stopped.
    pub async fn superseded(&self) -> Option<Lineage> {
        self.stop.run_until_cancelled(recovery::superseded(self.seat.clone())).await
    }

    /// Asks the others once whether what `superseded` has found is still so.
    pub async fn still_superseded(&self) -> bool {
        recovery::look(&self.seat).await.is_some()
    }

    /// Asks the others whether a recovery from here would lose what one of them knows, or would not be the only one.
    ///
    /// # Errors
    /// A sentence that says who is in the way.
    pub async fn may_go_alone(&self) -> Result<Others, String> {
        recovery::may_go_alone(&self.seat).await
    }

    /// Whether a majority of the managers is there to decide.
    pub async fn has_quorum(&self) -> bool {
        self.quorum().await.leader.is_some()
    }

    /// The others find this manager elsewhere from now on. They are told, and the record follows.
    pub fn moved(&self, advertise: SocketAddr, moves: u64) {
        self.seat.addresses.moved(advertise, moves);
    }

    /// Has the manager at `addr` (`HOST:PORT`) dial this one where it is going to be found, before `moved`.
    pub async fn would_be_found(
        &self,
        addr: &str,
        (advertise, moves): (SocketAddr, u64),
    ) -> Result<(), tonic::Status> {
        let word = addresses::Whereabouts { addr: advertise, moves };
        addresses::would_be_found(&self.seat, addr, word).await
    }

    /// Addresses (`HOST:PORT`) at which an operator says that other managers are found, beside those on record.
    pub fn look_at(&self, addresses: Vec<String>) {
        self.seat.addresses.set_seeds(addresses);
    }

    /// A certificate for this node itself, by its own records. They must be up to date, unless its certificate has run out
    /// (`expired`): then it could ask nobody, and managers that were all away for long would never meet again.
    pub async fn renew_own(
        &self,
        csr_der: &[u8],
        expired: bool,
    ) -> Result<swarm_proto::v1::IssueResponse, tonic::Status> {
        if !expired {
            self.seat.linearizer.barrier().await?;
        }
        crate::ca::renew(&self.seat, self.seat.me().node, csr_der)
    }

    /// Returns, with the reason, when another run under this manager's name turned out to be the one that counts.
    pub async fn twin(&self) -> String {
        self.seat.addresses.twin().await
    }

    /// The epoch of the cluster that this manager keeps to: the one it lives in, or a later one that it is about to follow.
    pub fn lineage(&self) -> Lineage {
        self.seat.met.follows().unwrap_or_else(|| recovery::lineage(&self.seat))
    }

    /// An operator says that the cluster goes on there, and not with this manager and those it decides with.
    pub fn follow(&self, later: Lineage) {
        self.seat.met.follow(later);
    }

    pub fn figures(&self) -> Figures {
        figures(&self.seat)
    }

    /// The managers on record: where workers and joiners may go.
    pub fn managers(&self) -> Vec<ManagerPeer> {
        self.seat.applied.read(State::managers)
    }

    /// Looks at the applied state, under its lock: briefly.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.seat.applied.read(look)
    }

    /// Changes whenever the lock of the managers' files may have changed.
    pub fn watch_locks(&self) -> watch::Receiver<u64> {
        self.seat.applied.watch_locks()
    }

    /// How this manager's files are to be locked. Unknown until it has applied what it had applied before it was started:
    /// nothing old is taken for new.
    pub async fn wanted_lock(&self) -> WantedLock {
        if self.seat.raft.wait_recovered(Duration::ZERO).await.is_err() {
            return WantedLock::Unknown;
        }
        self.seat.applied.read(|state| match state.cluster().map(|cluster| cluster.unlock_key.clone()) {
            None => WantedLock::Unknown,
            Some(None) => WantedLock::Off,
            Some(Some(key)) => WantedLock::On(key),
        })
    }

    /// See [`swarm_raft::RaftNode::change_key`].
    pub async fn change_key(&self, key: &StoreKey) -> std::io::Result<()> {
        self.seat.raft.change_key(key).await
    }

    /// Returns when Raft has stopped by itself, with the reason: a broken file, an entry that cannot be understood.
    pub async fn stopped(&self) -> String {
        let mut status = self.seat.raft.watch_status();
        let stopped = status.wait_for(|status| status.stopped.is_some()).await;
        let reason = stopped.ok().and_then(|status| status.stopped.clone());
        reason.unwrap_or_else(|| "Raft has ended".to_owned())
    }

    /// Ends sessions (without calling their nodes lost), hands leadership over, closes the log. Idempotent.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.seat.applied.hub().stop();
        self.seat.applied.news().stop();
        self.seat.tasks.close();
        if timeout(STOP_DEADLINE, self.seat.tasks.wait()).await.is_err() {
            tracing::warn!("some sessions did not end in time; they are cut with the process");
        }
        self.seat.raft.shutdown().await;
        self.seat.audit.flush().await;
    }
}
