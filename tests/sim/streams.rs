//! Sessions: a replica tells a worker the whole, then the changes, over a stream that loses, repeats and breaks.

use crate::calls::About;
use crate::world::World;
use std::collections::{BTreeSet, VecDeque};
use swarm_model::{Assigned, Assignment, EndpointId, NodeState, Revision, SessionId};
use swarm_state::{Command, Event, MAX_RELEASES_PER_COMMAND};

pub struct Stream {
    pub session: SessionId,
    pub worker: usize,
    pub replica: usize,
    /// What the worker knew when it registered, and at which revision.
    listed: (BTreeSet<EndpointId>, Revision),
    /// By when the registration is in the log, once that was answered.
    registered_by: Option<Revision>,
    /// `None` until the registration is in the replica's state and the whole is sent.
    told: Option<Told>,
    /// Each message with what the worker must hold once it has taken it.
    pub queue: VecDeque<(Assignment, Assigned)>,
    /// Something was lost that the worker may not have noticed: such a stream does not live long.
    pub lossy: bool,
}

struct Told {
    revision: Revision,
    since: Vec<Event>,
}

impl Stream {
    pub fn registered(&mut self, session: SessionId, by: Revision) {
        if self.session == session {
            self.registered_by = Some(by);
        }
    }
}

impl World {
    pub fn open_stream(&mut self, worker: usize, replica: usize) {
        let session = self.rng.id();
        let (who, manager) = (&self.workers[worker], self.replicas[replica].node);
        let command = Command::RegisterNode(who.registration(session, manager));
        let listed = (who.known(), who.held.revision);
        let (registered_by, told, queue) = (None, None, VecDeque::new());
        self.streams.push(Stream {
            session,
            worker,
            replica,
            listed,
            registered_by,
            told,
            queue,
            lossy: false,
        });
        self.call(About::Register { session }, command);
    }

    /// Ends those streams; their managers say so, each for its own session only.
    pub fn close_streams(&mut self, ends: impl Fn(&Stream) -> bool) {
        let (ended, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.streams).into_iter().partition(ends);
        self.streams = kept;
        for stream in ended {
            let (node, session) = (self.workers[stream.worker].node, Some(stream.session));
            let (state, message) = (NodeState::Unknown, String::new());
            self.call(About::Nobody, Command::SetNodeStatus { node, state, message, session });
        }
    }

    /// The replica's events, for every session it holds.
    pub fn note(&mut self, replica: usize, events: &[Event]) {
        for stream in self.streams.iter_mut().filter(|stream| stream.replica == replica) {
            if let Some(told) = &mut stream.told {
                told.since.extend(events);
            }
        }
    }

    /// A replica that took a snapshot does not know what changed: its sessions begin again from the whole.
    pub fn start_over(&mut self, replica: usize) {
        for stream in self.streams.iter_mut().filter(|stream| stream.replica == replica) {
            stream.told = None;
        }
    }

    /// The replica's side of a stream: the whole, or what has changed since. True when something was queued.
    pub fn pump(&mut self, at: usize) -> bool {
        let stream = &self.streams[at];
        let state = &self.replicas[stream.replica].state;
        let node = self.workers[stream.worker].node;
        let (session, told) = (stream.session, stream.told.is_some());
        if state.session(&node).is_none_or(|current| current.id != session) {
            // The node has a newer session, or this replica has not come as far as the registration.
            if told || stream.registered_by.is_some_and(|by| by <= state.revision()) {
                self.close_streams(|stream| stream.session == session);
            }
            return false;
        }
        if state.node(&node).is_some_and(|node| node.status.state != NodeState::Ready) {
            self.register_again(at);
        }
        if told { self.send_changes(at) } else { self.send_whole(at) }
    }

    /// Somebody declared the node lost while it is served here.
    fn register_again(&mut self, at: usize) {
        let stream = &self.streams[at];
        let manager = self.replicas[stream.replica].node;
        let command =
            Command::RegisterNode(self.workers[stream.worker].registration(stream.session, manager));
        let asked = self.calls.iter().any(|call| call.command == command);
        if !asked {
            self.call(About::Register { session: self.streams[at].session }, command);
        }
    }

    fn send_whole(&mut self, at: usize) -> bool {
        let stream = &mut self.streams[at];
        let state = &self.replicas[stream.replica].state;
        let node = self.workers[stream.worker].node;
        let whole = state.assigned(&node);
        stream.told = Some(Told { revision: whole.revision, since: Vec::new() });
        stream.queue.push_back((Assignment::Complete(whole.clone()), whole));
        let surplus = state.endpoints_not_held(&node, &stream.listed.0, stream.listed.1);
        for endpoints in surplus.chunks(MAX_RELEASES_PER_COMMAND) {
            let endpoints = endpoints.to_vec();
            self.call(About::Nobody, Command::ReleaseEndpoints { node, endpoints });
        }
        true
    }

    fn send_changes(&mut self, at: usize) -> bool {
        let stream = &mut self.streams[at];
        let state = &self.replicas[stream.replica].state;
        let Some(told) = &mut stream.told else { return false };
        let changes = state.changes_for(&self.workers[stream.worker].node, &told.since);
        told.since.clear();
        if changes.is_empty() {
            return false;
        }
        let (applies_to, results_in) = (told.revision, state.revision());
        told.revision = results_in;
        let message = Assignment::Incremental { applies_to, results_in, changes };
        stream.queue.push_back((message, state.assigned(&self.workers[stream.worker].node)));
        true
    }

    /// The worker's side: the next message arrives, or does not, or twice.
    pub fn deliver(&mut self, at: usize) -> Result<(), String> {
        let stream = &mut self.streams[at];
        let Some((message, expected)) = stream.queue.pop_front() else { return Ok(()) };
        if self.faults && self.rng.percent(8) {
            stream.lossy = true;
            return Ok(());
        }
        let (worker, session) = (stream.worker, stream.session);
        let repeated = (self.faults && self.rng.percent(4)).then(|| message.clone());
        for message in [Some(message), repeated].into_iter().flatten() {
            if !self.workers[worker].take(message)? {
                self.count("gap found");
                self.tell(format_args!("worker {worker} found a gap"));
                self.close_streams(|stream| stream.session == session);
                break;
            }
            if self.workers[worker].held != expected {
                return Err(format!(
                    "worker {worker} took a message and holds something else than was meant"
                ));
            }
        }
        Ok(())
    }
}
