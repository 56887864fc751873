//! One connection: resolve, TCP, TLS, and the server's first bytes, all within one deadline.
//! Must not know what it is for.

use super::address::{Address, Host};
use super::classify::Dial;
use super::error::DialError;
use crate::credentials::Credentials;
use crate::token::CaDigest;
use crate::{MANAGER_NAME, node_name, tls};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_model::NodeId;
use tokio::io::AsyncBufReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Most time between the wish for a connection and its being usable.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

pub(super) enum Trust {
    Member(Credentials),
    /// A member whose certificate has run out.
    Nameless(Credentials),
    Pinned {
        digest: CaDigest,
        config: Arc<ClientConfig>,
    },
    User {
        expires_ms: u64,
        config: Arc<ClientConfig>,
    },
}

pub(super) enum Wanted {
    Manager,
    Node(NodeId),
}

/// Whether something listens at `addr`: connects by TCP and hangs up.
pub async fn probe(addr: &Address) -> Result<(), DialError> {
    tcp(addr, Instant::now() + CONNECT_DEADLINE).await.map(drop)
}

pub(super) async fn open(
    address: &Address,
    trust: &Trust,
    wanted: &Wanted,
) -> Result<TlsStream<TcpStream>, DialError> {
    let deadline = Instant::now() + CONNECT_DEADLINE;
    let config = config(trust)?;
    let name = name(wanted)?;
    let tcp = tcp(address, deadline).await?;
    let dial = Dial { addr: address.to_string(), trust, wanted };
    let handshake = async {
        let mut stream = TlsConnector::from(config).connect(name, tcp).await?;
        let alpn_agreed = stream.get_ref().1.alpn_protocol() == Some(tls::ALPN);
        if alpn_agreed && stream.fill_buf().await?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((stream, alpn_agreed))
    };
    match timeout_at(deadline, handshake).await {
        Err(_) => Err(DialError::Silent { addr: dial.addr, after_ms: CONNECT_DEADLINE.as_millis() as u64 }),
        Ok(Err(error)) => Err(dial.classify(&error)),
        Ok(Ok((_, false))) => {
            Err(DialError::Protocol { addr: dial.addr, why: "it does not offer HTTP/2 (ALPN h2)".to_owned() })
        }
        Ok(Ok((stream, true))) => Ok(stream),
    }
}

/// Read at every connection, so that a reconnecting channel uses what the credentials are now.
fn config(trust: &Trust) -> Result<Arc<ClientConfig>, DialError> {
    match trust {
        Trust::Pinned { config, .. } => Ok(config.clone()),
        Trust::Nameless(credentials) => Ok(credentials.nameless_config()),
        Trust::Member(credentials) => {
            not_expired(credentials.validity().until_ms)?;
            Ok(credentials.member_config())
        }
        Trust::User { expires_ms, config } => {
            not_expired(*expires_ms)?;
            Ok(config.clone())
        }
    }
}

fn not_expired(until_ms: u64) -> Result<(), DialError> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    match now_ms.checked_sub(until_ms) {
        Some(since_ms) => Err(DialError::OwnExpired { since_s: since_ms / 1_000 }),
        None => Ok(()),
    }
}

fn name(wanted: &Wanted) -> Result<ServerName<'static>, DialError> {
    let name = match wanted {
        Wanted::Manager => MANAGER_NAME.to_owned(),
        Wanted::Node(node) => node_name(*node),
    };
    ServerName::try_from(name).map_err(|e| DialError::Tls { why: e.to_string() })
}

async fn tcp(address: &Address, deadline: Instant) -> Result<TcpStream, DialError> {
    let addrs = resolve(address, deadline).await?;
    let mut last = None;
    for (tried, addr) in addrs.iter().enumerate() {
        // A dead first address must leave time for the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addrs.len() - tried).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                // Small requests wait for nobody; a kernel that refuses this only makes them slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some((addr, why(&error))),
            Err(_) => last = Some((addr, format!("no answer within {} ms", share.as_millis()))),
        }
    }
    let (addr, why) = last.map(|(addr, why)| (addr.to_string(), why)).unwrap_or_default();
    let asked = address.to_string();
    let addr = if addr == asked { addr } else { format!("{asked} ({addr})") };
    Err(DialError::Unreachable { addr, why })
}

/// A host that answers so is there, and is perhaps a worker.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; only managers do (port 2377 by default)".to_owned()
        }
        _ => error.to_string(),
    }
}

async fn resolve(address: &Address, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
    let name = match &address.host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, address.port)]),
        Host::Name(name) => name,
    };
    let failed = |why: String| DialError::NotResolvable { name: name.clone(), why };
    let found = match timeout_at(deadline, lookup_host((name.as_str(), address.port))).await {
        Err(_) => return Err(failed("the resolver did not answer in time".to_owned())),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(found)) => found.take(MOST_ADDRESSES).collect::<Vec<_>>(),
    };
    if found.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(found) }
}
