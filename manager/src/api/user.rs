//! Users: made, listed, removed. Knows: that a user is a record and a certificate that counts as long as the record is
//! there. Must not know: what a user may do (that is `authorise`).

use crate::api::no_cluster;
use crate::authorise::Authorized;
use crate::ca::issuing_ca;
use crate::failure::{refusal, unexpected};
use crate::propose::now_ms;
use crate::seat::{Seat, request_id};
use swarm_identity::{UserSubject, Validity, random};
use swarm_model::{Cluster, User, UserId};
use swarm_proto::{v1, word};
use swarm_state::{Command, CreateUser, Reply};
use tonic::Status;

pub async fn create(
    seat: &Seat,
    permit: Authorized<v1::CreateUserRequest>,
) -> Result<v1::CreateUserResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let cluster = seat.applied.read(|state| state.cluster().cloned()).ok_or_else(no_cluster)?;
    let create = wanted(permit.request(), &cluster)?;
    let csr = permit.request().csr_der.clone();
    // A request that cannot be signed must not leave a user behind.
    sign(&cluster, create.user, &csr, create.expires_ms)?;
    let user = match seat.proposer.propose(permit.map(|_| Command::CreateUser(create)), request).await?.reply
    {
        Reply::User(user) => user,
        other => return Err(unexpected(&other)),
    };
    // On a retry this is the user of the first time.
    let certificate_chain = sign(&cluster, user.id, &csr, user.expires_ms)?;
    Ok(v1::CreateUserResponse { user: Some(v1::User::at(&user, now_ms())), certificate_chain })
}

fn wanted(asked: &v1::CreateUserRequest, cluster: &Cluster) -> Result<CreateUser, Status> {
    let expiry_ms = match asked.expiry_ms {
        0 => cluster.settings.cert_expiry_ms,
        expiry if User::EXPIRY_MS.contains(&expiry) => expiry,
        _ => return Err(Status::invalid_argument("the expiry is out of range: 1m to 10 years")),
    };
    Ok(CreateUser {
        user: random::new_id(),
        name: asked.name.clone(),
        role: word("role", asked.role)?,
        expires_ms: now_ms().saturating_add(expiry_ms),
    })
}

fn sign(cluster: &Cluster, user: UserId, csr_der: &[u8], expires_ms: u64) -> Result<String, Status> {
    let ca = issuing_ca(cluster)?;
    let now_ms = now_ms();
    let validity = Validity::starting(now_ms, expires_ms.saturating_sub(now_ms));
    let subject = UserSubject { user, cluster: cluster.id };
    ca.sign_user(csr_der, &subject, validity).map_err(|e| Status::invalid_argument(e.to_string()))
}

/// By name.
pub fn list(seat: &Seat) -> v1::ListUsersResponse {
    let now_ms = now_ms();
    let mut users: Vec<v1::User> =
        seat.applied.read(|state| state.users().map(|user| v1::User::at(user, now_ms)).collect());
    users.sort_by(|a, b| a.name.cmp(&b.name));
    v1::ListUsersResponse { users }
}

pub async fn remove(
    seat: &Seat,
    permit: Authorized<v1::RemoveUserRequest>,
) -> Result<v1::RemoveUserResponse, Status> {
    let asked = permit.request();
    let (request, user) = (request_id(&asked.request_id)?, resolve(seat, &asked.reference)?);
    match seat.proposer.propose(permit.map(|_| Command::RemoveUser { user }), request).await?.reply {
        Reply::Done => Ok(v1::RemoveUserResponse { id: user.to_string() }),
        other => Err(unexpected(&other)),
    }
}

fn resolve(seat: &Seat, reference: &str) -> Result<UserId, Status> {
    seat.applied.read(|state| state.resolve_user(reference).map(|user| user.id)).map_err(|e| refusal(&e))
}
