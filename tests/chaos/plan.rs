//! The schedule of faults: chosen from a seed before anything runs, so that it can be shown, kept and played again.
//! Pure; must not know how a fault is made.

use std::fmt;
use swarm_tests::rng::Rng;

/// Faults begin this far apart, and last so long.
const GAP_MS: (usize, usize) = (200, 2_500);
const LASTS_MS: (usize, usize) = (150, 4_000);
/// How far a clock is set off, either way.
const OFFSET_S: usize = 3_600;

/// Whom a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Whoever leads when it begins.
    Leader,
    Host(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new daemon when it is over.
    Kill(Target),
    /// SIGTERM, likewise.
    Restart(Target),
    /// SIGSTOP, and SIGCONT when it is over.
    Freeze(Target),
    /// Nothing on the control plane goes to or from this host.
    Isolate(Target),
    /// Nothing on the control plane reaches this host; it still reaches the others.
    Deafen(Target),
    /// One direction between two hosts.
    Cut { from: usize, to: usize },
    /// So many of a hundred control-plane packets on the wire are lost.
    Loss { percent: usize },
    /// Each fsync takes so much longer.
    SlowDisk { target: Target, ms: usize },
    /// The wall clock is off.
    Clock { target: Target, seconds: i64 },
    /// Every manager is killed at once.
    KillManagers,
    /// A manager is made a worker, and a manager again when it is over.
    Demote(Target),
    /// A worker is made a manager, and a worker again when it is over.
    Promote(usize),
    /// The spare host leaves by itself or is removed, and joins again; as a manager until it is over, or as a worker.
    Rejoin { removed: bool, manager: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub at_ms: usize,
    pub lasts_ms: usize,
    pub fault: Fault,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} ms for {:>4} ms: {:?}", self.at_ms, self.lasts_ms, self.fault)
    }
}

/// Faults for so many seconds, among `hosts` hosts of which the first `managers` are managers.
pub fn plan(seed: u64, seconds: usize, (managers, hosts): (usize, usize)) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let between = |rng: &mut Rng, (least, most): (usize, usize)| least + rng.below(most - least);
    let mut steps = Vec::new();
    let mut at_ms = 0;
    loop {
        at_ms += between(&mut rng, GAP_MS);
        if at_ms >= seconds * 1_000 {
            return steps;
        }
        let fault = fault(&mut rng, managers, hosts);
        let lasts_ms = between(&mut rng, LASTS_MS);
        steps.push(Step { at_ms, lasts_ms, fault });
    }
}

fn fault(rng: &mut Rng, managers: usize, hosts: usize) -> Fault {
    let target = |rng: &mut Rng| match rng.below(3) {
        0 => Target::Leader,
        1 => Target::Host(1 + rng.below(managers)),
        _ => Target::Host(1 + rng.below(hosts)),
    };
    match rng.below(24) {
        0..4 => Fault::Kill(target(rng)),
        4..6 => Fault::Restart(target(rng)),
        6..9 => Fault::Freeze(target(rng)),
        9..11 => Fault::Isolate(target(rng)),
        11..13 => Fault::Deafen(target(rng)),
        13..15 => {
            let from = 1 + rng.below(managers);
            Fault::Cut { from, to: 1 + (from + rng.below(managers - 1)) % managers }
        }
        15 => Fault::Loss { percent: [1, 10, 30][rng.below(3)] },
        16 | 17 => Fault::SlowDisk { target: target(rng), ms: [20, 200, 1_000][rng.below(3)] },
        18 => {
            let seconds = rng.below(2 * OFFSET_S) as i64 - OFFSET_S as i64;
            Fault::Clock { target: target(rng), seconds }
        }
        19 => Fault::KillManagers,
        20 | 21 => Fault::Demote(match rng.below(2) {
            0 => Target::Leader,
            _ => Target::Host(1 + rng.below(managers)),
        }),
        22 => Fault::Promote(managers + 1 + rng.below(hosts - managers)),
        _ => Fault::Rejoin { removed: rng.below(2) == 0, manager: rng.below(2) == 0 },
    }
}

#[test]
fn a_seed_always_tells_the_same_schedule() {
    let of = |seed| plan(seed, 120, (3, 5));
    assert!(of(1) == of(1) && of(1) != of(2));
    let steps = of(3);
    assert!(steps.len() > 60 && steps.is_sorted_by_key(|step| step.at_ms), "{steps:?}");
    for step in steps {
        match step.fault {
            Fault::Cut { from, to } => {
                assert!(from != to && (1..=3).contains(&from) && (1..=3).contains(&to), "{step}");
            }
            Fault::Promote(worker) => assert!([4, 5].contains(&worker), "{step}"),
            _ => {}
        }
    }
}
