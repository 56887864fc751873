//! Everything there is in one world, and how time and the replicas go on in it.

use crate::calls::Call;
use crate::log::Log;
use crate::raft::Group;
use crate::replica::{Replica, Step};
use crate::rng::Rng;
use crate::streams::Stream;
use crate::watched::Watched;
use crate::worker::Worker;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use swarm_model::RequestId;
use swarm_state::Command;

/// How much of what led to a failure is told.
const STORY: usize = 60;

pub struct World {
    pub rng: Rng,
    pub now_ms: u64,
    pub log: Log,
    pub replicas: Vec<Replica>,
    pub group: Group,
    /// The last number given out in Raft.
    pub raft_ids: u64,
    pub streams: Vec<Stream>,
    pub workers: Vec<Worker>,
    pub calls: Vec<Call>,
    pub late: Vec<(RequestId, Command)>,
    pub watched: Watched,
    pub faults: bool,
    /// What the first managers knew.
    pub features: u32,
    /// How often what happened.
    pub tally: BTreeMap<String, u64>,
    story: VecDeque<String>,
}

impl World {
    /// Empty: `found` comes next.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            now_ms: 1_700_000_000_000,
            log: Log::default(),
            replicas: Vec::new(),
            group: Group::default(),
            raft_ids: 0,
            streams: Vec::new(),
            workers: Vec::new(),
            calls: Vec::new(),
            late: Vec::new(),
            watched: Watched::default(),
            faults: false,
            features: 0,
            tally: BTreeMap::new(),
            story: VecDeque::new(),
        }
    }

    pub fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    pub fn tell(&mut self, what: fmt::Arguments<'_>) {
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back(what.to_string());
    }

    pub fn story(&self) -> String {
        self.story.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Its clock stamps entries.
    pub fn leader(&self) -> Option<&Replica> {
        self.leader_at().map(|at| &self.replicas[at])
    }

    /// One replica goes on by up to `most` entries.
    pub fn advance(&mut self, at: usize, most: usize) -> Result<(), String> {
        for _ in 0..most {
            // Whoever is no member of Raft is sent nothing.
            if !self.replicas[at].is_reached() || !self.group.has(self.replicas[at].raft_id) {
                break;
            }
            match self.replicas[at].step(&self.log)? {
                Step::Nothing => break,
                Step::Applied(events) => self.note(at, &events),
                Step::NeedsSnapshot => {
                    self.install(at)?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn install(&mut self, at: usize) -> Result<(), String> {
        let far_enough =
            |replica: &&Replica| replica.is_reached() && replica.state.revision() >= self.log.floor;
        let Some(source) = self.replicas.iter().find(far_enough).map(|replica| replica.state.clone()) else {
            return Ok(());
        };
        self.replicas[at].install(&source)?;
        self.start_over(at);
        self.count("snapshot installed");
        self.tell(format_args!("replica {at} took a snapshot at {}", source.revision()));
        Ok(())
    }
}
