//! Serves members and strangers at one port, each within bounds of their own. Must not know services.
//!
//! Whoever has no certificate may make this side read frames, and nothing bounds how many it tries to send. Strangers'
//! connections therefore have a thread of their own: members' sessions and Raft never wait behind them.

use super::request::{Bounds, Desk};
use super::server::{STRANGER_BYTES, server, stranger_server};
use super::{Arriving, Listener};
use std::io;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// What is served to whom.
pub struct Served {
    pub members: Routes,
    /// The same methods; messages larger than [`STRANGER_BYTES`] need not be taken.
    pub strangers: Routes,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("no thread for callers without a certificate: {0}")]
    Thread(#[from] io::Error),
    #[error("{0}")]
    Server(#[from] tonic::transport::Error),
}

/// Accepts and serves until told to stop.
///
/// # Errors
/// The host has no thread left, or the transport gives up.
pub async fn serve(listener: Listener, served: Served, stop: CancellationToken) -> Result<(), ServeError> {
    let over = stop.child_token();
    let guard = over.clone().drop_guard();
    let bounds = Bounds { bytes: STRANGER_BYTES, whole_within: listener.doorman.deadline };
    let incoming = listener.incoming();
    let desk = Desk::new(served.strangers.prepare(), Handle::current(), bounds);
    apart(desk, incoming.strangers, over)?;
    let members = server().add_routes(served.members);
    members.serve_with_incoming_shutdown(incoming.members, stop.cancelled()).await?;
    drop(guard);
    Ok(())
}

/// Its connections end with it: strangers have nothing that must be finished.
fn apart(desk: Desk, strangers: Arriving, over: CancellationToken) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        let served = stranger_server().serve_with_incoming(desk, strangers);
        if let Some(Err(error)) = runtime.block_on(over.run_until_cancelled(served)) {
            tracing::error!(%error, "callers without a certificate are no longer served");
        }
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("strangers".to_owned()).spawn(work).map(drop)
}
