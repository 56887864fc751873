//! An engine with the journal in front: each change is noted, made, and durable as soon as its note is.
//!
//! Knows: what must be noted before what is made. Must not know: which engine it is, what the records hold.
//!
//! sled's flush goes through two more threads and waits for the disk twice; with the journal a batch costs one write and
//! one fdatasync, and the engine is flushed only when the journal is full. After a crash the engine may have any part of
//! what followed its last flush, and the journal all of it that anybody was told of: making all noted changes again, from
//! the first, leads to the last. A removal alone is not like that (what follows it would be put back by the notes before
//! it), so its note is on disk before it is made.

use std::path::Path;

use parking_lot::Mutex;

use super::engine::{Engine, EngineError};
use super::journal::Journal;
use super::redo::Redo;

/// The journal's file, beside the engine's own.
const FILE: &str = "journal";
/// Beyond this, the engine is flushed: the writes of some seconds under the heaviest load.
const CAPACITY: usize = 4 * 1024 * 1024;

pub struct Journaled<E: Engine> {
    engine: E,
    // Never contended: one thread writes.
    journal: Mutex<Journal>,
}

impl<E: Engine> Journaled<E> {
    /// Puts the journal in `dir` in front of the engine that has its files there, and makes again what the engine may
    /// lack. Blocks.
    pub fn open(engine: E, dir: &Path) -> Result<Self, EngineError> {
        Self::open_with(engine, dir, CAPACITY)
    }

    fn open_with(engine: E, dir: &Path, capacity: usize) -> Result<Self, EngineError> {
        let (journal, frames) =
            Journal::open(&dir.join(FILE), capacity).map_err(io("opening the log's journal"))?;
        for notes in &frames {
            redo(&engine, notes)?;
        }
        if !frames.is_empty() {
            engine.flush()?;
        }
        Ok(Self { engine, journal: Mutex::new(journal) })
    }

    fn change(&self, change: &Redo<'_>) -> Result<(), EngineError> {
        let mut journal = self.journal.lock();
        if !journal.fits(change.size()) {
            self.checkpoint(&mut journal)?;
        }
        let noted = journal.fits(change.size());
        if noted {
            journal.note(|frame| change.write(frame));
        }
        if matches!(change, Redo::RemoveFrom(_) | Redo::RemoveThrough(_)) {
            journal.sync().map_err(io("writing the log's journal"))?;
        }
        make(&self.engine, change)?;
        if noted { Ok(()) } else { self.checkpoint(&mut journal) }
    }

    /// The engine has everything on disk, and the journal begins anew.
    fn checkpoint(&self, journal: &mut Journal) -> Result<(), EngineError> {
        self.engine.flush()?;
        journal.begin_anew().map_err(io("beginning the log's journal anew"))
    }
}

fn redo(engine: &impl Engine, mut notes: &[u8]) -> Result<(), EngineError> {
    while !notes.is_empty() {
        let change = Redo::read(&mut notes)
            .ok_or_else(|| EngineError::Damaged("the journal notes a change that is none".to_owned()))?;
        make(engine, &change)?;
    }
    Ok(())
}

fn make(engine: &impl Engine, change: &Redo<'_>) -> Result<(), EngineError> {
    match *change {
        Redo::Put { index, value } => engine.put(index, value),
        Redo::RemoveFrom(first) => engine.remove_from(first),
        Redo::RemoveThrough(last) => engine.remove_through(last),
        Redo::Named { name, value } => engine.put_named(name, value),
    }
}

fn io(action: &'static str) -> impl Fn(std::io::Error) -> EngineError {
    move |source| EngineError::Io { action, source }
}

impl<E: Engine> Engine for Journaled<E> {
    fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError> {
        self.change(&Redo::Put { index, value })
    }

    fn read(&self, first: u64, last: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
        self.engine.read(first, last, max_bytes)
    }

    fn remove_from(&self, first: u64) -> Result<(), EngineError> {
        self.change(&Redo::RemoveFrom(first))
    }

    fn remove_through(&self, last: u64) -> Result<(), EngineError> {
        self.change(&Redo::RemoveThrough(last))
    }

    fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
        self.change(&Redo::Named { name, value })
    }

    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.named(name)
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.journal.lock().sync().map_err(io("writing the log's journal"))
    }
}

impl<E: Engine> Drop for Journaled<E> {
    /// An orderly end leaves nothing to make again, and a log that a `swarmd` without a journal can read.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let flushed = self
            .engine
            .flush()
            .and_then(|()| self.journal.get_mut().forget().map_err(io("emptying the log's journal")));
        if let Err(error) = flushed {
            tracing::warn!(%error, "the log was not flushed at its end; what it may lack is in its journal");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    enum Change {
        Put(u64, Vec<u8>),
        RemoveFrom(u64),
        RemoveThrough(u64),
        Named(&'static str, Vec<u8>),
    }

    /// What a series of changes leaves.
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Left {
        log: BTreeMap<u64, Vec<u8>>,
        names: BTreeMap<String, Vec<u8>>,
    }

    impl Left {
        fn by<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
            let mut left = Self::default();
            for change in changes {
                match change {
                    Change::Put(index, value) => drop(left.log.insert(*index, value.clone())),
                    Change::RemoveFrom(first) => left.log.retain(|index, _| index < first),
                    Change::RemoveThrough(last) => left.log.retain(|index, _| index > last),
                    Change::Named(name, value) => drop(left.names.insert((*name).to_owned(), value.clone())),
                }
            }
            left
        }
    }

    /// An engine that remembers every change made, and how many of them are surely on disk.
    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<(Vec<Change>, usize)>>);

    impl Engine for Fake {
        fn put(&self, index: u64, value: &[u8]) -> Result<(), EngineError> {
            self.0.lock().0.push(Change::Put(index, value.to_vec()));
            Ok(())
        }
        fn read(&self, _: u64, _: u64, _: usize) -> Result<Vec<(u64, Vec<u8>)>, EngineError> {
            Ok(Left::by(&self.0.lock().0).log.into_iter().collect())
        }
        fn remove_from(&self, first: u64) -> Result<(), EngineError> {
            self.0.lock().0.push(Change::RemoveFrom(first));
            Ok(())
        }
        fn remove_through(&self, last: u64) -> Result<(), EngineError> {
            self.0.lock().0.push(Change::RemoveThrough(last));
            Ok(())
        }
        fn put_named(&self, name: &str, value: &[u8]) -> Result<(), EngineError> {
            let name = if name == "vote" { "vote" } else { "purged" };
            self.0.lock().0.push(Change::Named(name, value.to_vec()));
            Ok(())
        }
        fn named(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
            Ok(Left::by(&self.0.lock().0).names.remove(name))
        }
        fn flush(&self) -> Result<(), EngineError> {
            let mut engine = self.0.lock();
            engine.1 = engine.0.len();
            Ok(())
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Append(u8),
        Truncate(u64),
        Purge(u64),
        Vote(u8),
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..60u8).prop_map(Step::Append),
            1 => (1..6u64).prop_map(Step::Truncate),
            1 => (1..6u64).prop_map(Step::Purge),
            1 => any::<u8>().prop_map(Step::Vote),
            3 => Just(Step::Flush),
        ]
    }

    /// The log's end and beginning as the steps go on; every step as the changes it makes.
    fn changes(step: &Step, (first, next): (&mut u64, &mut u64), number: u8) -> Vec<Change> {
        match step {
            Step::Append(size) => {
                *next += 1;
                vec![Change::Put(*next - 1, vec![number; usize::from(*size)])]
            }
            Step::Truncate(back) => {
                *next = next.saturating_sub(*back).max(*first);
                vec![Change::RemoveFrom(*next)]
            }
            Step::Purge(more) if *first < *next => {
                *first = (*first + more).min(*next);
                vec![
                    Change::Named("purged", (*first - 1).to_be_bytes().to_vec()),
                    Change::RemoveThrough(*first - 1),
                ]
            }
            Step::Vote(vote) => vec![Change::Named("vote", vec![*vote])],
            Step::Purge(_) | Step::Flush => Vec::new(),
        }
    }

    fn make_it(engine: &impl Engine, change: &Change) {
        match change {
            Change::Put(index, value) => engine.put(*index, value),
            Change::RemoveFrom(first) => engine.remove_from(*first),
            Change::RemoveThrough(last) => engine.remove_through(*last),
            Change::Named(name, value) => engine.put_named(name, value),
        }
        .unwrap();
    }

    proptest! {
        /// After any steps the power is cut: the journal has what was synced, the engine what it flushed and any part of
        /// what it was told since. What is found then is what was there at some moment after the last flush that
        /// returned; names may be of another such moment than the log, but never behind a purge.
        #[test]
        fn a_power_cut_loses_nothing_that_was_flushed(
            steps in prop::collection::vec(step(), 1..80),
            capacity in 200..1500usize,
            kept in any::<prop::sample::Index>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let fake = Fake::default();
            let engine = Journaled::open_with(fake.clone(), dir.path(), capacity).unwrap();
            let (mut first, mut next) = (0, 0);
            let (mut all, mut promised) = (Vec::new(), 0);
            for (number, step) in steps.iter().enumerate() {
                for change in changes(step, (&mut first, &mut next), number as u8) {
                    make_it(&engine, &change);
                    all.push(change);
                }
                if matches!(step, Step::Flush) {
                    engine.flush().unwrap();
                    promised = all.len();
                }
            }
            // As a power cut: no destructor runs.
            std::mem::forget(engine);
            let (made, flushed) = { let engine = fake.0.lock(); (engine.0.clone(), engine.1) };
            prop_assert_eq!(&made, &all);
            let survived = flushed + kept.index(made.len() - flushed + 1);
            let after = Fake(Arc::new(Mutex::new((made[..survived].to_vec(), survived))));
            let engine = Journaled::open_with(after.clone(), dir.path(), capacity).unwrap();
            let found = Left::by(&after.0.lock().0);
            let moments: Vec<Left> = (promised..=all.len()).map(|count| Left::by(&all[..count])).collect();
            prop_assert!(moments.iter().any(|then| then.log == found.log), "{found:?}");
            prop_assert!(moments.iter().any(|then| then.names == found.names), "{found:?}");
            if let (Some(purged), Some(begins)) = (found.names.get("purged"), found.log.keys().next()) {
                let purged = u64::from_be_bytes(purged.as_slice().try_into().unwrap());
                prop_assert!(*begins <= purged + 1, "entries {purged}..{begins} are gone");
            }
            drop(engine);
            let again = Journaled::open_with(after.clone(), dir.path(), capacity).unwrap();
            prop_assert_eq!(Left::by(&after.0.lock().0), found, "an orderly end leaves nothing to make again");
            drop(again);
        }
    }
}
