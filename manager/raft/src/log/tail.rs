//! What the log looks like from above: its bounds, and its newest entries in memory.
//!
//! Knows: which entries exist, and which of them are only here so far. Must not know: threads or disks.
//!
//! An entry is readable from the moment it is appended; the writer puts it on disk later. Until then it must stay
//! here; afterwards it may, because the newest entries are the ones that are read.

use std::collections::BTreeMap;

use openraft::EntryPayload;

use crate::types::{Entry, LogId, next_index};

/// Written entries beyond this many bytes leave memory, oldest first.
const KEEP_BYTES: usize = 1024 * 1024;

/// Where to read a range of the log.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// First index that exists in the range.
    pub first: u64,
    /// `first..from_memory` is on disk.
    pub from_memory: u64,
    pub memory: Vec<Entry>,
}

/// Bounds and newest entries of the log.
#[derive(Debug, Default)]
pub struct Tail {
    purged: Option<LogId>,
    last: Option<LogId>,
    /// Index of the first entry. A log of our own begins at 0; openraft's conformance suite begins where it likes.
    first: u64,
    entries: BTreeMap<u64, Entry>,
    bytes: usize,
    /// Entries below this index are on disk.
    written: u64,
    /// Counts truncations: an index means something else after one.
    generation: u64,
}

impl Tail {
    /// The tail of a log that lies on disk completely.
    pub fn new(purged: Option<LogId>, last: Option<LogId>) -> Self {
        Self { first: next_index(&purged), written: next_index(&last), purged, last, ..Self::default() }
    }

    pub fn purged(&self) -> Option<LogId> {
        self.purged
    }

    pub fn last(&self) -> Option<LogId> {
        self.last
    }

    /// The first entry, and where the next one would be.
    pub fn range(&self) -> (u64, u64) {
        (self.first, next_index(&self.last))
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Adds an entry; false if it does not follow the last one.
    pub fn append(&mut self, entry: Entry) -> bool {
        if self.last.is_none() {
            self.first = entry.log_id.index;
            self.written = self.first;
        } else if entry.log_id.index != next_index(&self.last) {
            return false;
        }
        self.bytes += size(&entry);
        self.last = Some(entry.log_id);
        self.entries.insert(entry.log_id.index, entry);
        true
    }

    /// Forgets everything after `last`, which must be an entry of the log or the last purged one; beyond the end
    /// there is nothing to forget.
    pub fn truncate_after(&mut self, last: Option<LogId>) {
        if next_index(&last) >= next_index(&self.last) {
            return;
        }
        let removed = self.entries.split_off(&next_index(&last));
        self.bytes -= removed.values().map(size).sum::<usize>();
        self.written = self.written.min(next_index(&last));
        self.last = last;
        self.generation += 1;
    }

    /// Forgets everything up to `through`, which may lie beyond the last entry (after a snapshot from elsewhere).
    pub fn purge(&mut self, through: LogId) {
        if next_index(&self.purged) > through.index {
            return;
        }
        self.purged = Some(through);
        self.first = through.index + 1;
        if next_index(&self.last) <= through.index {
            self.last = Some(through);
        }
        self.written = self.written.max(through.index + 1);
        while self.entries.first_key_value().is_some_and(|(index, _)| *index <= through.index) {
            self.drop_first();
        }
    }

    /// Notes that everything up to `last` of that generation is on disk, and lets old entries go.
    pub fn written(&mut self, generation: u64, last: u64) {
        if generation != self.generation {
            return;
        }
        self.written = self.written.max(last + 1);
        while self.bytes > KEEP_BYTES
            && self.entries.first_key_value().is_some_and(|(index, _)| *index < self.written)
        {
            self.drop_first();
        }
    }

    /// Where `first..end` is to be read, as far as it exists.
    pub fn plan(&self, first: u64, end: u64) -> Plan {
        let first = first.max(self.first);
        let end = end.min(next_index(&self.last)).max(first);
        let begin = self.entries.first_key_value().map_or(end, |(index, _)| *index).clamp(first, end);
        let memory = self.entries.range(begin..end).map(|(_, entry)| entry.clone()).collect();
        Plan { first, from_memory: begin, memory }
    }

    fn drop_first(&mut self) {
        if let Some((_, entry)) = self.entries.pop_first() {
            self.bytes -= size(&entry);
        }
    }
}

/// Bytes an entry takes, roughly: what bounds are counted in.
pub fn size(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        EntryPayload::Normal(command) => command.0.len(),
        EntryPayload::Blank => 0,
        EntryPayload::Membership(membership) => 128 * membership.nodes().count(),
    };
    payload + 64
}

#[cfg(test)]
mod tests {
    use openraft::vote::RaftLeaderId;
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Command, Types};

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(openraft::alias::LeaderIdOf::<Types>::new(term, 1).to_committed(), index)
    }

    fn entry(term: u64, index: u64, bytes: usize) -> Entry {
        Entry { log_id: id(term, index), payload: EntryPayload::Normal(Command(vec![7; bytes].into())) }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Append(usize),
        Written(u64),
        Truncate(u64),
        Purge(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..400_000).prop_map(Step::Append),
            3 => (0u64..4).prop_map(Step::Written),
            1 => (0u64..6).prop_map(Step::Truncate),
            1 => (0u64..6).prop_map(Step::Purge),
        ]
    }

    proptest! {
        /// Against a plain list: what is in memory and what is on disk together are always the whole log, and
        /// nothing that is not on disk yet has left memory.
        #[test]
        fn nothing_is_lost_between_memory_and_disk(steps in prop::collection::vec(step(), 1..60)) {
            let (mut tail, mut term) = (Tail::default(), 1);
            let mut all: Vec<LogId> = Vec::new();
            let (mut first, mut disk) = (0u64, 0u64);
            for step in steps {
                let next = first + all.len() as u64;
                match step {
                    Step::Append(bytes) => {
                        prop_assert!(tail.append(entry(term, next, bytes)));
                        prop_assert!(!tail.append(entry(term, next, bytes)));
                        all.push(id(term, next));
                    }
                    Step::Written(more) => {
                        disk = (disk + more).min(next);
                        if disk > 0 {
                            tail.written(tail.generation(), disk - 1);
                            tail.written(tail.generation() + 1, u64::MAX - 1);
                        }
                    }
                    Step::Truncate(back) => {
                        let keep = all.len().saturating_sub(back as usize);
                        if keep > 0 {
                            all.truncate(keep);
                            term += 1;
                            tail.truncate_after(all.last().copied());
                            disk = disk.min(first + keep as u64);
                        }
                    }
                    Step::Purge(more) => {
                        let gone = (more as usize).min(all.len().saturating_sub(1));
                        if gone > 0 {
                            tail.purge(all[gone - 1]);
                            all.drain(..gone);
                            first += gone as u64;
                            disk = disk.max(first);
                        }
                    }
                }
                let plan = tail.plan(0, u64::MAX);
                prop_assert_eq!(plan.first, first);
                prop_assert!(plan.from_memory <= disk.max(first), "unwritten entries left memory");
                let in_memory: Vec<LogId> = plan.memory.iter().map(|e| e.log_id).collect();
                prop_assert_eq!(&all[(plan.from_memory - first) as usize..], &in_memory[..]);
                prop_assert_eq!(tail.last(), all.last().copied());
            }
        }
    }

    #[test]
    fn a_snapshot_from_elsewhere_moves_the_log_beyond_its_end() {
        let mut tail = Tail::default();
        assert!(tail.append(entry(1, 0, 10)));
        tail.purge(id(3, 40));
        assert_eq!((tail.purged(), tail.last()), (Some(id(3, 40)), Some(id(3, 40))));
        assert!(tail.append(entry(3, 41, 10)));
        assert_eq!(tail.plan(0, 100).memory.len(), 1);
    }
}
