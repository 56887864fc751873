//! The clients: each kind of work is a file, and a loop that makes calls and notes what it saw until it is told to end.
//! Knows what all of them share; must not know faults.

pub mod addresses;
pub mod labels;
pub mod networks;

use crate::caller::{Caller, Outcome};
use crate::recorder::Recorder;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swarm_model::RequestId;
use swarm_tests::linear::{Answer, Op};
use swarm_tests::rng::Rng;

/// A caller's patience.
pub const LIMIT: Duration = Duration::from_secs(4);
/// How often a change is asked for again, with its request id, elsewhere.
pub const TRIES: usize = 3;
/// Between two calls of one client.
const PAUSE_MS: (usize, usize) = (5, 40);
/// After a call that nobody took.
const NOBODY: Duration = Duration::from_millis(50);
/// After so long, clients go on to new keys: a history with many open calls is costly to judge.
const GENERATION_US: u64 = 8_000_000;

/// A client's number for what is asked of a manager that sleeps.
const WAKER: u32 = 2_000;

pub struct Site {
    pub managers: Vec<Caller>,
    pub workers: Vec<Caller>,
    pub recorder: Recorder,
    over: AtomicBool,
    /// Managers that were demoted and are not yet back for good.
    anew: Mutex<BTreeSet<usize>>,
    /// Nodes that had their role changed, by name: their revisions tell more than what clients did.
    touched: Mutex<BTreeSet<String>>,
}

impl Site {
    pub fn new(managers: Vec<Caller>, workers: Vec<Caller>) -> Self {
        let (over, anew, touched) = Default::default();
        Self { managers, workers, recorder: Recorder::new(), over, anew, touched }
    }

    pub fn touch(&self, node: &str) {
        self.touched.lock().insert(node.to_owned());
    }

    pub fn is_touched(&self, node: &str) -> bool {
        self.touched.lock().contains(node)
    }

    /// A manager is demoted; until it is one again, what it says of Raft counts for nothing.
    pub fn demoted(&self, host: usize) {
        self.anew.lock().insert(host);
    }

    pub fn all_are_back(&self) {
        self.anew.lock().clear();
    }

    pub fn begins_anew(&self, host: usize) -> bool {
        self.anew.lock().contains(&host)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn generation(&self) -> u64 {
        self.recorder.now_us() / GENERATION_US
    }

    pub fn any_manager(&self, rng: &mut Rng) -> &Caller {
        &self.managers[rng.below(self.managers.len())]
    }
}

/// Everything that clients change now is asked of one manager, all at once.
pub async fn look_everywhere(site: &Site, manager: &Caller) {
    let (names, places) = (networks::hot(site), addresses::hot(site));
    tokio::join!(
        networks::look(site, WAKER, manager, &names),
        addresses::look(site, WAKER, manager, &places),
    );
}

/// One client's name, chance, and count of what it did.
pub struct Client {
    pub number: u32,
    pub rng: Rng,
    changes: u64,
}

impl Client {
    pub fn new(number: u32, seed: u64) -> Self {
        Self { number, rng: Rng::new(seed ^ (u64::from(number) << 32)), changes: 0 }
    }

    /// A value nobody else writes, ever.
    pub fn value(&mut self) -> String {
        self.changes += 1;
        format!("c{}-{}", self.number, self.changes)
    }

    pub async fn rest(&mut self) {
        let (least, most) = PAUSE_MS;
        let ms = least + self.rng.below(most - least);
        tokio::time::sleep(Duration::from_millis(ms as u64)).await;
    }

    pub fn request_id(&mut self) -> String {
        let id: RequestId = self.rng.id();
        id.to_string()
    }

    /// Makes one change, at one manager after the other, until it is answered; always the same request, so the whole is
    /// one call. Between tries the client stays itself: what is open then is open for good.
    pub async fn change<F>(&mut self, site: &Site, (key, op): (String, Op), ask: impl Fn(Caller) -> F)
    where
        F: Future<Output = Outcome<()>>,
    {
        let begun = site.recorder.now_us();
        let mut perhaps = false;
        for _ in 0..TRIES {
            let answer = match ask(site.any_manager(&mut self.rng).clone()).await {
                Outcome::Answer(()) => Answer::Done,
                Outcome::Refused(_) => Answer::Refused,
                Outcome::NotDone => {
                    tokio::time::sleep(NOBODY).await;
                    continue;
                }
                Outcome::Unknown => {
                    perhaps = true;
                    continue;
                }
            };
            site.recorder.count(&format!("{} {answer:?}", verb(&op)));
            return site.recorder.note(self.number, key, op, (begun, Some(answer)));
        }
        site.recorder.count(&format!("{} {}", verb(&op), if perhaps { "open" } else { "not taken" }));
        if perhaps {
            site.recorder.note(self.number, key, op, (begun, None));
        }
    }
}

pub fn verb(op: &Op) -> &'static str {
    match op {
        Op::Read => "read",
        Op::Write(_) => "write",
        Op::Swap { .. } => "swap",
        Op::Claim(_) => "claim",
        Op::Clear => "clear",
        Op::Release(_) => "release",
    }
}
