//! Commands about who may come in: join tokens and users. Knows shapes only; the rules are in `apply/access.rs`.

use crate::AdmitNode;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};
use swarm_model::{Labels, Role, TokenId, UserId, UserRole};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateToken {
    pub token: TokenId,
    pub role: Role,
    /// SHA-256 of the secret, which itself is never in the log.
    pub digest: [u8; 32],
    pub labels: Labels,
    pub uses: Option<u32>,
    /// On the proposer's wall clock, as the entry's own time.
    pub expires_ms: Option<u64>,
}

// A digest helps nobody who reads a log.
impl fmt::Debug for CreateToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateToken")
            .field("token", &self.token)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitByToken {
    /// Whose secret was shown, as the CA has found.
    pub token: TokenId,
    pub admit: AdmitNode,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateUser {
    pub user: UserId,
    pub name: String,
    pub role: UserRole,
    pub expires_ms: u64,
}
