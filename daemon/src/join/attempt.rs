//! One attempt to join: ask each address in turn, take the certificate, start what the role needs.
//! Knows the steps and what to undo; must not know when to try again.

use super::PendingJoin;
use crate::daemon::Daemon;
use crate::member::Member;
use crate::renewal::clock;
use crate::running::{self, Running, Start};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_identity::{
    Credentials, DialError, DialErrorKind, Dialler, JoinToken, NodeIdentity, NodeKey, admission,
};
use swarm_model::{ManagerPeer, Role};
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::{parse, v1 as pb, word};
use tokio::net::TcpListener;
use tonic::{Code, Status};

const ISSUE_DEADLINE: Duration = Duration::from_secs(10);
const TIME_DEADLINE: Duration = Duration::from_secs(5);
const GOODBYE_DEADLINE: Duration = Duration::from_secs(3);

/// A member, and what is to be said of its clock.
pub struct Joined {
    pub running: Arc<Running>,
    pub clock: Option<String>,
}

/// # Errors
/// UNAVAILABLE and its like when another attempt may do better; anything else is final.
pub async fn attempt(daemon: &Arc<Daemon>, pending: &PendingJoin) -> Result<Joined, Status> {
    let token: JoinToken = pending.token.parse().map_err(|e| Status::unauthenticated(format!("{e}")))?;
    let key = pending.key().map_err(|e| Status::internal(e.to_string()))?;
    let csr = key.csr().map_err(|e| Status::internal(e.to_string()))?;
    let issued = {
        // Held while asking: before a manager is let in, its port is dialled.
        let port = TcpListener::bind(pending.listen).await;
        let refused = |status: Status| match &port {
            Err(why) if status.code() == Code::FailedPrecondition => cannot_listen(pending, why, &status),
            _ => status,
        };
        let listen_port = port.as_ref().map_or(0, |_| pending.advertise.port());
        ask_in_turn(daemon, pending, &token, (csr, listen_port)).await.map_err(refused)?
    };
    let clock = ahead_ms(issued.now_ms).and_then(clock);
    let (start, managers) = accept(daemon, pending, &token, key, &issued)?;
    let undo = (start.credentials.clone(), managers.clone());
    match running::join(daemon, start, &managers).await {
        Ok(running) => Ok(Joined { running, clock }),
        Err(error) => {
            if super::is_final(&error) {
                say_goodbye(&undo.0, &undo.1).await;
            }
            Err(error)
        }
    }
}

fn cannot_listen(pending: &PendingJoin, why: &std::io::Error, refused: &Status) -> Status {
    let what = match why.kind() {
        std::io::ErrorKind::AddrInUse => "is in use by another process".to_owned(),
        _ => format!("cannot be listened on ({why})"),
    };
    Status::failed_precondition(format!(
        "{}: address {} {what}; choose another with --listen-addr",
        refused.message(),
        pending.listen
    ))
}

/// The first manager of the cluster that answers decides; what makes the others fail is told only when none does.
async fn ask_in_turn(
    daemon: &Daemon,
    pending: &PendingJoin,
    token: &JoinToken,
    (csr, listen_port): (Vec<u8>, u16),
) -> Result<pb::IssueResponse, Status> {
    let (mut failures, mut stranger) = (Vec::new(), None);
    for remote in &pending.remotes {
        match ask(daemon, pending, (remote, token), (csr.clone(), listen_port)).await {
            Ok(issued) => return Ok(issued),
            Err(Unanswered::Stranger(status)) => {
                failures.push(status.message().to_owned());
                stranger.get_or_insert(status);
            }
            Err(Unanswered::By(status)) if super::is_final(&status) => return Err(status),
            Err(Unanswered::By(status)) => failures.push(status.message().to_owned()),
        }
    }
    match stranger {
        // Nobody else is left who might answer later.
        Some(status) if pending.remotes.len() == 1 => Err(status),
        _ => Err(Status::unavailable(failures.join("; "))),
    }
}

/// Why an address led to no certificate.
enum Unanswered {
    /// Somebody is there who is no manager of this cluster: another address may still be right.
    Stranger(Status),
    By(Status),
}

impl From<Status> for Unanswered {
    fn from(status: Status) -> Self {
        Self::By(status)
    }
}

async fn ask(
    daemon: &Daemon,
    pending: &PendingJoin,
    (remote, token): (&str, &JoinToken),
    (csr_der, listen_port): (Vec<u8>, u16),
) -> Result<pb::IssueResponse, Unanswered> {
    let channel = match admission::channel(remote, &token.digest()).await {
        Ok(channel) => channel,
        Err(error @ (DialError::NotYetValid { .. } | DialError::Expired { .. })) => {
            return Err(Unanswered::Stranger(measured(remote, token, &error).await));
        }
        Err(e) => {
            return Err(match e.kind() {
                // A stranger's port is as good as nobody's: the address may be wrong now and right later.
                DialErrorKind::Unreachable => Unanswered::By(Status::unavailable(e.to_string())),
                DialErrorKind::Untrusted => Unanswered::Stranger(e.to_status()),
                DialErrorKind::Usage | DialErrorKind::Refused => Unanswered::By(e.to_status()),
            });
        }
    };
    let request = pb::IssueRequest {
        token: pending.token.clone(),
        csr_der,
        hostname: daemon.config.hostname.clone(),
        addr: pending.advertise.ip().to_string(),
        data_path_addr: pending.data_path.to_string(),
        availability: pb::Availability::from(pending.availability).into(),
        labels: pending.labels.clone().into_iter().collect(),
        version: env!("CARGO_PKG_VERSION").into(),
        features: daemon.config.features,
        request_id: pending.request.to_string(),
        listen_port: listen_port.into(),
    };
    let mut client = CaClient::new(channel);
    match tokio::time::timeout(ISSUE_DEADLINE, client.issue(request)).await {
        Ok(answer) => Ok(answer.map(tonic::Response::into_inner)?),
        Err(_) => {
            let late = format!("{remote} did not answer within {} s", ISSUE_DEADLINE.as_secs());
            Err(Status::unavailable(late).into())
        }
    }
}

/// A certificate that does not hold says only the least by which the clocks differ: the manager is asked for the time.
async fn measured(remote: &str, token: &JoinToken, error: &DialError) -> Status {
    let told = async {
        let channel = admission::channel_at_any_time(remote, &token.digest()).await.ok()?;
        let answer = CaClient::new(channel).get_root_ca(pb::GetRootCaRequest {}).await.ok()?;
        clock(ahead_ms(answer.into_inner().now_ms)?)
    };
    match tokio::time::timeout(TIME_DEADLINE, told).await {
        Ok(Some(skew)) => Status::permission_denied(format!("{error}; measured: {skew}")),
        Ok(None) | Err(_) => error.to_status(),
    }
}

/// How far this host's clock is ahead of one that showed this; `None`: it was not told.
fn ahead_ms(theirs_ms: u64) -> Option<i64> {
    let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (own, theirs) = (i64::try_from(own.as_millis()).ok()?, i64::try_from(theirs_ms).ok()?);
    (theirs != 0).then(|| own.saturating_sub(theirs))
}

fn is_name(remote: &str) -> bool {
    remote.parse::<SocketAddr>().is_err()
}

/// What was issued, as this host keeps it. Nothing is written yet.
fn accept(
    daemon: &Daemon,
    pending: &PendingJoin,
    token: &JoinToken,
    key: NodeKey,
    issued: &pb::IssueResponse,
) -> Result<(Start, Vec<ManagerPeer>), Status> {
    let refuse = |e: String| Status::internal(format!("the manager's answer cannot be used: {e}"));
    let identity = NodeIdentity::issued(key, &issued.certificate_chain, &token.digest())
        .map_err(|e| refuse(e.to_string()))?;
    let peer = identity.peer().clone();
    let role: Role = word("role", issued.role)?;
    if (parse("node", &issued.node, "an id"), role) != (Ok(peer.node), peer.role) {
        return Err(refuse("it names another node or role than its certificate".into()));
    }
    let managers: Vec<ManagerPeer> =
        issued.managers.iter().cloned().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let settings = issued.settings.clone().unwrap_or_default();
    let member = Member {
        node: peer.node,
        cluster: peer.cluster,
        role,
        advertise: pending.advertise,
        listen: pending.listen,
        data_path: pending.data_path,
        managers: managers.iter().map(|m| m.addr).collect(),
        listed_ms: Default::default(),
        listed: managers.iter().map(|m| m.node).collect(),
        names: pending.remotes.iter().filter(|remote| is_name(remote)).cloned().collect(),
        wishes: pending.wishes.clone(),
        moves: 0,
        former: Vec::new(),
    };
    daemon.state.begin().map_err(|e| Status::internal(e.to_string()))?;
    daemon.state.set_identity(&identity).map_err(|e| Status::internal(e.to_string()))?;
    let credentials = Credentials::new(identity).map_err(|e| Status::internal(e.to_string()))?;
    let port = u16::try_from(settings.data_path_port).unwrap_or(0);
    Ok((Start { member, credentials, data_path_port: port }, managers))
}

/// The cluster let this node in and this node did not come: it should not be listed for ever.
async fn say_goodbye(credentials: &Credentials, managers: &[ManagerPeer]) {
    let dialler = Dialler::new(credentials.clone());
    for manager in managers {
        let goodbye = async {
            let channel = dialler.to_manager(&manager.addr.to_string()).await.ok()?;
            DispatcherClient::new(channel).leave(pb::LeaveClusterRequest::default()).await.ok()
        };
        if let Ok(Some(_)) = tokio::time::timeout(GOODBYE_DEADLINE, goodbye).await {
            return;
        }
    }
    tracing::warn!("no manager could be told that this node did not join after all");
}
