//! Join tokens and users on the wire. They go one way only: what is asked for comes in requests of its own.

use crate::v1;
use swarm_model as model;

impl v1::IssuedToken {
    /// The token as it stands at this time of the answering manager's clock.
    pub fn at(token: &model::IssuedToken, now_ms: u64) -> Self {
        Self {
            id: token.id.to_string(),
            role: v1::Role::from(token.role).into(),
            labels: token.labels.clone(),
            uses: token.uses.unwrap_or(0),
            used: token.used,
            created_ms: token.created_ms,
            expires_ms: token.expires_ms.unwrap_or(0),
            revoked_ms: token.revoked_ms.unwrap_or(0),
            used_by: token.used_by.iter().map(Into::into).collect(),
            state: state(token.fault(now_ms)).into(),
        }
    }
}

fn state(fault: Option<model::TokenFault>) -> v1::TokenState {
    match fault {
        None => v1::TokenState::Valid,
        Some(model::TokenFault::Revoked) => v1::TokenState::Revoked,
        Some(model::TokenFault::Expired) => v1::TokenState::Expired,
        Some(model::TokenFault::UsedUp) => v1::TokenState::UsedUp,
        Some(model::TokenFault::OldRoot) => v1::TokenState::OldRoot,
    }
}

impl From<&model::TokenUse> for v1::TokenUse {
    fn from(by: &model::TokenUse) -> Self {
        Self { node: by.node.to_string(), hostname: by.hostname.clone(), at_ms: by.at_ms }
    }
}

impl v1::User {
    /// The user as it stands at this time of the answering manager's clock.
    pub fn at(user: &model::User, now_ms: u64) -> Self {
        let state = match user {
            user if user.expires_ms <= now_ms => v1::TokenState::Expired,
            user if user.outdated_ms.is_some() => v1::TokenState::OldRoot,
            _ => v1::TokenState::Valid,
        };
        Self {
            state: state.into(),
            id: user.id.to_string(),
            name: user.name.clone(),
            role: v1::UserRole::from(user.role).into(),
            created_ms: user.created_ms,
            expires_ms: user.expires_ms,
        }
    }
}
