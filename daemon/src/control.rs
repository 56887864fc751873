//! The control API on the local socket: a manager answers itself, any other host says who could.

use crate::daemon::Daemon;
use std::sync::Arc;
use swarm_manager::{BackupStream, EventStream};
use swarm_proto::v1::control_server::Control;
use swarm_proto::v1::{self as pb};
use tonic::{Request, Response, Status};

/// Stands before the manager's own service, because this host may become or cease to be one at any moment.
pub struct Gate(pub Arc<Daemon>);

macro_rules! pass_on {
    ($($method:ident($request:ident) -> $response:ident;)+) => {
        #[tonic::async_trait]
        impl Control for Gate {
            type BackupStream = BackupStream;
            type WatchEventsStream = EventStream;

            async fn backup(
                &self,
                request: Request<pb::BackupRequest>,
            ) -> Result<Response<BackupStream>, Status> {
                self.0.control()?.backup(request).await
            }

            async fn watch_events(
                &self,
                request: Request<pb::WatchEventsRequest>,
            ) -> Result<Response<EventStream>, Status> {
                self.0.control()?.watch_events(request).await
            }

            async fn set_lock(
                &self,
                request: Request<pb::SetLockRequest>,
            ) -> Result<Response<pb::UnlockKeyResponse>, Status> {
                let answer = self.0.control()?.set_lock(request).await?;
                crate::lock::settled(&self.0).await?;
                Ok(answer)
            }

            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                self.0.control()?.$method(request).await
            })+
        }
    };
}

pass_on! {
    get_cluster(GetClusterRequest) -> GetClusterResponse;
    get_join_token(GetJoinTokenRequest) -> JoinTokenResponse;
    rotate_join_token(RotateJoinTokenRequest) -> JoinTokenResponse;
    update_cluster(UpdateClusterRequest) -> UpdateClusterResponse;
    rotate_root(RotateRootRequest) -> RotateRootResponse;
    list_nodes(ListNodesRequest) -> ListNodesResponse;
    get_node(GetNodeRequest) -> GetNodeResponse;
    update_node(UpdateNodeRequest) -> UpdateNodeResponse;
    remove_node(RemoveNodeRequest) -> RemoveNodeResponse;
    create_network(CreateNetworkRequest) -> CreateNetworkResponse;
    list_networks(ListNetworksRequest) -> ListNetworksResponse;
    get_network(GetNetworkRequest) -> GetNetworkResponse;
    remove_network(RemoveNetworkRequest) -> RemoveNetworkResponse;
    prune_networks(PruneNetworksRequest) -> PruneNetworksResponse;
    list_endpoints(ListEndpointsRequest) -> ListEndpointsResponse;
    get_unlock_key(GetUnlockKeyRequest) -> UnlockKeyResponse;
    create_join_token(CreateJoinTokenRequest) -> CreateJoinTokenResponse;
    list_join_tokens(ListJoinTokensRequest) -> ListJoinTokensResponse;
    revoke_join_token(RevokeJoinTokenRequest) -> RevokeJoinTokenResponse;
    create_user(CreateUserRequest) -> CreateUserResponse;
    list_users(ListUsersRequest) -> ListUsersResponse;
    remove_user(RemoveUserRequest) -> RemoveUserResponse;
}
