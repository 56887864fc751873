//! What clients see of nodes' labels, written and compared-and-set by revision, and read at any manager behind a read
//! index: a history, judged in the end. Knows who saw what when; must not know how it came about.

use crate::calls::About;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use swarm_model::{Labels, NodeId, NodeUpdate, RequestId, Revision};
use swarm_state::{Command, Refusal, Reply, State, UpdateNode};
use swarm_tests::linear::{Answer, Broken, Call, History, Op, Returned, judge};

const LABEL: &str = "sim";

#[derive(Default)]
pub struct Watched {
    calls: Vec<Call>,
    asked: BTreeMap<RequestId, Asked>,
    /// All that were ever asked.
    requests: BTreeSet<RequestId>,
    reads: Vec<Reading>,
    /// What was last read of a node.
    seen: BTreeMap<NodeId, (Revision, Option<String>)>,
    /// When a node's revision went on last for another reason than its label.
    moved: BTreeMap<NodeId, Revision>,
    /// Goes on with everything that is noted.
    now: u64,
}

struct Asked {
    node: NodeId,
    op: Op,
    begun: u64,
}

struct Reading {
    replica: usize,
    node: NodeId,
    /// Everything up to here must be in the answer.
    index: Revision,
    begun: u64,
}

impl Watched {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    pub fn asks(&self, request: &RequestId) -> bool {
        self.requests.contains(request)
    }

    fn note(&mut self, node: NodeId, op: Op, (invoked_us, answer): (u64, Option<Answer>)) {
        let at_us = self.tick();
        let returned = answer.map(|answer| Returned { at_us, answer });
        self.calls.push(Call { client: 0, key: format!("label of {node}"), op, invoked_us, returned });
    }

    pub fn answered(&mut self, request: &RequestId, reply: &Reply) {
        let Some(Asked { node, op, begun }) = self.asked.remove(request) else { return };
        match reply {
            Reply::Refused(Refusal::NodeChanged { expected, .. })
                if self.moved.get(&node).is_none_or(|moved| moved <= expected) =>
            {
                self.note(node, op, (begun, Some(Answer::Refused)));
            }
            // Nothing was changed, for a reason that the label has no part in.
            Reply::Refused(_) => {}
            _ => self.note(node, op, (begun, Some(Answer::Done))),
        }
    }

    pub fn given_up(&mut self, request: &RequestId) {
        if let Some(Asked { node, op, begun }) = self.asked.remove(request) {
            self.note(node, op, (begun, None));
        }
    }

    /// Who read at this replica hears nothing more.
    pub fn lost(&mut self, replica: usize) {
        self.reads.retain(|read| read.replica != replica);
    }

    fn read(&mut self, node: NodeId, begun: u64, state: &State) {
        let Some(record) = state.node(&node) else { return };
        let value = record.labels.get(LABEL).cloned();
        self.seen.insert(node, (record.revision, value.clone()));
        self.note(node, Op::Read, (begun, Some(Answer::Value(value))));
    }
}

impl World {
    /// Of the newest entry: whose revision it moved, unless all it did was to write a label.
    pub fn note_moved(&mut self, command: &Command) {
        if matches!(command, Command::UpdateNode(asked) if asked.update.role.is_none()) {
            return;
        }
        let end = self.log.end();
        let moved = self.log.truth.nodes().filter(|node| node.revision == end);
        self.watched.moved.extend(moved.map(|node| (node.id, end)));
    }

    pub fn write_label(&mut self) {
        let at = self.rng.below(self.workers.len());
        let node = self.workers[at].node;
        let begun = self.watched.tick();
        let value = format!("v{begun}");
        let seen = self.watched.seen.get(&node).filter(|_| self.rng.percent(70)).cloned();
        let (if_revision, op) = match seen {
            Some((revision, from)) => (Some(revision), Op::Swap { from, to: value.clone() }),
            None => (None, Op::Write(value.clone())),
        };
        let update =
            NodeUpdate { labels_add: Labels::from([(LABEL.to_owned(), value)]), ..NodeUpdate::default() };
        let request = self.call(About::Node, Command::UpdateNode(UpdateNode { node, update, if_revision }));
        self.watched.requests.insert(request);
        self.watched.asked.insert(request, Asked { node, op, begun });
    }

    /// Begins to read at any manager that reaches the leader: from now on it has to know what is in the log now.
    pub fn read_label(&mut self) {
        let (replica, worker) = (self.rng.below(self.replicas.len()), self.rng.below(self.workers.len()));
        if self.decides()
            && self.replicas[replica].is_reached()
            && self.group.has(self.replicas[replica].raft_id)
        {
            let (node, index, begun) = (self.workers[worker].node, self.log.end(), self.watched.tick());
            self.watched.reads.push(Reading { replica, node, index, begun });
        }
    }

    /// Answers the reads that can be.
    pub fn answer_reads(&mut self) {
        let far = |read: &mut Reading| self.replicas[read.replica].state.revision() >= read.index;
        let due: Vec<Reading> = self.watched.reads.extract_if(.., far).collect();
        for Reading { replica, node, begun, .. } in due {
            self.watched.read(node, begun, &self.replicas[replica].state);
        }
    }

    /// Everything is read once more, and then all that was seen must have an order.
    pub fn judge_labels(&mut self) -> Result<(), String> {
        let nodes: Vec<NodeId> = self.workers.iter().map(|worker| worker.node).collect();
        for replica in self.replicas.iter().filter(|replica| replica.up) {
            for node in &nodes {
                let begun = self.watched.tick();
                self.watched.read(*node, begun, &replica.state);
            }
        }
        let calls = std::mem::take(&mut self.watched.calls);
        match judge(&History { calls }) {
            Ok(judged) => {
                *self.tally.entry("label calls judged".to_owned()).or_default() += judged.calls as u64;
                Ok(())
            }
            Err(broken) => Err(broken.iter().map(Broken::to_string).collect::<Vec<_>>().join("\n")),
        }
    }
}
