//! A new cluster: Raft with one voter, then the first command.
//! Knows: what the first command holds. Must not know: what apply makes of it.

use crate::config::NewCluster;
use crate::manager::{Manager, ManagerError};
use swarm_identity::random;
use swarm_model::{JoinSecrets, ManagerInfo, MemberState, Role};
use swarm_raft::Member;
use swarm_state::{AdmitNode, Command, CreateCluster};

pub async fn bootstrap(manager: &Manager, cluster: NewCluster) -> Result<(), ManagerError> {
    let seat = &manager.seat;
    let me = Member { node: seat.me().node.to_string(), addr: seat.addresses.own().addr };
    seat.raft.bootstrap(me).await.map_err(|e| ManagerError::Bootstrap(e.to_string()))?;
    let command = first_command(manager, cluster)?;
    seat.propose_own(command).await.map_err(|e| ManagerError::Bootstrap(e.to_string()))?;
    Ok(())
}

fn first_command(manager: &Manager, cluster: NewCluster) -> Result<Command, ManagerError> {
    let seat = &manager.seat;
    let NewCluster { id, ca, settings, first } = cluster;
    let key = ca.key_pem().map_err(|e| ManagerError::Bootstrap(e.to_string()))?;
    let (raft_id, addr) = (seat.raft.status().id, seat.addresses.own().addr);
    let place = ManagerInfo { raft_id, addr, member: MemberState::Voter };
    Ok(Command::CreateCluster(Box::new(CreateCluster {
        cluster: id,
        settings,
        join_secrets: JoinSecrets { worker: random::secret(), manager: random::secret() },
        root_ca_cert: ca.cert_pem().to_owned(),
        root_ca_key: key.to_string(),
        first: AdmitNode {
            node: seat.me().node,
            hostname: first.hostname,
            role: Role::Manager,
            availability: first.availability,
            labels: first.labels,
            addr: first.addr,
            data_path_addr: first.data_path_addr,
            version: first.version,
            features: seat.features,
        },
        manager: place,
        ingress: random::new_id(),
        avoid: (seat.host_routes)(),
        feature_level: seat.features,
    })))
}
