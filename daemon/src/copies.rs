//! Whether this host's state is a copy of that of another host which is there. Knows where to look for that one; must not
//! know what the state holds.

use crate::member::Member;
use anyhow::bail;
use std::net::SocketAddr;
use std::time::Duration;
use swarm_identity::{Credentials, Dialler};
use swarm_manager::last_found;

/// For another self of this manager to answer at the address it was found at before.
const TWIN_DEADLINE: Duration = Duration::from_secs(2);

/// What this host may start as.
pub struct Original {
    pub member: Member,
    /// Another self has been the manager since these files were: what that one has said to the others in Raft, these have
    /// forgotten, and a voter may not.
    pub outlived: bool,
}

/// Whoever answers with this node's own certificate at an address that is not here (any more) was here first: a copy of its
/// files would be a second vote of one manager. That address is the one this host had, or the one at which the other managers
/// have found this node meanwhile. Should nobody answer there, this host takes over.
pub async fn refuse_copy(member: Member, credentials: &Credentials) -> anyhow::Result<Original> {
    let dialler = Dialler::new(credentials.clone());
    refuse_at(member.advertise, &member, &dialler).await?;
    let own = member.advertise.to_string();
    let others: Vec<String> = member.seeds().into_iter().filter(|addr| *addr != own).collect();
    match last_found(&dialler, &others, &member.listed).await {
        Some(found) if found.addr != member.advertise => {
            refuse_at(found.addr, &member, &dialler).await?;
            // Each move is on disk before anybody hears of it.
            let outlived = found.moves > member.moves;
            // Its word is to be the later one.
            let moves = member.moves.max(found.moves.saturating_add(1));
            Ok(Original { member: Member { moves, ..member }, outlived })
        }
        Some(_) | None => Ok(Original { member, outlived: false }),
    }
}

async fn refuse_at(addr: SocketAddr, member: &Member, dialler: &Dialler) -> anyhow::Result<()> {
    let ip = addr.ip();
    if ip.is_loopback() || crate::host::addresses().iter().any(|address| address.ip == ip) {
        return Ok(());
    }
    match tokio::time::timeout(TWIN_DEADLINE, dialler.to_node(addr, member.node)).await {
        Ok(Ok(_)) => bail!(
            "another swarmd with the identity of this node ({}) answers at {addr}: this state folder is a copy of its own; \
             stop that one, or remove this folder and join as a new node",
            member.node
        ),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}
