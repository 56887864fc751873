//! What the clients saw, as it happens: the history, a tally, and the one clock for both. Knows no rules.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Instant;
use swarm_tests::linear::{Answer, Call, History, Op, Returned};

pub struct Recorder {
    begun: Instant,
    calls: Mutex<Vec<Call>>,
    tally: Mutex<BTreeMap<String, u64>>,
    problems: Mutex<Vec<String>>,
}

impl Recorder {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            calls: Mutex::default(),
            tally: Mutex::default(),
            problems: Mutex::default(),
        }
    }

    pub fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A call that ends now; without an answer it stays open. One that certainly did nothing is not noted at all.
    pub fn note(&self, client: u32, key: String, op: Op, (invoked_us, answer): (u64, Option<Answer>)) {
        let returned = answer.map(|answer| Returned { at_us: self.now_us(), answer });
        self.calls.lock().push(Call { client, key, op, invoked_us, returned });
    }

    pub fn count(&self, what: &str) {
        *self.tally.lock().entry(what.to_owned()).or_default() += 1;
    }

    /// Something that must not happen, whatever the history says.
    pub fn problem(&self, what: String) {
        let at_ms = self.now_us() / 1_000;
        self.problems.lock().push(format!("{at_ms:>6} ms: {what}"));
    }

    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().clone()
    }

    pub fn history(&self) -> History {
        History { calls: self.calls.lock().clone() }
    }

    pub fn tally(&self) -> BTreeMap<String, u64> {
        self.tally.lock().clone()
    }
}
