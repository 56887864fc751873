//! `info`: this host as it sees itself. Answers in every phase.

use crate::daemon::{Daemon, Phase};
use crate::running::Running;
use swarm_proto::v1 as pb;
use swarm_worker::Tunnel;
use swarm_worker::esp::PeerState;

pub async fn info(daemon: &Daemon) -> pb::InfoResponse {
    let common = pb::InfoResponse {
        version: env!("CARGO_PKG_VERSION").into(),
        hostname: daemon.config.hostname.clone(),
        state_dir: daemon.config.state_dir.display().to_string(),
        ..Default::default()
    };
    match daemon.phase() {
        Phase::Outside { last_error } => pb::InfoResponse { join_error: last_error, ..common },
        Phase::Joining(joining) => pb::InfoResponse {
            state: pb::MembershipState::Pending.into(),
            join_error: joining.last_error(),
            ..common
        },
        Phase::Member(running) => member(&running, common),
        Phase::Locked(locked) => pb::InfoResponse {
            state: pb::MembershipState::Locked.into(),
            node: locked.member.node.to_string(),
            cluster: locked.member.cluster.to_string(),
            role: pb::Role::from(locked.member.role).into(),
            node_addr: locked.member.advertise.ip().to_string(),
            data_path_addr: locked.member.data_path.to_string(),
            sandboxes: u32::try_from(locked.worker.status().sandboxes).unwrap_or(u32::MAX),
            data_path_port: locked.worker.status().data_path_port.into(),
            join_error: crate::lock::SENTENCE.into(),
            ..common
        },
    }
}

fn member(running: &Running, common: pb::InfoResponse) -> pb::InfoResponse {
    let member = running.member();
    let status = running.worker.status();
    pb::InfoResponse {
        state: pb::MembershipState::Active.into(),
        node: member.node.to_string(),
        cluster: member.cluster.to_string(),
        role: pb::Role::from(member.role).into(),
        node_addr: member.advertise.ip().to_string(),
        data_path_addr: member.data_path.to_string(),
        data_path_port: status.data_path_port.into(),
        managers: running.known_managers().iter().map(Into::into).collect(),
        session_manager: status.session_manager.map(|n| n.to_string()).unwrap_or_default(),
        revision: status.revision,
        gossip_dropped: status.gossip_dropped,
        gossip_suspects: status.suspects.iter().map(ToString::to_string).collect(),
        gossip_down: status.down.iter().map(ToString::to_string).collect(),
        tunnels: status.tunnels.iter().map(tunnel).collect(),
        sandboxes: u32::try_from(status.sandboxes).unwrap_or(u32::MAX),
        repairs: status.repairs,
        availability: running.availability().map_or(0, |a| pb::Availability::from(a).into()),
        listen_addr: match running.is_manager() {
            true => member.listen.to_string(),
            false => String::new(),
        },
        warnings: crate::renewal::warnings(running),
        cert_until_ms: running.credentials.validity().until_ms,
        last_error: status.last_error,
        session_error: status.session_error,
        ..common
    }
}

fn tunnel(tunnel: &Tunnel) -> pb::Tunnel {
    let (state, reason, generation) = match &tunnel.state {
        PeerState::Verified { generation, .. } => ("verified", String::new(), *generation),
        PeerState::Moving => ("moving", "by an earlier key, until the next one is verified".to_owned(), 0),
        PeerState::Pending(why) => ("pending", (*why).to_owned(), 0),
        PeerState::Refused(why) => ("refused", why.clone(), 0),
    };
    let (node, hostname) = (tunnel.node.to_string(), tunnel.hostname.clone());
    pb::Tunnel { node, hostname, state: state.into(), reason, generation }
}
