//! Who may come in beside the nodes: join tokens that operators have made, and users with certificates of their own.
//! Knows shapes and what ends a token; must not know secrets (of a token's only the digest is here), clocks, methods.

use crate::node::words;
use crate::{Labels, NodeId, Role, TokenId, UnknownWord, UserId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A join token made by `join-token create`. Its secret was shown once; a state that is stolen admits nobody by it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    pub id: TokenId,
    pub role: Role,
    /// SHA-256 of the secret. 128 random bits are not found by trying, so it needs no salt and no slow hash.
    pub digest: [u8; 32],
    /// Given to every node that joins with it.
    #[serde(default)]
    pub labels: Labels,
    /// How many nodes it admits; `None`: any number.
    pub uses: Option<u32>,
    pub used: u32,
    pub created_ms: u64,
    pub expires_ms: Option<u64>,
    pub revoked_ms: Option<u64>,
    /// The latest of those who used it, oldest first.
    #[serde(default)]
    pub used_by: Vec<TokenUse>,
    /// When the root CA that its text names was replaced. Written by feature level 4 alone.
    #[serde(default)]
    pub outdated_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    pub node: NodeId,
    /// As it called itself then.
    pub hostname: String,
    pub at_ms: u64,
}

/// Why a token admits nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenFault {
    Revoked,
    Expired,
    UsedUp,
    /// It names a root CA that was replaced.
    OldRoot,
}

impl IssuedToken {
    /// Shorter would be over before it is typed; longer than ten years is for ever.
    pub const TTL_MS: RangeInclusive<u64> = 10_000..=10 * 366 * 24 * 3_600_000;
    /// How many of those who used it are remembered by name.
    pub const MOST_NAMED: usize = 20;

    /// What is wrong with it at this time of the wall clock, if anything.
    pub fn fault(&self, now_ms: u64) -> Option<TokenFault> {
        if self.revoked_ms.is_some() {
            Some(TokenFault::Revoked)
        } else if self.expires_ms.is_some_and(|end| end <= now_ms) {
            Some(TokenFault::Expired)
        } else if self.uses.is_some_and(|uses| uses <= self.used) {
            Some(TokenFault::UsedUp)
        } else if self.outdated_ms.is_some() {
            Some(TokenFault::OldRoot)
        } else {
            None
        }
    }

    /// Counts one node more.
    pub fn take(&mut self, by: TokenUse) {
        self.used = self.used.saturating_add(1);
        if self.used_by.len() >= Self::MOST_NAMED {
            self.used_by.remove(0);
        }
        self.used_by.push(by);
    }
}

// A digest helps nobody who reads a log.
impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("uses", &self.uses)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

words! {
    /// What a user may do; each may what those before it may.
    UserRole {
        /// Looks.
        Viewer = "viewer",
        /// Also networks, and nodes' availability and labels.
        Operator = "operator",
        /// Everything.
        Admin = "admin",
    } expected "viewer, operator or admin"
}

impl UserRole {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];
}

/// Somebody with a certificate that is no node's. Without this record the certificate is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub role: UserRole,
    pub created_ms: u64,
    /// End of the certificate.
    pub expires_ms: u64,
    /// When the root CA that issued the certificate was replaced. Written by feature level 4 alone.
    #[serde(default)]
    pub outdated_ms: Option<u64>,
    /// The rotation of the root CA during which the certificate was issued, by the new root, while that lasts. Written by
    /// feature level 4 alone.
    #[serde(default)]
    pub rotation: Option<u64>,
}

impl User {
    /// Of its certificate; as those of nodes, but for a shorter least: an identity may be lent for an afternoon.
    pub const EXPIRY_MS: RangeInclusive<u64> = 60_000..=10 * 366 * 24 * 3_600_000;
}

pub const MAX_USER_NAME_BYTES: usize = 63;

/// 1 to 63 letters, digits, `.`, `_`, `@` or `-`, beginning with a letter or digit.
pub fn is_user_name(text: &str) -> bool {
    let ours = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    text.len() <= MAX_USER_NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(ours)
}
