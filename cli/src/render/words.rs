//! Enums of the wire as words for people. A number nobody knows is shown as `unknown`, not guessed.

use swarm_model::{Availability, Driver, MemberState, NodeState, Role, UserRole};
use swarm_proto::v1;

const UNKNOWN: &str = "unknown";

pub fn role(number: i32) -> &'static str {
    swarm_proto::word::<Role>("role", number).map_or(UNKNOWN, Role::as_str)
}

pub fn availability(number: i32) -> &'static str {
    swarm_proto::word::<Availability>("availability", number).map_or(UNKNOWN, Availability::as_str)
}

pub fn node_state(number: i32) -> &'static str {
    swarm_proto::word::<NodeState>("state", number).map_or(UNKNOWN, NodeState::as_str)
}

pub fn member(number: i32) -> &'static str {
    swarm_proto::word::<MemberState>("member", number).map_or(UNKNOWN, MemberState::as_str)
}

/// Empty while the answering manager cannot say.
pub fn reachability(number: i32) -> &'static str {
    match v1::Reachability::try_from(number) {
        Ok(v1::Reachability::Leader) => "leader",
        Ok(v1::Reachability::Reachable) => "reachable",
        Ok(v1::Reachability::Unreachable) => "unreachable",
        Ok(v1::Reachability::Unspecified) | Err(_) => "",
    }
}

/// As Docker says it; empty from a manager too old to say, and of a node that left.
pub fn tls_status(number: i32) -> &'static str {
    match v1::TlsStatus::try_from(number) {
        Ok(v1::TlsStatus::Ready) => "Ready",
        Ok(v1::TlsStatus::NeedsRotation) => "Needs Rotation",
        Ok(v1::TlsStatus::Unspecified) | Err(_) => "",
    }
}

/// How far encryption with one peer is, with the reason.
pub fn encryption(state: &str, reason: &str) -> String {
    match (state, reason) {
        ("verified", _) => "encrypted and verified".to_owned(),
        ("moving", reason) => format!("encrypted, {reason}"),
        (state, "") => state.to_owned(),
        (state, reason) => format!("{state}: {reason}"),
    }
}

pub fn hearing(number: i32) -> &'static str {
    match v1::Hearing::try_from(number) {
        Ok(v1::Hearing::Alive) => "alive",
        Ok(v1::Hearing::Suspect) => "suspect",
        Ok(v1::Hearing::Down) => "down",
        Ok(v1::Hearing::Itself) => "self",
        Ok(v1::Hearing::Unspecified) | Err(_) => UNKNOWN,
    }
}

pub fn session(number: i32) -> &'static str {
    match v1::SessionStanding::try_from(number) {
        Ok(v1::SessionStanding::Held) => "held",
        Ok(v1::SessionStanding::None) => "none",
        Ok(v1::SessionStanding::Unspecified) | Err(_) => UNKNOWN,
    }
}

/// In milliseconds; empty: none.
pub fn round_trip(micros: u64) -> String {
    match micros {
        0 => String::new(),
        known => format!("{}.{:03}ms", known / 1000, known % 1000),
    }
}

pub fn driver(number: i32) -> &'static str {
    swarm_proto::word::<Driver>("driver", number).map_or(UNKNOWN, Driver::as_str)
}

pub fn user_role(number: i32) -> &'static str {
    swarm_proto::word::<UserRole>("role", number).map_or(UNKNOWN, UserRole::as_str)
}

pub fn token_state(number: i32) -> &'static str {
    match v1::TokenState::try_from(number) {
        Ok(v1::TokenState::Valid) => "valid",
        Ok(v1::TokenState::UsedUp) => "used up",
        Ok(v1::TokenState::Expired) => "expired",
        Ok(v1::TokenState::Revoked) => "revoked",
        Ok(v1::TokenState::OldRoot) => "old root",
        Ok(v1::TokenState::Unspecified) | Err(_) => UNKNOWN,
    }
}

pub fn membership(number: i32) -> &'static str {
    match v1::MembershipState::try_from(number) {
        Ok(v1::MembershipState::Inactive) => "inactive",
        Ok(v1::MembershipState::Pending) => "pending",
        Ok(v1::MembershipState::Active) => "active",
        Ok(v1::MembershipState::Error) => "error",
        Ok(v1::MembershipState::Locked) => "locked",
        Err(_) => UNKNOWN,
    }
}

pub fn sandbox_kind(number: i32) -> &'static str {
    match v1::SandboxKind::try_from(number) {
        Ok(v1::SandboxKind::Run) => "run",
        Ok(v1::SandboxKind::Attached) => "attached",
        Ok(v1::SandboxKind::Unspecified) | Err(_) => UNKNOWN,
    }
}

pub fn sandbox_state(number: i32) -> &'static str {
    match v1::SandboxState::try_from(number) {
        Ok(v1::SandboxState::Created) => "created",
        Ok(v1::SandboxState::Running) => "running",
        Ok(v1::SandboxState::Exited) => "exited",
        Ok(v1::SandboxState::Unspecified) | Err(_) => UNKNOWN,
    }
}

/// `ready` → `Ready`.
pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The first 12 characters of an id, as Docker shows them.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// How far the replacement of the root CA is, and who is missing.
pub fn rotation(rotation: &v1::RootRotation) -> String {
    let missing: Vec<String> = rotation
        .waiting
        .iter()
        .cloned()
        .chain(rotation.away.iter().map(|host| format!("{host} (not here)")))
        .collect();
    let missing = match missing.as_slice() {
        [] => String::new(),
        missing => format!(", missing: {}", some_of(missing)),
    };
    format!("in progress: {} of {} nodes{missing}", rotation.renewed, rotation.nodes)
}

/// Names in one line.
const MOST_NAMED: usize = 8;

/// The first few, and how many more there are.
pub fn some_of(names: &[String]) -> String {
    let some = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_names_are_not_one_line() {
        let many: Vec<String> = (0..1_000).map(|n| format!("h{n}")).collect();
        assert!(some_of(&many).ends_with("h7 and 992 more"));
    }
}
