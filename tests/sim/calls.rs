//! Requests on their way to the log. A request may be lost before it is proposed, its answer after; its sender asks
//! again with the same request id, gives up, or a copy arrives late. What was not answered is unknown, never absent.

use crate::worker::Worker;
use crate::world::World;
use swarm_model::{RequestId, SandboxId, SessionId};
use swarm_state::{Command, Entry, Refusal, Reply};

pub struct Call {
    pub request: RequestId,
    pub command: Command,
    pub about: About,
}

/// Whom the answer is for.
#[derive(Clone, Copy)]
pub enum About {
    Attach {
        worker: usize,
        sandbox: SandboxId,
    },
    Release {
        worker: usize,
    },
    Leave {
        worker: usize,
    },
    /// An operator's word about a node.
    Node,
    Join {
        worker: usize,
    },
    Register {
        session: SessionId,
    },
    Nobody,
}

impl World {
    pub fn call(&mut self, about: About, command: Command) -> RequestId {
        let request = self.fresh_request();
        self.calls.push(Call { request, command, about });
        request
    }

    pub fn fresh_request(&mut self) -> RequestId {
        self.rng.id()
    }

    /// One try of any call.
    pub fn try_call(&mut self) -> Result<(), String> {
        if self.calls.is_empty() || !self.decides() {
            return Ok(());
        }
        let at = self.rng.below(self.calls.len());
        self.try_call_of(at)
    }

    pub fn try_call_of(&mut self, at: usize) -> Result<(), String> {
        if self.faults && self.rng.percent(20) {
            return self.lose(at);
        }
        if !self.may_propose(at) {
            return self.give_up(at);
        }
        let (request, command) = (self.calls[at].request, self.calls[at].command.clone());
        if self.faults && self.rng.percent(10) {
            self.late.push((request, command.clone()));
        }
        let reply = self.propose(request, command)?;
        if self.faults && self.rng.percent(20) {
            return Ok(());
        }
        let call = self.calls.remove(at);
        self.watched.answered(&call.request, &reply);
        self.answer(call.about, &call.command, &reply)
    }

    /// The leader does not propose what others cannot read; and a request that is asked again after its answer was
    /// forgotten would be another one.
    fn may_propose(&self, at: usize) -> bool {
        let Call { request, command, .. } = &self.calls[at];
        // One that has just begun to lead takes nothing before it has caught up.
        let cluster = self.leader().and_then(|leader| leader.state.cluster()).or(self.log.truth.cluster());
        let known = cluster.map_or(u32::MAX, |cluster| cluster.feature_level);
        command.level() <= known && !self.is_forgotten(request)
    }

    fn is_forgotten(&self, request: &RequestId) -> bool {
        self.watched.asks(request) && self.log.ledger.is_forgotten(request)
    }

    /// The request is lost; now and then its sender loses patience too.
    fn lose(&mut self, at: usize) -> Result<(), String> {
        let stubborn = matches!(self.calls[at].about, About::Leave { .. } | About::Join { .. });
        if !stubborn && self.rng.percent(20) { self.give_up(at) } else { Ok(()) }
    }

    /// Its sender does not ask any more: what became of it, it does not know.
    fn give_up(&mut self, at: usize) -> Result<(), String> {
        let call = self.calls.swap_remove(at);
        self.watched.given_up(&call.request);
        match call.about {
            About::Attach { worker, sandbox } => self.workers[worker].forget(&sandbox),
            About::Register { session } => self.close_streams(|stream| stream.session == session),
            About::Release { .. }
            | About::Leave { .. }
            | About::Join { .. }
            | About::Node
            | About::Nobody => {}
        }
        Ok(())
    }

    /// A copy of a request that was on its way all the time.
    pub fn arrive_late(&mut self) -> Result<(), String> {
        if self.late.is_empty() || !self.decides() {
            return Ok(());
        }
        let at = self.rng.below(self.late.len());
        let (request, command) = self.late.swap_remove(at);
        if self.is_forgotten(&request) { Ok(()) } else { self.propose(request, command).map(drop) }
    }

    pub fn propose(&mut self, request: RequestId, command: Command) -> Result<Reply, String> {
        let skew_ms = self.leader().map_or(0, |leader| leader.skew_ms);
        let now_ms = self.now_ms.saturating_add_signed(skew_ms);
        let verb = command.verb();
        let reply = self.log.append(Entry { request: Some(request), now_ms, command: command.clone() })?;
        self.note_moved(&command);
        let told = match &reply {
            Reply::Refused(refusal) => format!("refused: {refusal}"),
            _ => "done".to_owned(),
        };
        match &reply {
            Reply::Refused(refusal) => self.count(format!("{verb:?} refused as {:?}", refusal.kind())),
            _ => self.count(format!("{verb:?} done")),
        }
        self.tell(format_args!("entry {}: {verb:?} {told}", self.log.end()));
        Ok(reply)
    }

    fn answer(&mut self, about: About, asked: &Command, reply: &Reply) -> Result<(), String> {
        match about {
            About::Nobody | About::Node => Ok(()),
            About::Join { worker } => {
                self.workers[worker].admitted = self.log.truth.node(&self.workers[worker].node).is_some();
                // Refused for good, or let in and removed since: it is outside.
                if !self.workers[worker].admitted {
                    self.close_streams(|stream| stream.worker == worker);
                    self.workers[worker].end();
                }
                Ok(())
            }
            About::Register { session } => {
                let end = self.log.end();
                match reply {
                    Reply::Refused(_) => self.close_streams(|stream| stream.session == session),
                    _ => self.streams.iter_mut().for_each(|stream| stream.registered(session, end)),
                }
                Ok(())
            }
            About::Attach { worker, sandbox } => attached(&mut self.workers[worker], sandbox, asked, reply),
            About::Release { worker } => {
                if let (Command::ReleaseEndpoints { endpoints, .. }, Reply::Released { .. }) = (asked, reply)
                {
                    let releasing = &mut self.workers[worker].releasing;
                    releasing.retain(|id| !endpoints.contains(id));
                }
                Ok(())
            }
            About::Leave { worker } => {
                self.close_streams(|stream| stream.worker == worker);
                self.workers[worker].end();
                Ok(())
            }
        }
    }
}

fn attached(worker: &mut Worker, sandbox: SandboxId, asked: &Command, reply: &Reply) -> Result<(), String> {
    let Command::CreateEndpoints(asked) = asked else { return Err("not an attach".to_owned()) };
    match reply {
        Reply::Endpoints { endpoints, .. } => {
            if !endpoints.iter().map(|endpoint| endpoint.id).eq(asked.endpoints.iter().map(|new| new.id)) {
                return Err("other endpoints were answered than were asked for".to_owned());
            }
            // Gone when the worker gave up, crashed or was told otherwise meanwhile.
            if let Some(record) = worker.records.get_mut(&sandbox) {
                record.acknowledged.clone_from(endpoints);
            }
            Ok(())
        }
        Reply::Refused(Refusal::RequestReused { .. }) => Err("a fresh request id was used before".to_owned()),
        Reply::Refused(_) => {
            worker.records.remove(&sandbox);
            Ok(())
        }
        other => Err(format!("an attach was answered {other:?}")),
    }
}
