//! The one dialler: every connection to a manager's port 2377 is made here. Knows addresses, deadlines, and whom it
//! wants to find; must not know what is asked there.
//!
//! A call answers only when the other side has taken us: with TLS 1.3 a server judges the client's certificate after
//! the client thinks the handshake done, so a refusal would otherwise show on the first RPC, under a varying code.
//! The dialler therefore waits for the server's first bytes (its HTTP/2 settings). When a channel reconnects by itself
//! later, the `DialError` stands in the source chain of the failed RPC's `Status`: see `DialError::of_status`.

mod address;
pub mod admission;
mod classify;
mod connect;
mod error;

pub use address::{Address, AddressError};
pub use connect::{CONNECT_DEADLINE, probe};
pub use error::{DialError, DialErrorKind, EXPIRED_THERE};

use crate::credentials::Credentials;
use crate::tls;
use crate::user::UserIdentity;
use connect::{Trust, Wanted, open};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::NodeId;
use tonic::transport::{Channel, Endpoint, Uri};

/// A channel whose other side is gone is noticed after both, even when nothing is asked.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(5);

/// Dials managers with this node's certificate. Channels reconnect by themselves, with the credentials of that moment.
#[derive(Debug, Clone)]
pub struct Dialler {
    credentials: Credentials,
}

impl Dialler {
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials }
    }

    /// To any manager of our cluster at `addr` (`HOST:PORT`, `1.2.3.4:PORT`, `[v6]:PORT`). At most 5 s.
    pub async fn to_manager(&self, addr: &str) -> Result<Channel, DialError> {
        self.channel(addr.parse()?, Wanted::Manager).await
    }

    /// To the manager `node` and no other, at `addr`. At most 5 s.
    pub async fn to_node(&self, addr: impl Into<Address>, node: NodeId) -> Result<Channel, DialError> {
        self.channel(addr.into(), Wanted::Node(node)).await
    }

    /// To any manager of our cluster, without showing who we are: our certificate has run out.
    pub async fn nameless(&self, addr: &str) -> Result<Channel, DialError> {
        channel(addr.parse()?, Trust::Nameless(self.credentials.clone()), Wanted::Manager).await
    }

    async fn channel(&self, address: Address, wanted: Wanted) -> Result<Channel, DialError> {
        channel(address, Trust::Member(self.credentials.clone()), wanted).await
    }
}

impl UserIdentity {
    /// To a manager of the user's cluster at `addr` (`HOST:PORT`). At most 5 s.
    pub async fn channel(&self, addr: &str) -> Result<Channel, DialError> {
        let config = tls::user(self).map_err(|e| DialError::Tls { why: e.to_string() })?;
        let trust = Trust::User { expires_ms: self.user().expires_ms, config: Arc::new(config) };
        channel(addr.parse()?, trust, Wanted::Manager).await
    }
}

async fn channel(address: Address, trust: Trust, wanted: Wanted) -> Result<Channel, DialError> {
    let plan = Arc::new((address, trust, wanted));
    let connector = {
        let plan = plan.clone();
        tower::service_fn(move |_: Uri| {
            let plan = plan.clone();
            async move { open(&plan.0, &plan.1, &plan.2).await.map(TokioIo::new) }
        })
    };
    // The URI only fills in `:authority`; where the connection goes and who must be there is the connector's matter.
    let endpoint = Endpoint::from_static("http://manager.swarm")
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER)
        .keep_alive_while_idle(true);
    endpoint.connect_with_connector(connector).await.map_err(|error| match DialError::find(&error) {
        Some(found) => found.clone(),
        None => DialError::Protocol { addr: plan.0.to_string(), why: error.to_string() },
    })
}
