//! What was measured, as a table for people. Knows rows and their words; must not know how anything was measured.

use crate::reasons;
use crate::stats::{Sample, short};
use std::fmt::Write;

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub what: String,
    pub ours: String,
    /// What it is compared with, and what that gave.
    pub peer: Option<(String, String)>,
    pub ratio: Option<f64>,
    pub goal: String,
    /// `None` where there is no goal.
    pub met: Option<bool>,
}

impl Row {
    pub fn new(what: &str, ours: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ours: ours.into(), ..Self::default() }
    }

    /// A row about time, in milliseconds: the median is to be at most `goal`.
    pub fn time(what: &str, ours: &Sample, goal: f64) -> Self {
        Self::new(what, ours.range("ms")).at_most(ours.median(), goal, "ms")
    }

    pub fn at_most(self, value: f64, goal: f64, unit: &str) -> Self {
        Self { goal: format!("≤ {} {unit}", trim(goal)), met: Some(value <= goal), ..self }
    }

    /// The ratio ours / peer is to be at least this.
    pub fn ratio_at_least(self, goal: f64) -> Self {
        let met = self.ratio.map(|ratio| ratio >= goal);
        Self { goal: format!("≥ {} of it", trim(goal)), met, ..self }
    }

    pub fn ratio_at_most(self, goal: f64) -> Self {
        let met = self.ratio.map(|ratio| ratio <= goal);
        Self { goal: format!("≤ {} of it", trim(goal)), met, ..self }
    }

    pub fn beside(self, name: &str, shown: String, ratio: f64) -> Self {
        Self { peer: Some((name.to_owned(), shown)), ratio: Some(ratio).filter(|r| r.is_finite()), ..self }
    }

    /// Compared with the peer's time for the same, medians.
    pub fn beside_time(self, name: &str, ours: &Sample, peer: &Sample) -> Self {
        self.beside(name, peer.range("ms"), ours.median() / peer.median())
    }

    pub fn goal(self, words: &str, met: bool) -> Self {
        Self { goal: words.to_owned(), met: Some(met), ..self }
    }

    fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        }
    }

    fn line(&self) -> String {
        let peer = self.peer.as_ref().map(|(name, shown)| format!("{name}: {shown}")).unwrap_or_default();
        let ratio = self.ratio.map(short).unwrap_or_default();
        let (what, ours, goal) = (&self.what, &self.ours, &self.goal);
        format!("| {what} | {ours} | {peer} | {ratio} | {goal} | {} |", self.verdict())
    }
}

fn trim(goal: f64) -> String {
    format!("{goal}")
}

pub const HEAD: &str =
    "| what | ours | beside it | ours / peer | goal | met |\n| --- | --- | --- | --- | --- | --- |";

/// The rows as a table.
pub fn table(rows: &[Row]) -> String {
    rows.iter().fold(HEAD.to_owned(), |mut text, row| {
        text.push('\n');
        text.push_str(&row.line());
        text
    })
}

/// BENCHMARKS.md, whole.
pub fn document(machine: &str, rows: &[Row]) -> String {
    let mut text = String::from(INTRODUCTION);
    let _ = write!(text, "\n## The machine\n\n{machine}\n\n## Results\n\n{}\n", table(rows));
    let short: Vec<&Row> = rows.iter().filter(|row| row.met == Some(false)).collect();
    let met = rows.iter().filter(|row| row.met == Some(true)).count();
    let _ = write!(text, "\n{met} of {} goals met.\n", met + short.len());
    text.push_str(GOSSIP);
    if !short.is_empty() {
        text.push_str("\n## What falls short, and why\n\n");
    }
    for row in short {
        let _ = writeln!(text, "- **{}**: {}", row.what, reasons::of(&row.what));
    }
    text.push_str(METHOD);
    text
}

const INTRODUCTION: &str = "# Benchmarks

Written by `make bench` (as root, on Debian); one row again: `target/release/bench attach` (`bench --help` names the rows).
Absolute figures move from machine to machine and from run to run. What is compared was measured in this same run, ours and
the peer in turn (A B A B …), at least five pairs; a row shows the median and the range, or p50 and p99, and how often it was measured.
";

/// The world of members is deterministic: what it gave once it gives again, and `make bench` need not.
const GOSSIP: &str = "
## Gossip, simulated

`make sim` has these among its scenarios (a release build; alone: `SIM_SEEDS=200 GOSSIP_MEMBERS=1000 cargo test --release -p swarm-gossip --test members -- --nocapture`).
The world is deterministic (`core/gossip/tests/members`): the figures come out the same wherever it runs, and are no times of this machine.

| what | ours | beside it | ours / peer | goal | met |
| --- | --- | --- | --- | --- | --- |
| 1 % of 1,000 members die at once: all know | 14.9 s | memberlist's rules: 16.6 s | 0.90 | ≤ 1.1 of it | yes |
| … packets until then, probes, streams and all | 86,316 | memberlist's rules: 171,461 | 0.50 | ≤ 1.1 of it | yes |
| false deaths, 10 of 100 members starved of processor for five minutes, five seeds | 0 | plain SWIM: 1790 | 0 | ≥ 50 × fewer | yes |
| at rest, each of 3 / 50 / 1,000 members | 182 / 182 / 182 B/s |  |  | ≤ 200 B/s | yes |
| 1,000 members that join within 5 s know each other | 6.7 s after the last, 132 KB each |  |  | seconds | yes |

*memberlist's rules* are its probes, suspicions, confirmations, awareness and broadcast queue with the settings of its `DefaultLANConfig`,
as a member of the same world (`memberlist.rs` there); in its favour, what it says over TCP is left out and its news take half the room.
*Plain SWIM* is this project's member without local health and without streams. Starved members run for up to 20 ms every few seconds,
and find their timers due before they have read what has arrived. Bytes are those of IP packets.
Ten thousand members are in the same scenario of a release build; they take tens of minutes of processor time, and stand here once they were run to the end.
";

const METHOD: &str = "
## How it was measured

- Every host is a set of namespaces (network, mount, UTS, process ids) with one daemon, all on one bridge; `swarmd` and `dockerd`
  each have three such hosts: a manager and two workers. All of it shares one machine, so what is slow at waiting is not seen here, what is slow at working is.
- *Docker* is Debian's docker.io in swarm mode, an attachable overlay and containers of busybox. Newer releases may have mended what is slow there.
- *By hand* is vxlan + bridge + veth made with `ip` between two namespaces on the same bridge of hosts, with the same MTU.
- `request` is one request over the daemon's local socket until its answer, at which the interface is looked at: up, with its address.
  `command` is the whole command line call, from its start to its end.
- *first on a node*: the host has no endpoint on that network yet; *warm*: it has one.
- Join is timed from the start of the command until the manager's list of nodes shows the member ready (worker) or a voter (manager; Docker: Reachable).
- Failover: three managers each. A write is the making of a network through a manager that was not the leader, tried again every
  2 ms; it counts from the signal. Docker's leader is killed less often, because it needs so long; so is etcd's (three members
  on hosts of their own, default settings, TLS between members; each attempt has 250 ms).
- Committed writes: as many clients at once over eight connections to whoever leads, each asking again as soon as it was answered;
  ours sets one of four labels of a node over the local socket, etcd puts one of four keys over TCP in the clear. Managers and
  members speak TLS among each other; ours also encrypt their logs. *2 ms more per flush*: both run under strace, which delays every fsync and fdatasync.
- Processor time of a write: user's and kernel's, by `/proc/PID/stat`, of the daemons and of the client, which is one process for both.
- Table entries: the reconciler of the worker, from a desired state to a kernel that has it, against the same messages made beforehand
  and sent as fast as the kernel takes them. The messages of one change are counted by strace.
- Round trips: ICMP echo from a raw socket, timed by the sender.
- What encryption costs is measured apart, by `make bench-vm`: docs/encryption.md.
- Names: asked every half millisecond in a sandbox on each of the two other hosts; what counts is when the last one had its first answer.
";
