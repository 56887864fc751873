//! A node whose certificate ran out comes back by its key. Knows: who is still let in, and for how long. Must not know: how a
//! proof is made.

use super::throttle::{self, Throttle};
use crate::api::no_cluster;
use crate::gate::Admitted;
use crate::propose::now_ms;
use crate::seat::Seat;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr};
use swarm_identity::{Peer, prover};
use swarm_model::{Cluster, ClusterId};
use swarm_proto::v1;
use tonic::Status;

const DAY_MS: u64 = 24 * 3_600_000;

pub async fn renew(
    seat: &Seat,
    throttle: &Mutex<Throttle>,
    admitted: Admitted<v1::RenewExpiredRequest>,
) -> Result<v1::IssueResponse, Status> {
    let from = admitted.addr.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let asked = admitted.permit.request();
    let (cluster, peer) = throttle::judge(seat, (throttle, from), || proven(seat, asked)).await?;
    let grace_ms = cluster.settings.cert_grace_ms;
    judge(&peer, cluster.id, grace_ms, now_ms()).map_err(|e| Status::permission_denied(e.to_string()))?;
    tracing::info!(node = %peer.node, "renewing a certificate that has run out, by its key");
    super::renew(seat, peer.node, &asked.csr_der)
}

fn proven(seat: &Seat, asked: &v1::RenewExpiredRequest) -> Result<(Cluster, Peer), Status> {
    let cluster = seat.applied.read(|state| state.cluster().cloned()).ok_or_else(no_cluster)?;
    let peer = prover(&asked.certificate_chain, &cluster.roots(), &asked.csr_der, &asked.proof)
        .map_err(|e| Status::permission_denied(e.to_string()))?;
    Ok((cluster, peer))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("the certificate is one of cluster {given}, this is cluster {ours}")]
    OtherCluster { given: ClusterId, ours: ClusterId },
    #[error(
        "the certificate ran out {} days ago, and only {} days of grace are given: \
         `swarmctl leave --force` on this host, then join again",
        since_ms / DAY_MS, grace_ms / DAY_MS
    )]
    TooLate { since_ms: u64, grace_ms: u64 },
}

fn judge(peer: &Peer, ours: ClusterId, grace_ms: u64, now_ms: u64) -> Result<(), Refused> {
    if peer.cluster != ours {
        return Err(Refused::OtherCluster { given: peer.cluster, ours });
    }
    match now_ms.saturating_sub(peer.expires_ms) {
        since_ms if since_ms > grace_ms => Err(Refused::TooLate { since_ms, grace_ms }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::{NodeId, Role};

    const NOW_MS: u64 = 1_700_000_000_000;

    fn ours() -> ClusterId {
        ClusterId::from_random([1; 16])
    }

    fn verdict(cluster: ClusterId, since_ms: u64) -> Result<(), Refused> {
        let node = NodeId::from_random([7; 16]);
        let peer = Peer { node, role: Role::Worker, cluster, expires_ms: NOW_MS - since_ms };
        judge(&peer, ours(), 30 * DAY_MS, NOW_MS)
    }

    #[test]
    fn b10_within_the_grace_period_and_not_later() {
        assert_eq!(verdict(ours(), 0), Ok(()));
        assert_eq!(verdict(ours(), 30 * DAY_MS), Ok(()));
        let late = verdict(ours(), 31 * DAY_MS).unwrap_err();
        assert!(late.to_string().contains("31 days ago"), "{late}");
        assert!(late.to_string().contains("join again"), "{late}");
    }

    #[test]
    fn s20_a_certificate_of_another_cluster_is_refused() {
        let given = ClusterId::from_random([2; 16]);
        assert_eq!(verdict(given, 0), Err(Refused::OtherCluster { given, ours: ours() }));
    }
}
