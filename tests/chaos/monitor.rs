//! What every manager says of itself while all this goes on, and what its process takes. Knows I1, I5 and I18; must not
//! know faults.

use crate::caller::{Caller, Outcome};
use crate::work::Site;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use swarm_proto::v1;
use swarm_tests::World;
use tokio::time::sleep;

const EVERY: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(2);
/// Far above what a daemon needs with these few objects, debug build and all.
const MOST_MEMORY_KB: u64 = 300 * 1024;
const MOST_DESCRIPTORS: usize = 600;

/// What was seen of leadership.
#[derive(Default)]
pub struct Terms {
    /// Who led in which term, by node id, and who said so.
    leaders: BTreeMap<u64, (String, usize)>,
    /// The last term each host told.
    last: BTreeMap<usize, u64>,
    /// The last entry each host told that it had applied.
    applied: BTreeMap<usize, u64>,
}

impl Terms {
    /// What is wrong with it, in the light of what was said before.
    fn see(&mut self, host: usize, quorum: &v1::Quorum) -> Option<String> {
        if quorum.term == 0 {
            // It has only just started and says nothing yet.
            return None;
        }
        let before = self.last.insert(host, quorum.term).unwrap_or_default();
        if quorum.term < before {
            return Some(format!("h{host} went back from term {before} to {} (I5)", quorum.term));
        }
        // Likewise: it knows that it was further once, and not how far.
        let applied = self.applied.get(&host).copied().unwrap_or_default();
        if quorum.applied > 0 {
            self.applied.insert(host, quorum.applied);
        }
        if quorum.applied > 0 && quorum.applied < applied {
            return Some(format!("h{host} went back from entry {applied} to {} (I5)", quorum.applied));
        }
        if quorum.leader.is_empty() {
            return None;
        }
        let first = self.leaders.entry(quorum.term).or_insert_with(|| (quorum.leader.clone(), host));
        (first.0 != quorum.leader).then(|| {
            let (leader, told) = first;
            format!(
                "term {} has two leaders: {leader} says h{told}, {} says h{host} (I1)",
                quorum.term, quorum.leader
            )
        })
    }

    /// The host lost its place in Raft, and what it had of it: as a new member it begins anew.
    fn forget(&mut self, host: usize) {
        self.applied.remove(&host);
    }

    pub fn led(&self) -> usize {
        self.leaders.len()
    }
}

/// What those who watch the terms write to and read from together.
#[derive(Clone)]
pub struct Watch {
    pub terms: Arc<Mutex<Terms>>,
    /// Node ids, and the hosts they are on.
    pub nodes: Arc<BTreeMap<String, usize>>,
    /// The host that led when somebody last said so.
    pub leader: Arc<AtomicUsize>,
}

/// Asks one manager again and again; remembers which host leads.
pub async fn watch_terms(site: Arc<Site>, caller: Caller, Watch { terms, nodes, leader }: Watch) {
    while !site.is_over() {
        let answer = caller
            .control(LIMIT, |mut api| async move { api.get_cluster(v1::GetClusterRequest {}).await })
            .await;
        if site.begins_anew(caller.host) {
            terms.lock().forget(caller.host);
        } else if let Outcome::Answer(v1::GetClusterResponse { quorum: Some(quorum), .. }) = answer {
            if let Some(problem) = terms.lock().see(caller.host, &quorum) {
                site.recorder.problem(problem);
            }
            if let Some(host) = nodes.get(&quorum.leader) {
                leader.store(*host, Ordering::Relaxed);
            }
        }
        sleep(EVERY).await;
    }
}

/// The most any daemon took, in kB and in descriptors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    pub memory_kb: u64,
    pub descriptors: usize,
}

impl Taken {
    /// Looks at every daemon that runs now.
    pub fn look(&mut self, world: &World) {
        for pid in world.hosts().iter().filter_map(|host| host.daemon_pid().ok()) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
            let resident =
                resident.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or_default();
            let open = fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).unwrap_or_default();
            self.memory_kb = self.memory_kb.max(resident);
            self.descriptors = self.descriptors.max(open);
        }
    }

    pub fn problem(&self) -> Option<String> {
        let Self { memory_kb, descriptors } = *self;
        (memory_kb > MOST_MEMORY_KB || descriptors > MOST_DESCRIPTORS).then(|| {
            format!(
                "a daemon took {memory_kb} kB and {descriptors} descriptors; \
                 the bounds are {MOST_MEMORY_KB} and {MOST_DESCRIPTORS} (I18)"
            )
        })
    }
}

#[test]
fn two_leaders_of_one_term_and_what_goes_back_are_seen() {
    let quorum = |term, leader: &str| v1::Quorum { term, leader: leader.to_owned(), ..v1::Quorum::default() };
    let mut terms = Terms::default();
    assert_eq!(terms.see(1, &quorum(3, "a")), None);
    assert_eq!(terms.see(2, &quorum(3, "")), None);
    assert_eq!(terms.see(2, &quorum(0, "")), None);
    assert_eq!(terms.see(2, &quorum(4, "b")), None);
    assert!(terms.see(3, &quorum(4, "c")).is_some_and(|said| said.contains("I1")));
    assert!(terms.see(2, &quorum(3, "a")).is_some_and(|said| said.contains("I5")));
    assert_eq!(terms.led(), 2);
    let applied = |applied| v1::Quorum { applied, ..quorum(5, "") };
    assert_eq!(terms.see(4, &applied(9)), None);
    assert!(terms.see(4, &applied(8)).is_some_and(|said| said.contains("I5")));
    assert_eq!(terms.see(4, &applied(0)), None);
    assert!(terms.see(4, &applied(7)).is_some_and(|said| said.contains("I5")));
    terms.forget(4);
    assert_eq!(terms.see(4, &applied(3)), None);
}
