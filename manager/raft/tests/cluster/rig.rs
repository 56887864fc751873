//! Nodes, their journals, and a network between them whose wires can be cut and healed.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use swarm_raft::{
    Cadence, Dial, FreeSpace, Machine, MachineError, Member, ProposeError, RaftConfig, RaftNode, Role,
    StartError, StoreKey, Timing,
};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a machine has applied: index and command, oldest first.
pub type Entries = Vec<(u64, Vec<u8>)>;

/// A machine that remembers everything, and refuses the command `poison`.
#[derive(Clone, Default)]
pub struct Journal(pub Arc<Mutex<Entries>>);

impl Machine for Journal {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Result<Vec<u8>, MachineError> {
        if entry == b"poison" {
            return Err(MachineError("command 255 is unknown to this version".to_owned()));
        }
        self.0.lock().push((index, entry.to_vec()));
        Ok([b"done:", entry].concat())
    }

    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let entries = self.0.lock().clone();
        Box::new(move || rmp_serde::to_vec_named(&entries).unwrap())
    }

    fn restore(&mut self, _: u64, bytes: &[u8]) -> Result<(), MachineError> {
        *self.0.lock() = rmp_serde::from_slice(bytes).map_err(|e| MachineError(e.to_string()))?;
        Ok(())
    }
}

/// Pairs (from, to) whose packets vanish.
#[derive(Clone, Default)]
pub struct Wires(Arc<Mutex<HashSet<(u64, u64)>>>);

impl Wires {
    /// Cuts a node off from all others, both ways.
    pub fn cut_off(&self, id: u64, others: &[u64]) {
        let pairs = others.iter().flat_map(|other| [(id, *other), (*other, id)]);
        self.0.lock().extend(pairs);
    }

    pub fn heal(&self) {
        self.0.lock().clear();
    }

    fn is_cut(&self, pair: (u64, u64)) -> bool {
        self.0.lock().contains(&pair)
    }
}

/// A connection between two nodes: a black hole while cut, reset afterwards.
struct Wire {
    tcp: TcpStream,
    pair: (u64, u64),
    wires: Wires,
    dead: bool,
}

impl Wire {
    /// Whether bytes pass; `Err` once a connection that lost some is found out.
    fn passes(&mut self) -> io::Result<bool> {
        let back = (self.pair.1, self.pair.0);
        let cut = self.wires.is_cut(self.pair) || self.wires.is_cut(back);
        self.dead |= cut;
        if self.dead && !cut {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(!cut)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if self.passes()? {
            return polled;
        }
        buf.set_filled(before);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.passes()? {
            Pin::new(&mut self.tcp).poll_write(cx, bytes)
        } else {
            Poll::Ready(Ok(bytes.len()))
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Dials over wires; every member's node name is its Raft id.
struct Dialler {
    me: u64,
    wires: Wires,
}

impl Dial for Dialler {
    fn channel(&self, member: &Member) -> BoxFuture<'static, Result<Channel, String>> {
        let pair = (self.me, member.node.parse().unwrap());
        let (addr, wires) = (member.addr, self.wires.clone());
        let connect = move |_| {
            let wires = wires.clone();
            async move {
                if wires.is_cut(pair) {
                    std::future::pending::<()>().await;
                }
                let tcp = TcpStream::connect(addr).await?;
                tcp.set_nodelay(true)?;
                Ok::<_, io::Error>(TokioIo::new(Wire { tcp, pair, wires, dead: false }))
            }
        };
        Box::pin(async move {
            let endpoint = Endpoint::from_shared(format!("http://{addr}")).map_err(|e| e.to_string())?;
            endpoint.connect_with_connector(tower::service_fn(connect)).await.map_err(|e| e.to_string())
        })
    }
}

/// One node and what it runs on.
pub struct Node {
    pub raft: RaftNode,
    pub journal: Journal,
    pub member: Member,
    server: tokio::task::JoinHandle<()>,
}

impl Node {
    pub fn entries(&self) -> Vec<Vec<u8>> {
        self.journal.0.lock().iter().map(|(_, entry)| entry.clone()).collect()
    }

    pub async fn stop(self) {
        self.raft.shutdown().await;
        self.server.abort();
    }

    /// Ends the node's server and forgets the node without handing anything over, as far as one process can.
    pub async fn crash(self, wires: &Wires, id: u64, others: &[u64]) {
        wires.cut_off(id, others);
        self.stop().await;
    }
}

/// What every store is sealed with to begin with.
pub const STORE_KEY: [u8; 32] = [7; 32];

pub fn config(id: u64, dir: &Path) -> RaftConfig {
    RaftConfig {
        timing: Timing { heartbeat_ms: 60, election_min_ms: 300, election_max_ms: 600, request_ms: 3_000 },
        cadence: Cadence { interval: 100, keep: 0 }.for_good(),
        // Nobody's disk is full unless a test says so.
        reserve_bytes: 0,
        ..RaftConfig::new(id, dir.to_owned(), StoreKey::new(STORE_KEY))
    }
}

/// A set of nodes by Raft id, each with a folder that outlives its runs.
pub struct Rig {
    pub wires: Wires,
    pub nodes: BTreeMap<u64, Node>,
    /// Raft ids that no connection may speak for.
    pub strangers: Arc<Mutex<HashSet<u64>>>,
    /// Raft ids whose disk is full.
    pub full: Arc<Mutex<HashSet<u64>>>,
    /// The keys of stores that have got another one.
    pub keys: BTreeMap<u64, StoreKey>,
    addrs: BTreeMap<u64, SocketAddr>,
    dir: TempDir,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (wires, nodes, strangers, full, keys, addrs) = Default::default();
        Self { wires, nodes, strangers, full, keys, addrs, dir }
    }

    pub fn dir(&self, id: u64) -> std::path::PathBuf {
        self.dir.path().join(id.to_string())
    }

    /// Starts a node, at the address it had before if it had one.
    pub async fn start(&mut self, id: u64) -> Result<(), StartError> {
        let listener = match self.addrs.get(&id) {
            Some(addr) => bind_again(*addr).await,
            None => TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        let member = Member { node: id.to_string(), addr: listener.local_addr().unwrap() };
        self.addrs.insert(id, member.addr);
        let journal = Journal::default();
        let dial = Arc::new(Dialler { me: id, wires: self.wires.clone() });
        let full = self.full.clone();
        let free = move |_: &Path| Ok(if full.lock().contains(&id) { 0 } else { u64::MAX });
        let begun = config(id, &self.dir(id));
        let key = self.keys.get(&id).unwrap_or(&begun.key).clone();
        let config = RaftConfig { key, reserve_bytes: 1, free_space: FreeSpace::asking(free), ..begun };
        let raft = RaftNode::start(config, journal.clone(), dial).await?;
        let strangers = self.strangers.clone();
        let service = raft.service(Arc::new(move |_, from, _| match strangers.lock().contains(&from) {
            true => Err(format!("{from} is a stranger")),
            false => Ok(()),
        }));
        let incoming = TcpListenerStream::new(listener).map_ok(|tcp| {
            // Without it answers wait for delayed acknowledgements: 40 ms for each heartbeat.
            tcp.set_nodelay(true).unwrap();
            tcp
        });
        let serve = Server::builder().add_service(service).serve_with_incoming(incoming);
        let server = tokio::spawn(async move { serve.await.unwrap() });
        self.nodes.insert(id, Node { raft, journal, member, server });
        Ok(())
    }

    /// Gives `id` the address of another node, which must not be running.
    pub fn take_address(&mut self, id: u64, of: u64) {
        self.addrs.insert(id, self.addrs[&of]);
    }

    /// Settles where `id` will listen before it starts.
    pub async fn settle(&mut self, id: u64) {
        let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        self.addrs.insert(id, addr);
    }

    pub fn member(&self, id: u64) -> Member {
        Member { node: id.to_string(), addr: self.addrs[&id] }
    }

    /// Has `id` start at an address it never had before.
    pub fn move_away(&mut self, id: u64) {
        self.addrs.remove(&id);
    }

    /// A running group of voters 1, 2, … with 1 leading.
    pub async fn group(size: u64) -> Self {
        let mut rig = Self::new();
        for id in 1..=size {
            rig.start(id).await.unwrap();
        }
        let first = &rig.nodes[&1];
        first.raft.bootstrap(first.member.clone()).await.unwrap();
        for id in 2..=size {
            let member = rig.nodes[&id].member.clone();
            first.raft.add_learner(id, member).await.unwrap();
            first.raft.promote(id).await.unwrap();
        }
        rig
    }

    pub async fn stop(&mut self, id: u64) {
        self.nodes.remove(&id).unwrap().stop().await;
    }

    pub async fn crash(&mut self, id: u64) {
        let others: Vec<u64> = self.addrs.keys().copied().filter(|other| *other != id).collect();
        self.nodes.remove(&id).unwrap().crash(&self.wires, id, &others).await;
        self.wires.heal();
    }

    /// The leader among the given nodes that a majority follows, once there is one.
    pub async fn leader(&self, among: &[u64]) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let leads = |id: &&u64| {
                let status = self.nodes[*id].raft.status();
                status.role == Role::Leader && 2 * status.heard.len() > status.voters.len()
            };
            if let Some(id) = among.iter().find(leads) {
                return *id;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!(
            "no leader among {among:?}: {:?}",
            self.nodes.values().map(|n| n.raft.status()).collect::<Vec<_>>()
        );
    }

    /// Proposes at whoever leads until it is committed. The command may be applied more than once.
    pub async fn propose(&self, among: &[u64], command: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader(among).await;
            match self.nodes[&leader].raft.propose(command.to_vec()).await {
                Ok(_) => return,
                Err(ProposeError::NotLeader(_) | ProposeError::Unknown) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until every running node has applied the same entries, and returns them.
    pub async fn agreed(&self) -> Vec<Vec<u8>> {
        let all = || self.nodes.values().map(|node| node.journal.0.lock().clone()).collect::<Vec<_>>();
        let agreed =
            || self.nodes.values().map(|node| node.raft.status().applied).collect::<HashSet<_>>().len() == 1;
        until("all nodes to apply the same", || agreed() && all().windows(2).all(|pair| pair[0] == pair[1]))
            .await;
        self.nodes.values().next().unwrap().entries()
    }
}

async fn bind_again(addr: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return listener,
            Err(error) if Instant::now() > deadline => panic!("{addr}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
