//! Letting a node in: token → role, request → record, key → certificate.
//! Knows: the order of the steps. Must not know: TLS, how a record is written.

use super::throttle::{self, Throttle};
use super::token::{Shown, token_shown};
use super::{certificate, renew};
use crate::api::{ca_digest, no_cluster};
use crate::claims::{Claim, check_labels};
use crate::failure::unexpected;
use crate::gate::Admitted;
use crate::seat::{Seat, request_id as request_id_of};
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;
use swarm_identity::{JoinToken, Subject, probe, random, tied_to_key};
use swarm_model::{Availability, Cluster, IssuedToken, RequestId, Role};
use swarm_proto::{ConvertError, optional, v1, word_or};
use swarm_state::{AdmitByToken, AdmitNode, Command, Reply};
use tonic::{Code, Status};

pub async fn issue(
    seat: &Seat,
    throttle: &Mutex<Throttle>,
    admitted: Admitted<v1::IssueRequest>,
) -> Result<v1::IssueResponse, Status> {
    let Admitted { permit, addr, .. } = admitted;
    let from = addr.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let asked = permit.request();
    // A token rotated a moment ago on another manager must not be taken here any more.
    let (cluster, shown) = throttle::judge(seat, (throttle, from), || shown(seat, &asked.token)).await?;
    let request = tied(&asked.request_id, &asked.csr_der)?;
    let role = shown.role();
    let admit = record(asked, role, from)?;
    check_claim(seat, &admit, from)?;
    // A request that cannot be signed must not leave a node behind.
    let subject = Subject { node: admit.node, role, cluster: cluster.id };
    certificate(&cluster, &subject, &asked.csr_der)?;
    if role == Role::Manager {
        dial_back(asked.listen_port, admit.addr).await?;
    }
    let (permit, asked) = permit.split();
    let proposed = seat.proposer.propose(permit.map(|()| admission(shown, admit)), request).await;
    let done = proposed.map_err(Status::from).inspect_err(|status| {
        // Used up, expired or revoked: to find out is an attempt as any other.
        if status.code() == Code::PermissionDenied {
            throttle.lock().failed(from, Instant::now());
        }
    })?;
    // On a retry this is the node of the first time, which may have been changed or removed since.
    let Reply::Node(node) = done.reply else {
        return Err(unexpected(&done.reply));
    };
    seat.linearizer.applied_here(done.index).await?;
    renew(seat, node.id, &asked.csr_der)
}

/// A request is asked again only for the key it was asked for: the remembered answer to another's is nobody's.
fn tied(request_id: &str, csr_der: &[u8]) -> Result<RequestId, Status> {
    let given = request_id_of(request_id)?.to_string();
    let tied = tied_to_key(&given, csr_der).map_err(|e| Status::invalid_argument(e.to_string()))?;
    Ok(RequestId::from_random(tied))
}

/// Three different refusals: malformed, another cluster's, not valid (any more). The state knows three more, of tokens
/// made to order. All are exit code 5.
fn shown(seat: &Seat, token: &str) -> Result<(Cluster, Shown), Status> {
    let cluster = seat.applied.read(|state| state.cluster().cloned()).ok_or_else(no_cluster)?;
    let token: JoinToken = token.parse().map_err(|e| Status::unauthenticated(format!("{e}")))?;
    let digest = ca_digest(&cluster)?;
    // Copied: a thousand comparisons are not made under the lock that every change waits for.
    let issued: Vec<IssuedToken> = seat.applied.read(|state| state.tokens().cloned().collect());
    let shown = token_shown(&token, &digest, &cluster.join_secrets, issued.iter())
        .map_err(|e| Status::permission_denied(e.to_string()))?;
    Ok((cluster, shown))
}

fn admission(shown: Shown, admit: AdmitNode) -> Command {
    match shown {
        Shown::Standing(_) => Command::AdmitNode(admit),
        Shown::Issued(token, _) => Command::AdmitByToken(AdmitByToken { token, admit }),
    }
}

fn record(asked: &v1::IssueRequest, role: Role, from: IpAddr) -> Result<AdmitNode, ConvertError> {
    let addr = optional("addr", &asked.addr, "an IP address")?.unwrap_or(from).to_canonical();
    let data_path = optional::<IpAddr>("data_path_addr", &asked.data_path_addr, "an IP address")?;
    Ok(AdmitNode {
        node: random::new_id(),
        hostname: asked.hostname.clone(),
        role,
        availability: word_or("availability", asked.availability, Availability::Active)?,
        labels: asked.labels.clone(),
        addr,
        data_path_addr: data_path.unwrap_or(addr).to_canonical(),
        version: asked.version.clone(),
        features: asked.features,
    })
}

fn check_claim(seat: &Seat, admit: &AdmitNode, from: IpAddr) -> Result<(), Status> {
    check_labels(&admit.labels).map_err(Status::invalid_argument)?;
    let AdmitNode { node, addr, data_path_addr, .. } = *admit;
    let claim = Claim { node, hostname: &admit.hostname, addr, data_path_addr, from };
    let judged = seat.applied.read(|state| claim.check(None, state.nodes()));
    judged.map_err(Status::failed_precondition)
}

/// A manager nobody can reach would cost the others their quorum, so it is not even recorded. Port 0: the joiner
/// cannot listen. `JoinRaft` dials again, by identity.
async fn dial_back(port: u32, addr: IpAddr) -> Result<(), Status> {
    let port = u16::try_from(port)
        .map_err(|_| Status::from(ConvertError::new("listen_port", &port, "a port: 1 to 65535")))?;
    if port == 0 {
        return Err(Status::failed_precondition(
            "this token makes managers, and a manager must be able to listen",
        ));
    }
    probe(&std::net::SocketAddr::new(addr, port).into()).await.map_err(|e| {
        Status::failed_precondition(format!(
            "the advertised address cannot be reached from this manager: {e}; \
             check --advertise-addr and that TCP port {port} is open"
        ))
    })
}
