//! `join`: a token and some addresses become a membership, now or later.
//!
//! The request is on disk before the first manager is asked, with the request id and the key that make a retry the same join. A
//! refusal removes it; when nobody answers in time the caller is told so and the daemon goes on trying.

use crate::address::{self, Chosen, DEFAULT_PORT, Typed};
use crate::daemon::{Daemon, Phase};
use crate::member::PendingJoin;
use parking_lot::Mutex;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::{JoinToken, NodeKey, random};
use swarm_model::{Availability, check_labels};
use swarm_proto::{v1 as pb, word_or};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

mod attempt;

use attempt::Joined;

/// How long the caller of `join` is kept waiting while no manager answers.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(1);
const RESOLVE_DEADLINE: Duration = Duration::from_secs(2);

/// A join under way.
pub struct Joining {
    stop: CancellationToken,
    last_error: Mutex<String>,
    outcome: watch::Sender<Option<Result<pb::JoinResponse, Status>>>,
}

impl Joining {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stop: CancellationToken::new(),
            last_error: Mutex::new("no manager has answered yet".into()),
            outcome: watch::Sender::new(None),
        })
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn last_error(&self) -> String {
        self.last_error.lock().clone()
    }
}

/// # Errors
/// The request makes no sense, or a manager refused it: then nothing of it is left.
pub async fn join(daemon: &Arc<Daemon>, request: pb::JoinRequest) -> Result<pb::JoinResponse, Status> {
    let joining = {
        let _turn = daemon.turn().await;
        daemon.must_be_outside()?;
        let pending = read(&request, &resolved(&request.remote_addrs).await)?;
        daemon
            .state
            .set_pending(&pending)
            .map_err(|e| Status::internal(format!("cannot store the join: {e}")))?;
        begin(daemon, pending)
    };
    let mut outcome = joining.outcome.subscribe();
    let decided = tokio::time::timeout(PATIENCE, outcome.wait_for(Option::is_some)).await;
    match decided {
        Ok(Ok(done)) => done.clone().unwrap_or_else(|| Err(Status::cancelled("the join was stopped"))),
        Ok(Err(_)) => Err(Status::cancelled("the join was stopped")),
        Err(_) => Ok(pb::JoinResponse { pending: true, message: joining.last_error(), ..Default::default() }),
    }
}

/// A join that a restart interrupted goes on.
pub fn resume(daemon: &Arc<Daemon>, pending: PendingJoin) {
    begin(daemon, pending);
}

fn begin(daemon: &Arc<Daemon>, pending: PendingJoin) -> Arc<Joining> {
    let joining = Joining::new();
    daemon.enter(Phase::Joining(joining.clone()));
    tokio::spawn(run(daemon.clone(), joining.clone(), pending));
    joining
}

/// Tries until let in, refused or stopped.
async fn run(daemon: Arc<Daemon>, joining: Arc<Joining>, pending: PendingJoin) {
    loop {
        // Held for one attempt, so that `leave` finds either a joiner or a member, nothing between.
        let turn = daemon.turn().await;
        if joining.stop.is_cancelled() {
            break;
        }
        let attempt = attempt::attempt(&daemon, &pending);
        let result = tokio::select! {
            result = attempt => result,
            () = joining.stop.cancelled() => break,
        };
        match result {
            Ok(Joined { running, clock }) => {
                let member = running.member();
                let role = pb::Role::from(member.role).into();
                let advertised = member.chosen().warning(&crate::host::addresses());
                let warnings = advertised.into_iter().chain(clock).collect();
                let node = member.node.to_string();
                let answer = pb::JoinResponse { role, node, warnings, ..Default::default() };
                daemon.enter_member(running);
                joining.outcome.send_replace(Some(Ok(answer)));
                return;
            }
            Err(refused) if is_final(&refused) => return give_up(&daemon, &joining, refused),
            Err(error) => {
                tracing::warn!(error = error.message(), "join: trying again");
                *joining.last_error.lock() = error.message().to_owned();
            }
        }
        drop(turn);
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = joining.stop.cancelled() => break,
        }
    }
    joining.outcome.send_replace(Some(Err(Status::cancelled("the join was stopped by `leave`"))));
}

fn give_up(daemon: &Daemon, joining: &Joining, refused: Status) {
    tracing::warn!(error = refused.message(), "join: refused");
    let last_error = refused.message().to_owned();
    if let Err(error) = daemon.state.forget() {
        tracing::error!(%error, "what the join left on disk could not be removed");
    }
    daemon.enter(Phase::Outside { last_error });
    joining.outcome.send_replace(Some(Err(refused)));
}

/// Nobody there, nobody who leads, or too much asked of them: worth another try. Everything else is an answer.
fn is_final(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::ResourceExhausted
            | Code::Aborted
    )
}

fn read(request: &pb::JoinRequest, resolved: &[SocketAddr]) -> Result<PendingJoin, Status> {
    let refuse = |e: String| Status::invalid_argument(e);
    request.token.parse::<JoinToken>().map_err(|e| Status::unauthenticated(e.to_string()))?;
    let remotes = remotes("join", &request.remote_addrs)?;
    check_labels(&request.labels.clone().into_iter().collect()).map_err(|e| refuse(e.to_string()))?;
    let Chosen { advertise, listen, data_path } = addresses(request, resolved)?;
    remotes.iter().try_for_each(|remote| not_ourselves(remote, listen))?;
    let key = NodeKey::generate().and_then(|key| key.to_pem());
    let key = key.map_err(|e| Status::internal(e.to_string()))?;
    Ok(PendingJoin {
        token: request.token.trim().to_owned(),
        remotes,
        advertise,
        listen,
        data_path,
        availability: word_or("availability", request.availability, Availability::Active)?,
        labels: request.labels.clone().into_iter().collect(),
        wishes: Some(typed(request).kept()),
        request: random::new_id(),
        key: key.to_string(),
    })
}

/// A joiner that dials its own port would wait for itself.
fn not_ourselves(remote: &str, listen: SocketAddr) -> Result<(), Status> {
    let Ok(addr) = remote.parse::<SocketAddr>() else { return Ok(()) };
    let ip = addr.ip();
    let here = ip.is_unspecified() || ip.is_loopback() || crate::host::addresses().iter().any(|a| a.ip == ip);
    if here && addr.port() == listen.port() {
        return Err(Status::invalid_argument(format!(
            "{remote} is this host itself: give the address of a manager on another host"
        )));
    }
    Ok(())
}

/// What the remotes stand for by now, for a host that has to choose among its own addresses.
pub async fn resolved(remotes: &[String]) -> Vec<SocketAddr> {
    let lookups = remotes.iter().filter_map(|given| remote(given).ok()).map(|remote| async move {
        let found = tokio::time::timeout(RESOLVE_DEADLINE, tokio::net::lookup_host(remote)).await;
        found.ok().and_then(Result::ok).and_then(|mut addresses| addresses.next())
    });
    futures::future::join_all(lookups).await.into_iter().flatten().collect()
}

/// Managers as they were typed, each with its port.
pub fn remotes(verb: &str, given: &[String]) -> Result<Vec<String>, Status> {
    match given {
        [] => Err(Status::invalid_argument(format!("{verb} needs the address of a manager: HOST:PORT"))),
        given => given.iter().map(|one| remote(one)).collect(),
    }
}

/// `HOST:PORT`, or `HOST` with the default port.
fn remote(given: &str) -> Result<String, Status> {
    let bare_v6 = given.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port =
        !bare_v6 && given.rsplit_once(':').is_some_and(|(host, _)| !host.is_empty() && !given.ends_with(']'));
    let full = match (bare_v6, has_port) {
        (true, _) => format!("[{given}]:{DEFAULT_PORT}"),
        (false, true) => given.to_owned(),
        (false, false) => format!("{given}:{DEFAULT_PORT}"),
    };
    match full.parse::<swarm_identity::Address>() {
        Ok(_) => Ok(full),
        Err(error) => Err(Status::invalid_argument(error.to_string())),
    }
}

fn typed(request: &pb::JoinRequest) -> Typed<'_> {
    Typed {
        advertise: &request.advertise_addr,
        listen: &request.listen_addr,
        data_path: &request.data_path_addr,
    }
}

/// Of several addresses a joiner may take the one its packets to the manager leave by; only `init` has nobody to ask.
fn addresses(request: &pb::JoinRequest, remotes: &[SocketAddr]) -> Result<Chosen, Status> {
    let (host, typed) = (crate::host::addresses(), typed(request));
    let chosen = match (address::choose(typed, &host), request.advertise_addr.as_str()) {
        (Err(address::AddressError::Several(_)), "") => {
            let towards = crate::host::address_towards(remotes)
                .ok_or_else(|| Status::from(address::AddressError::Several(host.clone())))?;
            address::choose(Typed { advertise: &towards.to_string(), ..typed }, &host)
        }
        (chosen, _) => chosen,
    };
    let peers: Vec<IpAddr> = remotes.iter().map(SocketAddr::ip).collect();
    let chosen = chosen?;
    address::reachable_for(&peers, typed, &chosen, &host)?;
    Ok(chosen)
}
