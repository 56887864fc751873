//! Three managers in one process, talking over real gRPC on loopback without TLS, each with its log on disk.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use swarm_raft::{Dial, Machine, MachineError, Member, RaftConfig, RaftNode, Role, StoreKey};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};

/// Longest wait for a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// A machine that counts.
#[derive(Default)]
struct Counter(u64);

impl Machine for Counter {
    fn apply(&mut self, _: u64, _: &[u8]) -> Result<Vec<u8>, MachineError> {
        self.0 += 1;
        Ok(Vec::new())
    }
    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let count = self.0;
        Box::new(move || count.to_be_bytes().to_vec())
    }
    fn restore(&mut self, _: u64, bytes: &[u8]) -> Result<(), MachineError> {
        let bytes = bytes.try_into().map_err(|_| MachineError("no count of eight bytes".to_owned()))?;
        self.0 = u64::from_be_bytes(bytes);
        Ok(())
    }
}

struct Plain;

impl Dial for Plain {
    fn channel(&self, member: &Member) -> BoxFuture<'static, Result<Channel, String>> {
        let addr = member.addr;
        Box::pin(async move {
            let endpoint = Endpoint::from_shared(format!("http://{addr}")).map_err(|e| e.to_string())?;
            endpoint.tcp_nodelay(true).connect().await.map_err(|e| e.to_string())
        })
    }
}

type Failure = Box<dyn std::error::Error>;

async fn start(id: u64, dir: &Path) -> Result<(RaftNode, Member), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr: SocketAddr = listener.local_addr()?;
    let config = RaftConfig::new(id, dir.join(id.to_string()), StoreKey::new([7; 32]));
    let raft = RaftNode::start(config, Counter::default(), Arc::new(Plain)).await?;
    let service = raft.service(Arc::new(|_, _, _| Ok(())));
    let incoming = TcpListenerStream::new(listener).and_then(|tcp| async move {
        tcp.set_nodelay(true)?;
        Ok(tcp)
    });
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    Ok((raft, Member { node: id.to_string(), addr }))
}

/// A running group of three voters, the first of which leads.
pub async fn group(dir: &Path) -> Result<Vec<RaftNode>, Failure> {
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let (raft, member) = start(id, dir).await?;
        let first = nodes.first().unwrap_or(&raft);
        if id == 1 {
            first.bootstrap(member).await?;
        } else {
            first.add_learner(id, member).await?;
            first.promote(id).await?;
        }
        nodes.push(raft);
    }
    Ok(nodes)
}

/// Whoever leads and can prove it.
pub async fn leader(nodes: &[RaftNode]) -> Result<RaftNode, Failure> {
    let find = async {
        loop {
            for node in nodes {
                if node.status().role == Role::Leader && node.read_index().await.is_ok() {
                    return node.clone();
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    Ok(tokio::time::timeout(PATIENCE, find).await?)
}
