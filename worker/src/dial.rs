//! How the worker reaches a manager. Knows: an address. Must not know: certificates.

use futures::future::BoxFuture;
use tonic::transport::Channel;

/// Opens connections to managers. The daemon hands in the cluster's one dialler; tests hand in a plain one.
pub trait Dial: Send + Sync + 'static {
    /// A connection to the manager at `addr` (`HOST:PORT`), or a sentence that says why there is none. Must end by
    /// itself within a few seconds.
    fn manager<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, Result<Channel, String>>;
}

impl Dial for swarm_identity::Dialler {
    fn manager<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, Result<Channel, String>> {
        Box::pin(async move { self.to_manager(addr).await.map_err(|e| e.to_string()) })
    }
}
