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
    Attach { worker: usize, sandbox: SandboxId },
    Release { worker: usize },
    Leave { worker: usize },
    Join,
    Register { session: SessionId },
    Nobody,
}

impl World {
    pub fn call(&mut self, about: About, command: Command) {
        let request = self.rng.id();
        self.calls.push(Call { request, command, about });
    }

    /// One try of any call.
    pub fn try_call(&mut self) -> Result<(), String> {
        if self.calls.is_empty() || !self.replicas.iter().any(|replica| replica.up) {
            return Ok(());
        }
        let at = self.rng.below(self.calls.len());
        self.try_call_of(at)
    }

    pub fn try_call_of(&mut self, at: usize) -> Result<(), String> {
        if self.faults && self.rng.percent(20) {
            return self.lose(at);
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
        self.answer(call.about, &call.command, &reply)
    }

    /// The request is lost; now and then its sender loses patience too.
    fn lose(&mut self, at: usize) -> Result<(), String> {
        let stubborn = matches!(self.calls[at].about, About::Leave { .. } | About::Join);
        if !stubborn && self.rng.percent(20) {
            let call = self.calls.swap_remove(at);
            match call.about {
                About::Attach { worker, sandbox } => self.workers[worker].forget(&sandbox),
                About::Register { session } => self.close_streams(|stream| stream.session == session),
                About::Release { .. } | About::Leave { .. } | About::Join | About::Nobody => {}
            }
        }
        Ok(())
    }

    /// A copy of a request that was on its way all the time.
    pub fn arrive_late(&mut self) -> Result<(), String> {
        if self.late.is_empty() || !self.replicas.iter().any(|replica| replica.up) {
            return Ok(());
        }
        let at = self.rng.below(self.late.len());
        let (request, command) = self.late.swap_remove(at);
        self.propose(request, command).map(drop)
    }

    fn propose(&mut self, request: RequestId, command: Command) -> Result<Reply, String> {
        let skew_ms = self.leader().map_or(0, |leader| leader.skew_ms);
        let now_ms = self.now_ms.saturating_add_signed(skew_ms);
        let verb = command.verb();
        let reply = self.log.append(Entry { request: Some(request), now_ms, command })?;
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
            About::Join | About::Nobody => Ok(()),
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
                let worker = &mut self.workers[worker];
                (worker.left, worker.up) = (true, true);
                worker.records.clear();
                worker.releasing.clear();
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
