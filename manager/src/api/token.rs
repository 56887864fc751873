//! Join tokens made to order: made, listed, revoked. Knows: that a secret is shown once and its digest is kept.
//! Must not know: when a token admits somebody (that is the state's).

use crate::api::{ca_digest, no_cluster};
use crate::authorise::Authorized;
use crate::failure::{refusal, unexpected};
use crate::propose::now_ms;
use crate::seat::{Seat, request_id};
use swarm_identity::{JoinToken, random, secret_digest};
use swarm_model::{IssuedToken, TokenId};
use swarm_proto::{v1, word};
use swarm_state::{Command, CreateToken, Reply};
use tonic::Status;

pub async fn create(
    seat: &Seat,
    permit: Authorized<v1::CreateJoinTokenRequest>,
) -> Result<v1::CreateJoinTokenResponse, Status> {
    let request = request_id(&permit.request().request_id)?;
    let secret = random::secret();
    let digest = secret_digest(&secret);
    let create = wanted(permit.request(), digest)?;
    let token =
        match seat.proposer.propose(permit.map(|_| Command::CreateToken(create)), request).await?.reply {
            Reply::Token(token) => token,
            other => return Err(unexpected(&other)),
        };
    if token.digest != digest {
        return Err(Status::failed_precondition(format!(
            "this request made join token {} before, and its secret is shown only once: revoke it and make another",
            token.id
        )));
    }
    let ca = seat.applied.read(|state| ca_digest(state.cluster().ok_or_else(no_cluster)?))?;
    let text = JoinToken::new(ca, &secret).map_err(|e| Status::internal(e.to_string()))?;
    let record = Some(v1::IssuedToken::at(&token, now_ms()));
    Ok(v1::CreateJoinTokenResponse { token: text.to_string(), record })
}

fn wanted(asked: &v1::CreateJoinTokenRequest, digest: [u8; 32]) -> Result<CreateToken, Status> {
    let expires_ms = match asked.ttl_ms {
        0 => None,
        ttl if IssuedToken::TTL_MS.contains(&ttl) => Some(now_ms().saturating_add(ttl)),
        _ => return Err(Status::invalid_argument("the time to live is out of range: 10s to 10 years")),
    };
    Ok(CreateToken {
        token: random::new_id(),
        role: word("role", asked.role)?,
        digest,
        labels: asked.labels.clone(),
        uses: Some(asked.uses).filter(|uses| *uses > 0),
        expires_ms,
    })
}

/// The latest last.
pub fn list(seat: &Seat) -> v1::ListJoinTokensResponse {
    let now_ms = now_ms();
    let mut tokens: Vec<_> =
        seat.applied.read(|state| state.tokens().map(|token| v1::IssuedToken::at(token, now_ms)).collect());
    tokens.sort_by(|a: &v1::IssuedToken, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    v1::ListJoinTokensResponse { tokens }
}

pub async fn revoke(
    seat: &Seat,
    permit: Authorized<v1::RevokeJoinTokenRequest>,
) -> Result<v1::RevokeJoinTokenResponse, Status> {
    let asked = permit.request();
    let (request, token) = (request_id(&asked.request_id)?, resolve(seat, &asked.reference)?);
    match seat.proposer.propose(permit.map(|_| Command::RevokeToken { token }), request).await?.reply {
        Reply::Done => Ok(v1::RevokeJoinTokenResponse { id: token.to_string() }),
        other => Err(unexpected(&other)),
    }
}

fn resolve(seat: &Seat, reference: &str) -> Result<TokenId, Status> {
    seat.applied.read(|state| state.resolve_token(reference).map(|token| token.id)).map_err(|e| refusal(&e))
}
