//! Rules for who may come in: join tokens that were made to order, and users. Uses, expiry and revocation are judged
//! here, where two who show the last use of a token at once cannot both pass.

use super::{Step, node, size};
use crate::access::{AdmitByToken, CreateToken, CreateUser};
use crate::limits::{ENDED_TOKEN_MS, MAX_TOKENS, MAX_USERS};
use crate::{Refusal, Reply};
use alloc::string::ToString;
use alloc::sync::Arc;
use swarm_model::{IssuedToken, TokenFault, TokenId, TokenUse, User, UserId, check_labels, is_user_name};

pub fn create_token(step: &mut Step<'_>, create: &CreateToken) -> Result<Reply, Refusal> {
    check_labels(&create.labels).map_err(|e| Refusal::Invalid(e.to_string()))?;
    size::check_object("the join token", size::of_node("", &create.labels))?;
    if create.uses == Some(0) {
        return Err(Refusal::Invalid("a join token must admit at least one node".into()));
    }
    if step.state.tables.tokens.contains_key(&create.token) {
        return Err(Refusal::TokenExists(create.token));
    }
    let now_ms = step.wall_ms;
    let kept = |token: &IssuedToken| !is_long_over(token, now_ms);
    if step.state.tokens().filter(|token| kept(token)).count() >= MAX_TOKENS {
        return Err(Refusal::Limit { what: "join tokens".into(), limit: MAX_TOKENS });
    }
    let tokens = &mut step.state.tables.tokens;
    tokens.retain(|_, token| kept(token));
    let token = Arc::new(IssuedToken {
        id: create.token,
        role: create.role,
        digest: create.digest,
        labels: create.labels.clone(),
        uses: create.uses,
        used: 0,
        created_ms: now_ms,
        expires_ms: create.expires_ms,
        revoked_ms: None,
        used_by: [].into(),
        outdated_ms: None,
    });
    tokens.insert(create.token, Arc::clone(&token));
    Ok(Reply::Token(token))
}

/// Ended, and long enough ago that nobody will wonder why.
fn is_long_over(token: &IssuedToken, now_ms: u64) -> bool {
    let last_used = token.used_by.last().map(|last| last.at_ms);
    let ended = match token.fault(now_ms) {
        None => return false,
        Some(TokenFault::Revoked) => token.revoked_ms,
        Some(TokenFault::Expired) => token.expires_ms,
        Some(TokenFault::UsedUp) => last_used,
        Some(TokenFault::OldRoot) => token.outdated_ms,
    };
    ended.is_some_and(|ended| ended.saturating_add(ENDED_TOKEN_MS) <= now_ms)
}

pub fn revoke_token(step: &mut Step<'_>, id: TokenId) -> Result<Reply, Refusal> {
    let token =
        step.state.tables.tokens.get_mut(&id).ok_or_else(|| Refusal::TokenNotFound(id.to_string()))?;
    if token.revoked_ms.is_none() {
        Arc::make_mut(token).revoked_ms = Some(step.wall_ms);
    }
    Ok(Reply::Done)
}

pub fn admit_by_token(step: &mut Step<'_>, asked: &AdmitByToken) -> Result<Reply, Refusal> {
    let id = asked.token;
    let token = step.state.tables.tokens.get(&id).ok_or_else(|| Refusal::TokenNotFound(id.to_string()))?;
    check(token, step.wall_ms)?;
    let mut admit = asked.admit.clone();
    admit.role = token.role;
    admit.labels.extend(token.labels.clone());
    node::check_admission(step, &admit)?;
    let by = TokenUse { node: admit.node, hostname: admit.hostname.clone(), at_ms: step.wall_ms };
    if let Some(token) = step.state.tables.tokens.get_mut(&id) {
        Arc::make_mut(token).take(by);
    }
    Ok(node::insert(step, &admit, None))
}

/// Managers below this feature level would drop what is marked.
const MARKS_LEVEL: u32 = 4;

/// A rotation of the root CA that another one takes the place of: its root never counts again.
pub fn abandon(step: &mut Step<'_>, rotation: u64) {
    let now_ms = Some(step.wall_ms);
    for user in step.state.tables.users.values_mut().filter(|user| user.rotation == Some(rotation)) {
        let user = Arc::make_mut(user);
        (user.outdated_ms, user.rotation) = (now_ms, None);
    }
}

/// The root CA that tokens name and users' certificates were issued by is replaced: what was made before is worth nothing,
/// but for users whom the new root has issued already.
pub fn outdate(step: &mut Step<'_>, rotation: u64) {
    if step.state.cluster().is_none_or(|cluster| cluster.feature_level < MARKS_LEVEL) {
        return;
    }
    let now_ms = Some(step.wall_ms);
    for token in step.state.tables.tokens.values_mut().filter(|token| token.outdated_ms.is_none()) {
        Arc::make_mut(token).outdated_ms = now_ms;
    }
    for user in step.state.tables.users.values_mut().filter(|user| user.outdated_ms.is_none()) {
        let user = Arc::make_mut(user);
        match user.rotation.take() {
            Some(number) if number == rotation => {}
            Some(_) | None => user.outdated_ms = now_ms,
        }
    }
}

fn check(token: &IssuedToken, now_ms: u64) -> Result<(), Refusal> {
    match token.fault(now_ms) {
        None => Ok(()),
        Some(TokenFault::Revoked) => Err(Refusal::TokenRevoked),
        Some(TokenFault::Expired) => {
            let since_ms = now_ms.saturating_sub(token.expires_ms.unwrap_or(now_ms));
            Err(Refusal::TokenExpired { since_ms })
        }
        Some(TokenFault::UsedUp) => Err(Refusal::TokenUsedUp { uses: token.used }),
        Some(TokenFault::OldRoot) => Err(Refusal::TokenOfOldRoot),
    }
}

pub fn create_user(step: &mut Step<'_>, create: &CreateUser) -> Result<Reply, Refusal> {
    if !is_user_name(&create.name) {
        let expected = "1 to 63 letters, digits, '.', '_', '@' or '-', beginning with a letter or digit";
        return Err(Refusal::Invalid(alloc::format!("a user's name must be {expected}")));
    }
    if step.state.tables.users.contains_key(&create.user) {
        return Err(Refusal::UserExists(create.user));
    }
    if step.state.users().any(|user| user.name == create.name) {
        return Err(Refusal::UserNameTaken(create.name.clone()));
    }
    let rotation = step.state.cluster().filter(|cluster| cluster.feature_level >= MARKS_LEVEL);
    let rotation = rotation.and_then(|cluster| cluster.rotation.as_ref()).map(|rotation| rotation.number);
    let users = &mut step.state.tables.users;
    if users.len() >= MAX_USERS {
        return Err(Refusal::Limit { what: "users".into(), limit: MAX_USERS });
    }
    let user = Arc::new(User {
        id: create.user,
        name: create.name.clone(),
        role: create.role,
        created_ms: step.wall_ms,
        expires_ms: create.expires_ms,
        outdated_ms: None,
        rotation,
    });
    users.insert(create.user, Arc::clone(&user));
    Ok(Reply::User(user))
}

pub fn remove_user(step: &mut Step<'_>, id: UserId) -> Result<Reply, Refusal> {
    match step.state.tables.users.remove(&id) {
        Some(_) => Ok(Reply::Done),
        None => Err(Refusal::UserNotFound(id.to_string())),
    }
}
