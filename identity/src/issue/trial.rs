//! Whether this crate's own verifiers take what a root CA issues, from the first moment to the last. Must not know whose
//! root it is, nor why it would not do.

use super::{CaError, RootCa, Subject, UserSubject, Validity};
use crate::key::new_key_and_csr;
use crate::node::NodeIdentity;
use crate::user::UserIdentity;
use crate::{random, tls};
use rustls::pki_types::UnixTime;
use std::time::Duration;
use swarm_model::Role;

/// Before the end of a certificate, when it must still be good.
const LAST_MS: u64 = 1_000;

/// Issues for a node and a user that there are not, and judges by these as a manager and a node would.
pub(super) fn try_out(ca: &RootCa, now_ms: u64, lifetime_ms: u64) -> Result<(), CaError> {
    let (node, user) = issue(ca, Validity::starting(now_ms, lifetime_ms))?;
    let last_ms = node.validity().until_ms.saturating_sub(LAST_MS);
    for (when, at_ms) in [("now", now_ms), ("at their end", last_ms)] {
        let at = UnixTime::since_unix_epoch(Duration::from_millis(at_ms));
        let refused = |whose, why: rustls::Error| CaError::NotTaken { whose, when, why: why.to_string() };
        tls::takes_server(&node, at).map_err(|e| refused("a manager", e))?;
        tls::takes_client(&node.client_chain(), &node, at).map_err(|e| refused("a node", e))?;
        tls::takes_client(user.chain.get(..1).unwrap_or_default(), &node, at)
            .map_err(|e| refused("a user", e))?;
    }
    Ok(())
}

fn issue(ca: &RootCa, validity: Validity) -> Result<(NodeIdentity, UserIdentity), CaError> {
    let cluster = random::new_id();
    let failed = |e: String| CaError::Sign(e);
    let (key, csr) = new_key_and_csr()?;
    let chain = ca.sign(&csr, &Subject { node: random::new_id(), role: Role::Manager, cluster }, validity)?;
    let node = NodeIdentity::new(key, &chain, ca.cert_pem()).map_err(|e| failed(e.to_string()))?;
    let (key, csr) = new_key_and_csr()?;
    let chain = ca.sign_user(&csr, &UserSubject { user: random::new_id(), cluster }, validity)?;
    let user = UserIdentity::new(key, &chain).map_err(|e| failed(e.to_string()))?;
    Ok((node, user))
}
