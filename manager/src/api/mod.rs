//! The control API: convert → authorise → propose → convert, one file for each noun.
//! Knows: which noun answers what. Must not know: Raft, who may call (that is the gate's).

mod backup;
mod cluster;
mod endpoint;
mod events;
mod liveness;
mod lock;
mod network;
mod node;
mod reachability;
mod root;
mod token;
mod user;

use crate::audit::{Opened, What};
use crate::authorise::Authorized;
use crate::backup::Passphrase;
use crate::gate::Door;
use crate::linearize::NotFresh;
use crate::method::Method;
use crate::propose::ProposeFailed;
use crate::seat::Seat;
use std::sync::Arc;
use swarm_proto::v1::control_server::Control;
use swarm_proto::v1::*;
use swarm_proto::{ACCEPT_STALE, STALE};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

pub use backup::BackupStream;
pub use cluster::{ca_digest, no_cluster};
pub use events::EventStream;
pub use liveness::{Ear, Heard, Hearsay};
pub use reachability::{quorum, quorum_and_leader};

type Answer<T> = Result<Response<T>, Status>;

/// The same API by either door.
#[derive(Clone)]
pub struct ControlService {
    seat: Arc<Seat>,
    door: Door,
}

impl ControlService {
    pub fn new(seat: Arc<Seat>, door: Door) -> Self {
        Self { seat, door }
    }

    /// Begins the audit log's line of a call that changes something, or shows a secret.
    fn open<R: What>(&self, method: Method, request: &Request<R>) -> Opened {
        self.seat.audit.open(self.door, method, request)
    }

    async fn admit<R>(&self, method: Method, request: Request<R>) -> Result<Authorized<R>, Status> {
        Ok(self.seat.gate.admit(self.door, method, request).await?.permit)
    }

    /// Admits a call whose answer must hold everything that was committed before it.
    async fn fresh<R>(&self, method: Method, request: Request<R>) -> Result<Authorized<R>, Status> {
        let permit = self.admit(method, request).await?;
        self.barrier().await?;
        Ok(permit)
    }

    async fn barrier(&self) -> Result<(), Status> {
        match self.seat.linearizer.barrier().await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// Without a leader, who is missing belongs to the answer.
    async fn explain(&self, error: NotFresh) -> Status {
        match error {
            NotFresh::NoLeader => self.seat.proposer.no_leader().await.into(),
            other => other.into(),
        }
    }

    /// Of a manager that is to be one no more: that the others go on without it, if so.
    async fn let_go(&self) -> Option<Status> {
        if reachability::is_to_stay(&self.seat) {
            return None;
        }
        match self.seat.proposer.no_leader().await {
            let_go @ ProposeFailed::LetGo(_) => Some(let_go.into()),
            _ => None,
        }
    }

    /// As `fresh`, but whoever says that it will do gets an answer without a quorum too, or from a manager that cannot
    /// keep up (its disk is full), marked as such.
    async fn look<R>(&self, method: Method, request: Request<R>) -> Result<(Authorized<R>, Age), Status> {
        let content = request.metadata().contains_key(ACCEPT_STALE);
        let permit = self.admit(method, request).await?;
        match self.seat.linearizer.barrier().await {
            Ok(()) => Ok((permit, Age::Fresh)),
            Err(NotFresh::NoLeader | NotFresh::Behind) if content && self.door == Door::Local => {
                match self.let_go().await {
                    Some(refused) => Err(refused),
                    None => Ok((permit, Age::Stale)),
                }
            }
            Err(error) => Err(self.explain(error).await),
        }
    }
}

/// Whether an answer holds everything committed before the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Stale,
}

impl Age {
    /// What old records do not have, newer ones may.
    fn judge<T>(self, answer: Result<T, Status>) -> Result<T, Status> {
        answer.map_err(|status| match self {
            Self::Fresh => status,
            Self::Stale => Status::unavailable(format!(
                "the managers have no quorum, and what this one knew last may be out of date: {}",
                status.message()
            )),
        })
    }

    fn mark<T>(self, answer: T) -> Response<T> {
        let mut response = Response::new(answer);
        if self == Self::Stale {
            response.metadata_mut().insert(STALE, MetadataValue::from_static("1"));
        }
        response
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    /// As this manager sees it, leader or not: whoever asks may be looking for why there is none.
    async fn get_cluster(&self, request: Request<GetClusterRequest>) -> Answer<GetClusterResponse> {
        self.admit(Method::GetCluster, request).await?;
        cluster::get(&self.seat).await.map(Response::new)
    }

    async fn get_join_token(&self, request: Request<GetJoinTokenRequest>) -> Answer<JoinTokenResponse> {
        let opened = self.open(Method::GetJoinToken, &request);
        let call = async {
            let permit = self.fresh(Method::GetJoinToken, request).await?;
            cluster::join_token(&self.seat, permit.request()).map(Response::new)
        };
        opened.close(call).await
    }

    async fn rotate_join_token(&self, request: Request<RotateJoinTokenRequest>) -> Answer<JoinTokenResponse> {
        let opened = self.open(Method::RotateJoinToken, &request);
        let call = async {
            let permit = self.admit(Method::RotateJoinToken, request).await?;
            cluster::rotate(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn update_cluster(&self, request: Request<UpdateClusterRequest>) -> Answer<UpdateClusterResponse> {
        let opened = self.open(Method::UpdateCluster, &request);
        let call = async {
            let permit = self.admit(Method::UpdateCluster, request).await?;
            root::update(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn rotate_root(&self, request: Request<RotateRootRequest>) -> Answer<RotateRootResponse> {
        let opened = self.open(Method::RotateRoot, &request);
        let call = async {
            let permit = self.fresh(Method::RotateRoot, request).await?;
            root::rotate(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        let (_, age) = self.look(Method::ListNodes, request).await?;
        Ok(age.mark(node::list(&self.seat).await))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Answer<GetNodeResponse> {
        let (permit, age) = self.look(Method::GetNode, request).await?;
        Ok(age.mark(age.judge(node::get(&self.seat, permit.request()).await)?))
    }

    async fn update_node(&self, request: Request<UpdateNodeRequest>) -> Answer<UpdateNodeResponse> {
        let opened = self.open(Method::UpdateNode, &request);
        let call = async {
            let permit = self.admit(Method::UpdateNode, request).await?;
            if !node::is_settled_by_the_state(&self.seat, permit.request()) {
                self.barrier().await?;
            }
            node::update(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn remove_node(&self, request: Request<RemoveNodeRequest>) -> Answer<RemoveNodeResponse> {
        let opened = self.open(Method::RemoveNode, &request);
        let call = async {
            let permit = self.fresh(Method::RemoveNode, request).await?;
            node::remove(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn create_network(&self, request: Request<CreateNetworkRequest>) -> Answer<CreateNetworkResponse> {
        let opened = self.open(Method::CreateNetwork, &request);
        let call = async {
            let permit = self.admit(Method::CreateNetwork, request).await?;
            network::create(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn list_networks(&self, request: Request<ListNetworksRequest>) -> Answer<ListNetworksResponse> {
        let (_, age) = self.look(Method::ListNetworks, request).await?;
        Ok(age.mark(network::list(&self.seat)))
    }

    async fn get_network(&self, request: Request<GetNetworkRequest>) -> Answer<GetNetworkResponse> {
        let (permit, age) = self.look(Method::GetNetwork, request).await?;
        Ok(age.mark(age.judge(network::get(&self.seat, permit.request()))?))
    }

    async fn remove_network(&self, request: Request<RemoveNetworkRequest>) -> Answer<RemoveNetworkResponse> {
        let opened = self.open(Method::RemoveNetwork, &request);
        let call = async {
            let permit = self.fresh(Method::RemoveNetwork, request).await?;
            network::remove(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn prune_networks(&self, request: Request<PruneNetworksRequest>) -> Answer<PruneNetworksResponse> {
        let opened = self.open(Method::PruneNetworks, &request);
        let call = async {
            let permit = self.admit(Method::PruneNetworks, request).await?;
            network::prune(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn list_endpoints(&self, request: Request<ListEndpointsRequest>) -> Answer<ListEndpointsResponse> {
        self.fresh(Method::ListEndpoints, request).await?;
        Ok(Response::new(endpoint::list(&self.seat)))
    }

    async fn set_lock(&self, request: Request<SetLockRequest>) -> Answer<UnlockKeyResponse> {
        let opened = self.open(Method::SetLock, &request);
        let call = async {
            let permit = self.admit(Method::SetLock, request).await?;
            lock::set(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn get_unlock_key(&self, request: Request<GetUnlockKeyRequest>) -> Answer<UnlockKeyResponse> {
        let opened = self.open(Method::GetUnlockKey, &request);
        let call = async {
            self.fresh(Method::GetUnlockKey, request).await?;
            lock::key(&self.seat).map(Response::new)
        };
        opened.close(call).await
    }

    type BackupStream = BackupStream;

    async fn backup(&self, request: Request<BackupRequest>) -> Answer<BackupStream> {
        let opened = self.open(Method::Backup, &request);
        let call = async {
            let (_, asked) = self.admit(Method::Backup, request).await?.split();
            let passphrase =
                Passphrase::new(asked.passphrase).map_err(|e| Status::invalid_argument(e.to_string()))?;
            self.barrier().await?;
            backup::backup(&self.seat, passphrase).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Answer<CreateJoinTokenResponse> {
        let opened = self.open(Method::CreateJoinToken, &request);
        let call = async {
            let permit = self.fresh(Method::CreateJoinToken, request).await?;
            token::create(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn list_join_tokens(
        &self,
        request: Request<ListJoinTokensRequest>,
    ) -> Answer<ListJoinTokensResponse> {
        self.fresh(Method::ListJoinTokens, request).await?;
        Ok(Response::new(token::list(&self.seat)))
    }

    async fn revoke_join_token(
        &self,
        request: Request<RevokeJoinTokenRequest>,
    ) -> Answer<RevokeJoinTokenResponse> {
        let opened = self.open(Method::RevokeJoinToken, &request);
        let call = async {
            let permit = self.fresh(Method::RevokeJoinToken, request).await?;
            token::revoke(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Answer<CreateUserResponse> {
        let opened = self.open(Method::CreateUser, &request);
        let call = async {
            let permit = self.fresh(Method::CreateUser, request).await?;
            user::create(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Answer<ListUsersResponse> {
        self.fresh(Method::ListUsers, request).await?;
        Ok(Response::new(user::list(&self.seat)))
    }

    async fn remove_user(&self, request: Request<RemoveUserRequest>) -> Answer<RemoveUserResponse> {
        let opened = self.open(Method::RemoveUser, &request);
        let call = async {
            let permit = self.fresh(Method::RemoveUser, request).await?;
            user::remove(&self.seat, permit).await.map(Response::new)
        };
        opened.close(call).await
    }

    type WatchEventsStream = EventStream;

    /// Without a quorum too: who watches may wait for its return.
    async fn watch_events(&self, request: Request<WatchEventsRequest>) -> Answer<EventStream> {
        let permit = self.admit(Method::WatchEvents, request).await?;
        events::watch(&self.seat, permit).map(Response::new)
    }
}
