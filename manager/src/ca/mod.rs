//! The CA service: lets new nodes in by their token, renews members' certificates.
//! Knows: what is asked and answered. Must not know: how certificates are made (that is `identity`).

mod expired;
mod issue;
mod throttle;
mod token;

use crate::api::no_cluster;
use crate::gate::{Admitted, Door};
use crate::leader::members;
use crate::method::Method;
use crate::propose::now_ms;
use crate::seat::Seat;
use parking_lot::Mutex;
use std::sync::Arc;
use swarm_identity::{RootCa, Subject, Validity};
use swarm_model::{Cluster, Node, NodeId, NodeState};
use swarm_proto::v1;
use swarm_proto::v1::ca_server::Ca;
use throttle::Throttle;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct CaService {
    seat: Arc<Seat>,
    throttle: Arc<Mutex<Throttle>>,
}

impl CaService {
    pub fn new(seat: Arc<Seat>) -> Self {
        Self { seat, throttle: Arc::default() }
    }
}

#[tonic::async_trait]
impl Ca for CaService {
    async fn get_root_ca(
        &self,
        request: Request<v1::GetRootCaRequest>,
    ) -> Result<Response<v1::GetRootCaResponse>, Status> {
        self.seat.gate.admit(Door::Tls, Method::GetRootCa, request).await?;
        let root = self.seat.applied.read(|state| state.cluster().map(Cluster::roots));
        let root_ca_cert = root.ok_or_else(no_cluster)?;
        Ok(Response::new(v1::GetRootCaResponse { root_ca_cert, now_ms: now_ms() }))
    }

    async fn issue(&self, request: Request<v1::IssueRequest>) -> Result<Response<v1::IssueResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::Issue, &request);
        let call = async {
            let admitted = self.seat.gate.admit(Door::Tls, Method::Issue, request).await?;
            issue::issue(&self.seat, &self.throttle, admitted).await.map(Response::new)
        };
        opened.close(call).await
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::IssueResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::Renew, &request);
        opened.close(self.renewed(request)).await
    }

    async fn renew_expired(
        &self,
        request: Request<v1::RenewExpiredRequest>,
    ) -> Result<Response<v1::IssueResponse>, Status> {
        let opened = self.seat.audit.open(Door::Tls, Method::RenewExpired, &request);
        let call = async {
            let admitted = self.seat.gate.admit(Door::Tls, Method::RenewExpired, request).await?;
            expired::renew(&self.seat, &self.throttle, admitted).await.map(Response::new)
        };
        opened.close(call).await
    }
}

impl CaService {
    async fn renewed(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::IssueResponse>, Status> {
        let Admitted { permit, .. } = self.seat.gate.admit(Door::Tls, Method::Renew, request).await?;
        let id = crate::attachments::calling_node(&permit)?;
        self.seat.linearizer.barrier().await?;
        renew(&self.seat, id, &permit.request().csr_der).map(Response::new)
    }
}

/// By the records here: the caller has seen to it that they are new enough.
pub fn renew(seat: &Seat, id: NodeId, csr_der: &[u8]) -> Result<v1::IssueResponse, Status> {
    let (cluster, node) = seat.applied.read(|state| {
        let cluster = state.cluster().cloned().ok_or_else(no_cluster)?;
        let node = state.node(&id).filter(|node| node.status.state != NodeState::Disconnected).cloned();
        Ok::<_, Status>((cluster, node.ok_or_else(|| Status::permission_denied("the node was removed"))?))
    })?;
    let chain = sign(&cluster, &node, csr_der)?;
    Ok(answer(seat, &node, chain))
}

/// A certificate for this node in the role that the cluster wants for it, whatever its old one says.
fn sign(cluster: &Cluster, node: &Node, csr_der: &[u8]) -> Result<String, Status> {
    let subject = Subject { node: node.id, role: node.role, cluster: cluster.id };
    certificate(cluster, &subject, csr_der)
}

fn certificate(cluster: &Cluster, subject: &Subject, csr_der: &[u8]) -> Result<String, Status> {
    let validity = Validity::starting(now_ms(), cluster.settings.cert_expiry_ms);
    let signed = issuing_ca(cluster)?.sign(csr_der, subject, validity);
    signed.map_err(|e| Status::invalid_argument(e.to_string()))
}

/// The root that issues: during a rotation the new one.
pub fn issuing_ca(cluster: &Cluster) -> Result<RootCa, Status> {
    let issuer = cluster.issuer();
    let ca = RootCa::from_pem(issuer.cert, issuer.key).map_err(|e| Status::internal(e.to_string()))?;
    // During a rotation joiners go by the old root, which their token names; it stands in the chain to be found there.
    let old = if issuer.beside.is_empty() { "" } else { cluster.root_ca_cert.as_str() };
    Ok(ca.with_beside(&format!("{}{old}", issuer.beside)))
}

fn answer(seat: &Seat, node: &Node, certificate_chain: String) -> v1::IssueResponse {
    let raft = seat.raft.status();
    seat.applied.read(|state| v1::IssueResponse {
        node: node.id.to_string(),
        cluster: state.cluster().map(|c| c.id.to_string()).unwrap_or_default(),
        role: v1::Role::from(node.role).into(),
        certificate_chain,
        managers: members(&raft, state).iter().map(Into::into).collect(),
        settings: state.cluster().map(|c| (&c.settings).into()),
        addr: node.addr.to_string(),
        now_ms: now_ms(),
    })
}
