//! The newest assignment in memory. Knows: its revision, and the names in it. Must not know: sessions or files.

use crate::dns::Zones;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swarm_model::{Assigned, Assignment, ChainError, Kin, Lineage, Revision, Role};
use tokio::sync::watch;

/// Readers take it as it is; names are updated together with it, so that both tell of the same revision.
pub(crate) struct Assignments {
    held: RwLock<Assigned>,
    pub(crate) zones: Zones,
    /// `None` until something was loaded or received: then nothing may be taken out of the kernel yet.
    revision: watch::Sender<Option<Revision>>,
    /// The revision in the file.
    pub(super) written: watch::Sender<Option<Revision>>,
    /// False while what is held came from the file alone and a manager may still say better.
    confirmed: AtomicBool,
    /// The epoch in which the cluster was met otherwise than by an assignment.
    expected: watch::Sender<Option<Expected>>,
    /// The role wanted for this node, as a manager said it in this life: a file may be older than the certificate.
    role: watch::Sender<Option<Role>>,
    /// PEM: the roots that count, as a manager said it in this life; empty until then.
    roots: watch::Sender<String>,
}

/// An epoch to go to. A past one counts only where an operator has said so: as long as nothing was assigned there.
#[derive(Clone)]
pub(crate) struct Expected {
    lineage: Lineage,
    back: bool,
}

impl Assignments {
    pub(crate) fn new(loaded: Option<Assigned>) -> Self {
        let revision = loaded.as_ref().map(|assigned| assigned.revision);
        let held = loaded.unwrap_or_default();
        let zones = Zones::default();
        zones.reset(&held);
        Self {
            held: RwLock::new(held),
            zones,
            revision: watch::Sender::new(revision),
            written: watch::Sender::new(revision),
            confirmed: AtomicBool::new(false),
            expected: watch::Sender::new(None),
            role: watch::Sender::new(None),
            roots: watch::Sender::new(String::new()),
        }
    }

    /// Takes the next message of the chain; on a gap nothing is changed.
    pub(crate) fn take(&self, assignment: Assignment) -> Result<(), ChainError> {
        let mut held = self.held.write();
        let changes = match &assignment {
            Assignment::Complete(_) => None,
            Assignment::Incremental { changes, .. } => Some(changes.clone()),
        };
        held.take(assignment)?;
        // Without a word to those who wait for another epoch: this is it.
        self.expected.send_if_modified(|expected| {
            let arrived =
                |expected: &Expected| expected.back && expected.lineage.epoch == held.defaults.lineage.epoch;
            *expected = expected.take().filter(|expected| !arrived(expected));
            false
        });
        match changes {
            None => self.zones.reset(&held),
            Some(changes) => self.zones.follow(held.revision, &changes),
        }
        self.confirmed.store(true, Ordering::Release);
        self.revision.send_replace(Some(held.revision));
        self.role.send_if_modified(|role| std::mem::replace(role, held.role) != held.role);
        self.roots.send_if_modified(|roots| {
            let new = *roots != held.defaults.roots;
            roots.clone_from(&held.defaults.roots);
            new
        });
        Ok(())
    }

    /// From now on only managers of this epoch count, and of those that come from it.
    pub(crate) fn expect(&self, lineage: Lineage) {
        self.go_to(Expected { lineage, back: false });
    }

    /// The same of an epoch that the one here came from, whose managers have gone on.
    pub(crate) fn go_back(&self, lineage: Lineage) {
        self.go_to(Expected { lineage, back: true });
    }

    fn go_to(&self, expected: Expected) {
        if self.lineage().epoch != expected.lineage.epoch {
            self.expected.send_replace(Some(expected));
        }
    }

    pub(crate) fn watch_expected(&self) -> watch::Receiver<Option<Expected>> {
        self.expected.subscribe()
    }

    /// The epoch of the cluster that this host keeps to.
    pub(crate) fn lineage(&self) -> Lineage {
        let held = self.held.read().defaults.lineage.clone();
        let expected = self.expected.borrow().clone();
        let counts = |expected: &Expected| expected.back || held.sees(&expected.lineage) != Kin::Past;
        expected.filter(counts).map_or(held, |expected| expected.lineage)
    }

    pub(crate) fn watch_role(&self) -> watch::Receiver<Option<Role>> {
        self.role.subscribe()
    }

    pub(crate) fn watch_roots(&self) -> watch::Receiver<String> {
        self.roots.subscribe()
    }

    /// Looks at it; must not block.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Assigned) -> T) -> T {
        look(&self.held.read())
    }

    pub(crate) fn revision(&self) -> Option<Revision> {
        *self.revision.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<Revision>> {
        self.revision.subscribe()
    }

    /// Whether the kernel may be made to match what is held: a file may be a moment older than the kernel.
    pub(crate) fn may_act(&self) -> bool {
        self.confirmed.load(Ordering::Acquire) && self.revision().is_some()
    }

    /// No manager came in time to say better: what was loaded counts.
    pub(crate) fn act_without_manager(&self) {
        self.confirmed.store(true, Ordering::Release);
    }

    /// Waits until the file holds at least `revision`; false when it did not get there in time.
    pub(crate) async fn saved(&self, revision: Revision, within: Duration) -> bool {
        let mut written = self.written.subscribe();
        let there = written.wait_for(|written| written.is_some_and(|written| written >= revision));
        tokio::time::timeout(within, there).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Waits until at least `revision` is held; false when it did not come in time.
    pub(crate) async fn reached(&self, revision: Revision, within: Duration) -> bool {
        let mut watch = self.watch();
        let reached = watch.wait_for(|held| held.is_some_and(|held| held >= revision));
        tokio::time::timeout(within, reached).await.is_ok_and(|answer| answer.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::DriverDefaults;

    fn whole(lineage: &Lineage) -> Assignment {
        let defaults = DriverDefaults { lineage: lineage.clone(), ..DriverDefaults::default() };
        Assignment::Complete(Assigned { defaults, ..Assigned::default() })
    }

    #[test]
    fn an_operator_takes_a_node_back_to_the_past_of_a_branch_once() {
        let (past, branch, later) =
            (Lineage::default(), Lineage::default().follow(7), Lineage::default().follow(8));
        let held = Assignments::new(None);
        held.take(whole(&branch)).unwrap();
        held.expect(past.clone());
        assert_eq!(held.lineage(), branch, "the past counts for nothing by itself");
        held.go_back(past.clone());
        assert_eq!(held.lineage(), past);
        held.take(whole(&past)).unwrap();
        assert_eq!(held.lineage(), past);
        // From there the cluster goes on as ever.
        held.take(whole(&later)).unwrap();
        assert_eq!(held.lineage(), later);
    }
}
