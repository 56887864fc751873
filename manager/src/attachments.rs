//! A node's own endpoints: created and released on its behalf, and nobody else's.
//! Knows: that the node is the certificate's. Must not know: how addresses are allocated.

use crate::authorise::Authorized;
use crate::failure::{refusal, unexpected};
use crate::gate::Door;
use crate::method::Method;
use crate::seat::{Seat, request_id};
use std::sync::Arc;
use swarm_model::NodeId;
use swarm_proto::v1::attachments_server::Attachments;
use swarm_proto::{optional, parse, parse_all, v1};
use swarm_state::{Command, CreateEndpoints, NewEndpoint, Refusal, Reply, State};
use tonic::{Request, Response, Status};

const ID: &str = "an id: 25 characters of 0-9a-z";
const NAME: &str = "a name: 1 to 63 letters, digits, '-' or '_', beginning and ending with a letter or digit";

#[derive(Clone)]
pub struct AttachmentsService {
    pub seat: Arc<Seat>,
}

#[tonic::async_trait]
impl Attachments for AttachmentsService {
    async fn create_endpoints(
        &self,
        request: Request<v1::CreateEndpointsRequest>,
    ) -> Result<Response<v1::CreateEndpointsResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::CreateEndpoints, &request);
        let call = async {
            let permit = self.seat.gate.admit(Door::Tls, Method::CreateEndpoints, request).await?.permit;
            let id = request_id(&permit.request().request_id)?;
            let node = calling_node(&permit)?;
            let endpoints = self.resolve(&permit.request().endpoints).await?;
            let command = permit.map(|_| Command::CreateEndpoints(CreateEndpoints { node, endpoints }));
            match self.seat.proposer.propose(command, id).await?.reply {
                Reply::Endpoints { endpoints, revision } => Ok(Response::new(v1::CreateEndpointsResponse {
                    endpoints: endpoints.iter().map(|endpoint| endpoint.as_ref().into()).collect(),
                    revision,
                })),
                other => Err(unexpected(&other)),
            }
        };
        opened.close(call).await
    }

    async fn release_endpoints(
        &self,
        request: Request<v1::ReleaseEndpointsRequest>,
    ) -> Result<Response<v1::ReleaseEndpointsResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::ReleaseEndpoints, &request);
        let call = async {
            let permit = self.seat.gate.admit(Door::Tls, Method::ReleaseEndpoints, request).await?.permit;
            let id = request_id(&permit.request().request_id)?;
            let node = calling_node(&permit)?;
            let endpoints = parse_all("ids", &permit.request().ids, ID)?;
            let command = permit.map(|_| Command::ReleaseEndpoints { node, endpoints });
            match self.seat.proposer.propose(command, id).await?.reply {
                Reply::Released { revision } => Ok(Response::new(v1::ReleaseEndpointsResponse { revision })),
                other => Err(unexpected(&other)),
            }
        };
        opened.close(call).await
    }
}

impl AttachmentsService {
    /// Resolves the networks in the records here; a reference not found may be newer than these.
    async fn resolve(&self, asked: &[v1::NewEndpoint]) -> Result<Vec<NewEndpoint>, Status> {
        let look = || self.seat.applied.read(|state| resolve_all(state, asked));
        match look() {
            Err(NotResolved::Network(Refusal::NetworkNotFound(_))) => self.seat.linearizer.barrier().await?,
            resolved => return resolved.map_err(Status::from),
        }
        look().map_err(Status::from)
    }
}

#[derive(Debug)]
enum NotResolved {
    Network(Refusal),
    Field(swarm_proto::ConvertError),
}

impl From<NotResolved> for Status {
    fn from(error: NotResolved) -> Self {
        match error {
            NotResolved::Network(reason) => refusal(&reason),
            NotResolved::Field(error) => error.into(),
        }
    }
}

fn resolve_all(state: &State, asked: &[v1::NewEndpoint]) -> Result<Vec<NewEndpoint>, NotResolved> {
    asked.iter().map(|endpoint| resolve(state, endpoint)).collect()
}

fn resolve(state: &State, asked: &v1::NewEndpoint) -> Result<NewEndpoint, NotResolved> {
    let network = state.resolve_network(&asked.network).map_err(NotResolved::Network)?.id;
    let convert = || {
        Ok(NewEndpoint {
            id: parse("endpoints.id", &asked.id, ID)?,
            network,
            sandbox: parse("endpoints.sandbox", &asked.sandbox, ID)?,
            name: parse("endpoints.name", &asked.name, NAME)?,
            aliases: parse_all("endpoints.aliases", &asked.aliases, NAME)?,
            ip: optional("endpoints.ip", &asked.ip, "an IP address")?,
            mac: optional("endpoints.mac", &asked.mac, "a MAC address as in 02:42:0a:00:00:05")?,
        })
    };
    convert().map_err(NotResolved::Field)
}

/// The node is what the certificate says, never what the request says.
pub fn calling_node<R>(permit: &Authorized<R>) -> Result<NodeId, Status> {
    permit.node().ok_or_else(|| Status::unauthenticated("this call needs a node's certificate"))
}
