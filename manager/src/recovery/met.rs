//! Other epochs of this cluster that this manager has heard of, and what it makes of them.
//!
//! Knows: when the cluster has gone on without this manager, when there are two of it, and what an operator is told. Must
//! not know: who asks whom.

use super::kept::{Kept, WordOf};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use swarm_model::{Epoch, Kin, Lineage, NodeId, WAY_OUT};

/// A quorum that has been there for so long when a later epoch is met was there without it. One that forms at that moment
/// is of managers that have just found together again.
const DECIDES_FOR: Duration = Duration::from_secs(1);
/// A warning stays so long after the last word from there.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// From the first question to the others until this manager is another one, or has been given up.
const GOES_ALONE_WITHIN: Duration = Duration::from_secs(30);
/// Others that are warned of; who forces more clusters than this has been told.
const MOST_SEEN: usize = 16;

pub struct Met {
    dir: PathBuf,
    inner: Mutex<Inner>,
    /// Since when an operator has this manager go on without the others.
    going_alone: Mutex<Option<Instant>>,
}

struct Inner {
    kept: Kept,
    seen: Vec<Sighting>,
    /// The latest met of those that came from this manager's own.
    later: Option<Later>,
    /// Since when a quorum is known to be there.
    decides_since: Option<Instant>,
    /// Whether the other managers were asked once since this one started.
    looked: bool,
}

/// A later epoch in which a manager on record was found by this one.
struct Later {
    lineage: Lineage,
    node: NodeId,
    who: String,
}

/// What a manager says to this one at the moment, of whom something is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It is none on record (any more): whatever it said once counts for nothing.
    NoManager,
    Silent,
    Said(Lineage),
}

struct Sighting {
    lineage: Lineage,
    who: String,
    last: Instant,
}

/// What a manager does about a later epoch of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Follow,
    /// The managers here have a quorum, which nobody else may take from them.
    Stay,
}

/// `looked`: the others were asked before since this manager started. Managers that come back together have a quorum within
/// a second, and must hear first that the cluster went on without them.
fn judge(looked: bool, decides_for: Option<Duration>) -> Verdict {
    match decides_for {
        Some(decides_for) if looked && decides_for >= DECIDES_FOR => Verdict::Stay,
        _ => Verdict::Follow,
    }
}

impl Met {
    /// What was kept in this directory of Raft counts again.
    pub fn load(dir: PathBuf) -> Self {
        let kept = Kept::load(&dir);
        let inner = Inner { kept, seen: Vec::new(), later: None, decides_since: None, looked: false };
        Self { dir, inner: Mutex::new(inner), going_alone: Mutex::default() }
    }

    /// Somebody says that `who`, with its address, lives in `said`; this manager lives in `own`. Only ever warned of.
    pub fn hear(&self, own: &Lineage, said: Lineage, who: &str) {
        if !matches!(own.sees(&said), Kin::Same | Kin::Past) {
            self.inner.lock().see(own, said, who);
        }
    }

    /// As `hear`, where this manager has asked `node` itself, which is a manager on record: it may be followed.
    pub fn confirm(&self, own: &Lineage, said: Lineage, (node, who): (NodeId, &str)) {
        let mut inner = self.inner.lock();
        if inner.kept.word_of.is_none() && inner.kept.follows.as_ref() == Some(&said) {
            inner.kept.word_of = Some(WordOf::Manager(node));
            inner.store(&self.dir);
        }
        if own.sees(&said) == Kin::Later {
            let latest = inner.later.as_ref().map_or(own, |later| &later.lineage);
            if matches!(latest.sees(&said), Kin::Later | Kin::Same) {
                inner.later = Some(Later { lineage: said.clone(), node, who: who.to_owned() });
            }
        }
        drop(inner);
        self.hear(own, said, who);
    }

    /// `who` decides in a past of this manager's own epoch, which those there have met, and not followed.
    pub fn hear_past(&self, own: &Lineage, said: Lineage, stayed: &[Epoch], who: &str) {
        if own.sees(&said) == Kin::Past && stayed.contains(&own.epoch) {
            self.inner.lock().see(own, said, who);
        }
    }

    /// A manager of this one's own epoch says that those who decide there have stayed when they met these.
    pub fn hear_stayed(&self, epochs: impl IntoIterator<Item = Epoch>) {
        let mut inner = self.inner.lock();
        let before = inner.kept.stayed.len();
        epochs.into_iter().for_each(|epoch| inner.kept.stay(epoch));
        if inner.kept.stayed.len() > before {
            inner.store(&self.dir);
        }
    }

    /// Whether a majority of the managers decides, as just found out.
    pub fn quorum_is(&self, there: bool) {
        let since = &mut self.inner.lock().decides_since;
        *since = there.then(|| since.unwrap_or_else(Instant::now));
    }

    /// The other managers have been asked, by one who lives in `own`; what to follow, if anything.
    pub fn looked(&self, own: &Lineage, word: &dyn Fn(NodeId) -> Word) -> Option<Lineage> {
        let mut inner = self.inner.lock();
        let looked = std::mem::replace(&mut inner.looked, true);
        let decides_for = inner.decides_since.map(|since| since.elapsed());
        if decides_for.is_some_and(|long| long >= DECIDES_FOR) && inner.kept.is_taken_back(word) {
            inner.drop_follows(&self.dir);
        }
        if let Some(follows) = &inner.kept.follows {
            return Some(follows.clone());
        }
        if inner.later.as_ref().is_some_and(|later| word(later.node) == Word::NoManager) {
            inner.later = None;
        }
        let Later { lineage: later, node, who } = inner.later.as_ref()?;
        if own.sees(later) != Kin::Later || inner.kept.stayed.contains(&later.epoch) {
            return None;
        }
        let (later, node, who) = (later.clone(), *node, who.clone());
        match judge(looked, decides_for) {
            Verdict::Follow => {
                inner.kept.follow(later.clone(), WordOf::Manager(node));
                inner.store(&self.dir);
                Some(later)
            }
            Verdict::Stay => {
                tracing::warn!("{}", went_on(own, &later, &who));
                inner.kept.stay(later.epoch);
                inner.store(&self.dir);
                None
            }
        }
    }

    /// An operator says that this manager follows, whoever decides here.
    pub fn follow(&self, later: Lineage) {
        let mut inner = self.inner.lock();
        inner.kept.follow(later, WordOf::Operator);
        inner.store(&self.dir);
    }

    pub fn follows(&self) -> Option<Lineage> {
        self.inner.lock().kept.follows.clone()
    }

    pub fn stayed(&self) -> Vec<Epoch> {
        self.inner.lock().kept.stayed.clone()
    }

    pub fn going_alone(&self, now: bool) {
        *self.going_alone.lock() = now.then(Instant::now);
    }

    pub fn is_going_alone(&self) -> bool {
        // It either is another manager soon, or was given up.
        self.going_alone.lock().is_some_and(|since| since.elapsed() < GOES_ALONE_WITHIN)
    }

    pub fn decides(&self) -> bool {
        self.inner.lock().decides_since.is_some()
    }

    /// Sentences for an operator.
    pub fn warnings(&self, own: &Lineage) -> Vec<String> {
        let inner = self.inner.lock();
        let recent = inner.seen.iter().filter(|seen| seen.last.elapsed() < REMEMBERED_FOR);
        let warning = |Sighting { lineage, who, .. }: &Sighting| match own.sees(lineage) {
            Kin::Later if inner.kept.stayed.contains(&lineage.epoch) => Some(went_on(own, lineage, who)),
            Kin::Apart => Some(apart(own, lineage, who)),
            Kin::Same | Kin::Past | Kin::Later => None,
        };
        let past = recent.clone().filter(|seen| own.sees(&seen.lineage) == Kin::Past);
        let past: Vec<&Sighting> = past.collect();
        recent.filter_map(warning).chain(left_behind(own, &past)).collect()
    }
}

impl Inner {
    fn see(&mut self, own: &Lineage, lineage: Lineage, who: &str) {
        let last = Instant::now();
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.who == who && seen.lineage == lineage) {
            seen.last = last;
            return;
        }
        if own.sees(&lineage) == Kin::Apart {
            tracing::warn!("{}", apart(own, &lineage, who));
        }
        // The latest word of each counts.
        self.seen.retain(|seen| seen.who != who && seen.last.elapsed() < REMEMBERED_FOR);
        if self.seen.len() < MOST_SEEN {
            self.seen.push(Sighting { lineage, who: who.to_owned(), last });
        }
    }

    fn drop_follows(&mut self, dir: &std::path::Path) {
        let epoch = self.kept.follows.take().map(|follows| follows.to_string()).unwrap_or_default();
        (self.kept.word_of, self.later) = (None, None);
        self.store(dir);
        tracing::warn!(
            epoch,
            "no manager of this cluster says (any more) that it went on without the managers here, which have a quorum: \
             nothing is followed"
        );
    }

    fn store(&self, dir: &std::path::Path) {
        if let Err(error) = self.kept.store(dir) {
            tracing::warn!(%error, "what was met of other epochs could not be written down");
        }
    }
}

/// What the manager that was forced is told of those that it went on without, and that decided all the while.
fn left_behind(own: &Lineage, past: &[&Sighting]) -> Option<String> {
    let there = past.first()?.lineage.epoch;
    let names: Vec<&str> = past.iter().map(|seen| seen.who.as_str()).collect();
    let who = match names.as_slice() {
        [one] => format!("the manager {one}"),
        more => format!("the managers {}", more.join(" and ")),
    };
    Some(format!(
        "this cluster, at epoch {own}, was forced without {who}: a majority decides there at epoch {there}, all the while, and \
         goes on. To keep what is there, run `swarmctl leave --force` on the managers here and `swarmctl rejoin` with an \
         address of a manager there on the workers; to keep what is here, `swarmctl rejoin` with the address of this manager \
         on each manager there"
    ))
}

fn went_on(own: &Lineage, later: &Lineage, who: &str) -> String {
    format!(
        "the manager {who} went on without the managers here: it is at epoch {later}, this cluster at {own}. The managers \
         here have a quorum and go on: run `swarmctl leave --force` there to keep this cluster (and \
         `swarmctl rejoin` with the address of a manager here on workers that followed it), or `swarmctl rejoin` with its \
         address on each manager here to follow it and lose what was decided here since"
    )
}

fn apart(own: &Lineage, other: &Lineage, who: &str) -> String {
    format!(
        "the manager {who} lives in another branch of this cluster: it is at epoch {other}, this one at {own}, and each went on \
         without the other. {WAY_OUT}"
    )
}

#[cfg(test)]
#[path = "met_tests.rs"]
mod tests;
