//! Whether this host's state is a copy of that of another host which is there. Knows where to look for that one; must not
//! know what the state holds.

use crate::member::Member;
use anyhow::bail;
use std::time::Duration;
use swarm_identity::{Credentials, Dialler};

/// For another self of this manager to answer at the address it was found at before.
const TWIN_DEADLINE: Duration = Duration::from_secs(2);

/// Whoever answers with this node's own certificate at an address that is not here (any more) was here first: a copy of its
/// files would be a second vote of one manager.
pub async fn refuse_copy(member: &Member, credentials: &Credentials) -> anyhow::Result<()> {
    let ip = member.advertise.ip();
    if ip.is_loopback() || crate::host::addresses().iter().any(|address| address.ip == ip) {
        return Ok(());
    }
    let dialler = Dialler::new(credentials.clone());
    let dialled = dialler.to_node(member.advertise, member.node);
    match tokio::time::timeout(TWIN_DEADLINE, dialled).await {
        Ok(Ok(_)) => bail!(
            "another swarmd with the identity of this node ({}) answers at {}: this state folder is a copy of its own; \
             stop that one, or remove this folder and join as a new node",
            member.node,
            member.advertise
        ),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
