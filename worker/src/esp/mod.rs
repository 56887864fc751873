//! Encryption between this host and the others it shares encrypted networks with. Knows: when to look and to probe. Must
//! not know: what a packet to the kernel looks like, or where the secrets come from.
//!
//! One task. It looks at what the kernel holds, takes the steps that `plan` says, and sends the probes. Stopping it touches
//! no association: what is sent goes on being encrypted by the keys that are there.

mod keys;
mod pass;

use crate::kernel::probe::{Nonce, ProbeSocket};
use crate::kernel::xfrm::{self, Context};
use crate::kernel::{KernelError, NetlinkSocket};
use pass::{Hands, IDLE, Passed, pass};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::random;
use swarm_model::{Assigned, Incarnation, NodeId};
use swarm_overlay::HostFacts;
pub use swarm_overlay::esp::PeerState;
use swarm_overlay::esp::{Memory, SaId, Step, Wanted};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Until the next look after one that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Probes whose answers are waited for.
const MOST_WAITING: usize = 16 * 1024;

/// What is to be encrypted, and the port of the data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    pub wanted: Wanted,
    pub port: u16,
}

impl Aim {
    pub(crate) fn of(assigned: &Assigned, facts: &HostFacts) -> Self {
        let wanted = Wanted::derive(assigned, facts.node, facts.data_path_addr);
        Self { wanted, port: assigned.defaults.data_path_port }
    }
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EspStatus {
    pub peers: BTreeMap<NodeId, PeerState>,
    /// What went wrong last, as a sentence; empty while all goes well.
    pub trouble: String,
}

/// What others see of it.
pub struct Esp {
    pub status: watch::Receiver<EspStatus>,
    /// Told to the managers: with a session, and when it changes. `None` until something is to be encrypted here and can be.
    pub incarnation: watch::Receiver<Option<Incarnation>>,
}

impl Esp {
    /// Must be called in a tokio runtime whose threads are in the host's namespace. Touches nothing before the first aim.
    /// Ends with `stop`.
    pub fn start(aims: watch::Receiver<Option<Arc<Aim>>>, stop: CancellationToken) -> Self {
        let memory = Memory::new(draw());
        let (status, status_seen) = watch::channel(EspStatus::default());
        let (incarnations, incarnation) = watch::channel(None);
        let task = Task {
            aims,
            status,
            incarnations,
            begun: Instant::now(),
            hands: Some(Hands::new(memory)),
            socket: None,
            waiting: BTreeMap::new(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task.run() => {}
            }
        });
        Self { status: status_seen, incarnation }
    }
}

/// What this kernel lacks for encryption, as a sentence; `None` when it has all.
pub fn lacks(ipv4: bool) -> Option<String> {
    xfrm::detect(ipv4).err()
}

/// Takes everything of ours out of the kernel: for a host that leaves.
pub(crate) async fn forget(port: u16) {
    let cleared = tokio::task::spawn_blocking(move || clear(port)).await;
    if let Ok(Err(error)) = cleared {
        tracing::warn!("keys of encrypted networks may still be in the kernel: {error}");
    }
}

fn clear(port: u16) -> Result<(), KernelError> {
    let Ok(mut kernel) = NetlinkSocket::xfrm() else { return Ok(()) };
    let observed = xfrm::observe(&mut kernel, port)?;
    let policies = observed.policies.into_keys().map(Step::DeletePolicy);
    let steps: Vec<Step> = policies.chain(observed.sas.into_keys().map(Step::DeleteSa)).collect();
    let undone = xfrm::execute(&mut kernel, &steps, Context { port, extended: true }, &|_| None)?;
    undone.into_iter().next().map_or(Ok(()), |undone| Err(undone.error))
}

fn draw() -> Incarnation {
    Incarnation(random::bytes())
}

struct Task {
    aims: watch::Receiver<Option<Arc<Aim>>>,
    status: watch::Sender<EspStatus>,
    incarnations: watch::Sender<Option<Incarnation>>,
    begun: Instant,
    /// Away while a pass is at work.
    hands: Option<Hands>,
    socket: Option<AsyncFd<Listened>>,
    waiting: BTreeMap<Nonce, SaId>,
}

/// Shared with the pass, which sends.
struct Listened(Arc<ProbeSocket>);

impl AsRawFd for Listened {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Task {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn run(mut self) {
        loop {
            let aim = self.aims.borrow_and_update().clone();
            let again = match aim {
                Some(aim) => self.pass(aim).await,
                None => IDLE,
            };
            let until = Instant::now() + again;
            if !self.wait(until).await {
                return;
            }
        }
    }

    /// Waits for the next reason to look. False when nobody states aims any more.
    async fn wait(&mut self, until: Instant) -> bool {
        tokio::select! {
            changed = self.aims.changed() => changed.is_ok(),
            () = sleep_until(until) => true,
            () = answers(self.socket.as_ref(), &mut self.waiting, self.hands.as_mut(), self.begun) => true,
        }
    }

    async fn pass(&mut self, aim: Arc<Aim>) -> Duration {
        let Some(hands) = self.hands.take() else { return RETRY };
        let socket = self.socket_for(aim.wanted.vtep);
        let now_ms = self.now_ms();
        let passed = tokio::task::spawn_blocking(move || pass(hands, &aim, socket.as_deref(), now_ms)).await;
        // A pass that was lost took what it knew along: as after a restart.
        let Passed { hands, peers, trouble, sent, again } = passed.unwrap_or_else(|error| Passed {
            trouble: format!("the work on encryption was lost: {error}"),
            ..Passed::nothing(Hands::new(Memory::new(draw())))
        });
        self.incarnations.send_if_modified(|told| {
            let own = hands.told().or(*told);
            std::mem::replace(told, own) != own
        });
        self.hands = Some(hands);
        if self.waiting.len() + sent.len() > MOST_WAITING {
            self.waiting.clear();
        }
        self.waiting.extend(sent);
        let status = EspStatus { peers, trouble };
        self.status.send_if_modified(|held| {
            let news = *held != status;
            if news && !status.trouble.is_empty() && held.trouble != status.trouble {
                tracing::warn!("encryption: {}", status.trouble);
            }
            *held = status;
            news
        });
        again
    }

    fn socket_for(&mut self, vtep: IpAddr) -> Option<Arc<ProbeSocket>> {
        if self.socket.as_ref().is_none_or(|held| !held.get_ref().0.is_from(vtep)) {
            let opened =
                ProbeSocket::open(vtep).inspect_err(|error| tracing::debug!(%error, "no probes")).ok();
            self.socket = opened.and_then(listened);
        }
        self.socket.as_ref().map(|held| held.get_ref().0.clone())
    }
}

#[allow(
    deprecated,
    reason = "the successor is unsafe code; here the descriptor is owned and stays open, as it asks"
)]
fn listened(socket: ProbeSocket) -> Option<AsyncFd<Listened>> {
    AsyncFd::with_interest(Listened(Arc::new(socket)), Interest::READABLE).ok()
}

/// Ends when a probe has come back that was waited for.
async fn answers(
    socket: Option<&AsyncFd<Listened>>,
    waiting: &mut BTreeMap<Nonce, SaId>,
    hands: Option<&mut Hands>,
    begun: Instant,
) {
    let (Some(socket), Some(hands)) = (socket, hands) else { return std::future::pending().await };
    while let Ok(mut ready) = socket.readable().await {
        match ready.try_io(|socket| socket.get_ref().0.receive()) {
            Ok(Ok(Some(nonce))) => {
                let Some(id) = waiting.remove(&nonce) else { continue };
                let now_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                if hands.memory.answered(id, now_ms) {
                    return;
                }
            }
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, "reading answers to probes"),
        }
    }
    std::future::pending().await
}
