//! Join tokens and users as printed: lines of `join-token ls` and `user ls`.

use super::time::rfc3339;
use super::words::{self, capital};
use super::{Row, View};
use serde::Serialize;
use std::collections::BTreeMap;
use swarm_proto::v1;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TokenRow {
    #[serde(rename = "ID")]
    id: String,
    role: String,
    /// valid, used up, expired, revoked or old root (the root CA it names was replaced).
    state: String,
    used: u32,
    /// 0: any number.
    uses: u32,
    created_at: String,
    /// Empty: never.
    expires_at: String,
    /// The latest.
    used_by: Vec<Use>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Use {
    #[serde(rename = "NodeID")]
    node_id: String,
    hostname: String,
    at: String,
}

impl TokenRow {
    pub fn new(token: v1::IssuedToken) -> Self {
        let one = |by: v1::TokenUse| Use { node_id: by.node, hostname: by.hostname, at: rfc3339(by.at_ms) };
        Self {
            role: words::role(token.role).to_owned(),
            state: words::token_state(token.state).to_owned(),
            id: token.id,
            used: token.used,
            uses: token.uses,
            created_at: rfc3339(token.created_ms),
            expires_at: rfc3339(token.expires_ms),
            used_by: token.used_by.into_iter().map(one).collect(),
            labels: token.labels,
        }
    }
}

impl View for TokenRow {
    fn example() -> Self {
        Self { used_by: vec![Use::default()], ..Self::default() }
    }
}

impl Row for TokenRow {
    const HEADERS: &'static [&'static str] = &["ID", "ROLE", "STATE", "USES", "EXPIRES", "USED BY", "LABELS"];

    fn cells(&self, _: bool) -> Vec<String> {
        let uses = match self.uses {
            0 => format!("{}", self.used),
            uses => format!("{} of {uses}", self.used),
        };
        let expires = if self.expires_at.is_empty() { "never" } else { &self.expires_at };
        let by: Vec<&str> = self.used_by.iter().map(|by| by.hostname.as_str()).collect();
        let labels: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![
            self.id.clone(),
            self.role.clone(),
            capital(&self.state),
            uses,
            expires.to_owned(),
            by.join(","),
            labels.join(","),
        ]
    }

    fn id(&self, _: bool) -> &str {
        &self.id
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserRow {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    role: String,
    /// valid, expired or old root (the root CA that issued its identity was replaced).
    state: String,
    created_at: String,
    expires_at: String,
}

impl UserRow {
    pub fn new(user: v1::User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            role: words::user_role(user.role).to_owned(),
            state: words::token_state(user.state).to_owned(),
            created_at: rfc3339(user.created_ms),
            expires_at: rfc3339(user.expires_ms),
        }
    }
}

impl View for UserRow {
    fn example() -> Self {
        Self::default()
    }
}

impl Row for UserRow {
    const HEADERS: &'static [&'static str] = &["ID", "NAME", "ROLE", "STATE", "EXPIRES"];

    fn cells(&self, _: bool) -> Vec<String> {
        let (name, role) = (self.name.clone(), self.role.clone());
        vec![self.id.clone(), name, role, capital(&self.state), self.expires_at.clone()]
    }

    fn id(&self, _: bool) -> &str {
        &self.id
    }
}
