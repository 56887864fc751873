//! One pass: look, plan, take the steps, send the probes. Blocking. Knows: what follows from a step that failed. Must not
//! know: when passes happen.

use super::{Aim, RETRY, draw, keys};
use crate::kernel::KernelError;
use crate::kernel::probe::{Nonce, ProbeSocket};
use crate::kernel::xfrm::{self, Context, Undone};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::time::Duration;
use swarm_identity::random;
use swarm_model::{Incarnation, NodeId};
use swarm_overlay::esp::{Memory, PeerState, Policy, Purpose, SaId, Step, Turn, plan};
use zeroize::Zeroizing;

/// What a pass needs and leaves behind.
pub struct Hands {
    pub memory: Memory,
    /// What this kernel can do, once it was found to do it.
    can: Option<Context>,
    /// Something of ours was seen or made: only then is there anything to look at.
    used: bool,
    /// Something is to be encrypted here: peers have to know with what.
    wanted: bool,
}

impl Hands {
    pub fn new(memory: Memory) -> Self {
        // The first look finds what an earlier daemon left.
        Self { memory, can: None, used: true, wanted: false }
    }

    /// What others have to know, if they do.
    pub fn told(&self) -> Option<Incarnation> {
        (self.wanted && self.can.is_some()).then(|| self.memory.own())
    }
}

pub struct Passed {
    pub hands: Hands,
    pub peers: BTreeMap<NodeId, PeerState>,
    pub trouble: String,
    pub sent: Vec<(Nonce, SaId)>,
    pub again: Duration,
}

impl Passed {
    pub fn nothing(hands: Hands) -> Self {
        let (peers, trouble, sent) = Default::default();
        Self { hands, peers, trouble, sent, again: RETRY }
    }
}

/// So long nothing is looked at where nothing is encrypted.
pub const IDLE: Duration = Duration::from_secs(3600);

pub fn pass(mut hands: Hands, aim: &Aim, socket: Option<&ProbeSocket>, now_ms: u64) -> Passed {
    if !aim.wanted.any && !hands.used {
        return Passed { again: IDLE, ..Passed::nothing(hands) };
    }
    let can = hands.can.map_or_else(|| xfrm::detect(aim.wanted.vtep.is_ipv4()), Ok);
    let context = match can {
        Ok(context) => Context { port: aim.port, ..context },
        // Nothing can be there either.
        Err(_) if !aim.wanted.any => {
            hands.used = false;
            return Passed { again: IDLE, ..Passed::nothing(hands) };
        }
        Err(lacks) => {
            let refused = |node: &NodeId| (*node, PeerState::Refused(lacks.clone()));
            let peers = aim.wanted.peers.keys().map(refused).collect();
            return Passed { peers, trouble: lacks, ..Passed::nothing(hands) };
        }
    };
    (hands.can, hands.wanted) = (Some(context), aim.wanted.any);
    match work(&mut hands, aim, context, socket, now_ms) {
        Ok((turn, trouble, sent)) => {
            let again = if trouble.is_empty() { Duration::from_millis(turn.again_ms) } else { RETRY };
            Passed { hands, peers: turn.peers, trouble, sent, again }
        }
        Err(error) => Passed { trouble: error.to_string(), ..Passed::nothing(hands) },
    }
}

type Worked = (Turn, String, Vec<(Nonce, SaId)>);

fn work(
    hands: &mut Hands,
    aim: &Aim,
    context: Context,
    socket: Option<&ProbeSocket>,
    now_ms: u64,
) -> Result<Worked, KernelError> {
    let mut kernel = crate::kernel::NetlinkSocket::xfrm()?;
    let observed = xfrm::observe(&mut kernel, context.port)?;
    let memory = &mut hands.memory;
    let mut turn = plan(&aim.wanted, &observed, memory, &keys::spi, now_ms);
    hands.used = aim.wanted.any || !observed.sas.is_empty() || !observed.policies.is_empty();
    let undone = xfrm::execute(&mut kernel, &turn.steps, context, &|step| key(aim, step))?;
    let trouble = undone.first().map(|undone| undone.error.to_string()).unwrap_or_default();
    undone.iter().for_each(|undone| forget(memory, undone));
    if turn.renew {
        memory.renew(draw(), now_ms);
        turn.again_ms = 0;
        return Ok((turn, trouble, Vec::new()));
    }
    let mut sent = Vec::new();
    for id in turn.probes.iter().filter(|_| socket.is_some()) {
        let way = Policy::Way { purpose: Purpose::Probe, src: id.src, dst: id.dst };
        // The way is looked up when the packet is sent, so each probe goes through its own association.
        let point = [Step::PutPolicy(way, Some(id.spi))];
        if !xfrm::execute(&mut kernel, &point, context, &|_| None)?.is_empty() {
            continue;
        }
        let nonce: Nonce = random::bytes();
        if let Some(socket) = socket {
            socket.send(id.dst, &nonce);
        }
        sent.push((nonce, *id));
    }
    Ok((turn, trouble, sent))
}

/// What was refused was never used. One that is there under the same index is another's, and another incarnation gives
/// another index.
fn forget(memory: &mut Memory, undone: &Undone) {
    match (&undone.step, undone.error.errno()) {
        (Step::AddSa { .. }, Some(Errno::EEXIST)) => {}
        (Step::AddSa { id, .. }, _) => memory.not_made(*id),
        (Step::DeleteSa(_) | Step::PutPolicy(..) | Step::DeletePolicy(_), _) => {}
    }
}

fn key(aim: &Aim, step: &Step) -> Option<Zeroizing<[u8; xfrm::KEY_BYTES]>> {
    let Step::AddSa { tunnel, .. } = step else { return None };
    let other = if tunnel.from.node == aim.wanted.node { tunnel.to.node } else { tunnel.from.node };
    let ring = aim.wanted.peers.get(&other)?.ring.as_ref()?;
    Some(keys::derive(ring.secrets.get(&tunnel.generation)?, tunnel).key)
}
