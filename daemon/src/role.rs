//! This host becomes what the cluster wants it to be: a manager or a worker.
//! Knows the order that a crash at any point survives; must not know who decides on roles.
//!
//! Up: certificate, `node.json`, port, Raft. Down: out of Raft (the leader sees to that), `node.json`, port and Raft's
//! files, certificate. `node.json` says what a restart begins with; the rest is made to fit it.

mod adrift;
pub mod certificate;

use crate::daemon::Daemon;
use crate::member::Member;
use crate::running::{self, Running, Start};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{Lineage, Role};
use tokio::sync::watch;
use tonic::{Code, Status};

/// Until the next attempt: the leader takes a moment to take a manager out of Raft.
const PAUSE: Duration = Duration::from_millis(100);
/// While nobody answers.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What stands between this host and what is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Everything is as wanted.
    Rest,
    BecomeManager,
    /// It serves, and has no vote: it lost its files, or it or the leader was stopped half way up.
    JoinRaft,
    /// Raft has let go of it while it was away, and it is wanted again: it comes back as a new member.
    BeginAnew,
    BecomeWorker,
}

struct Condition {
    wanted: Role,
    /// In `node.json`.
    role: Role,
    certificate: Role,
    serving: bool,
    /// It has the cluster's state, and a vote as far as it knows.
    has_joined: bool,
    /// Another manager, which holds the session, does not count this host among the managers.
    let_go: bool,
}

fn next(now: &Condition) -> Step {
    match now.wanted {
        Role::Manager if now.role != Role::Manager || now.certificate != Role::Manager || !now.serving => {
            Step::BecomeManager
        }
        Role::Manager if !now.has_joined => Step::JoinRaft,
        Role::Manager if now.let_go => Step::BeginAnew,
        Role::Worker if now.role != Role::Worker || now.certificate != Role::Worker || now.serving => {
            Step::BecomeWorker
        }
        Role::Manager | Role::Worker => Step::Rest,
    }
}

/// Runs until this host leaves or stops.
pub async fn follow(daemon: Arc<Daemon>, running: Arc<Running>) {
    let stop = running.stop.clone();
    stop.run_until_cancelled(Follower { daemon, running }.run()).await;
}

struct Follower {
    daemon: Arc<Daemon>,
    running: Arc<Running>,
}

impl Follower {
    async fn run(self) {
        let mut role = self.running.worker.watch_role();
        let (mut pause, mut superseded) = (PAUSE, false);
        loop {
            let step = self.next(&mut role, superseded);
            if step == Step::Rest {
                pause = PAUSE;
                tokio::select! {
                    changed = role.changed() => match changed {
                        Ok(()) => {}
                        // Only the end of the worker ends its word.
                        Err(_) => return,
                    },
                    later = self.superseded() => {
                        tracing::warn!(epoch = %later, "the cluster went on without this manager: it becomes a worker");
                        // What ends now would be joined again where it came from, while that still lives.
                        self.running.worker.expect(later);
                        superseded = true;
                    }
                    () = adrift::cast_out(&self.running) => {
                        tracing::warn!("this node has no place among the managers any more");
                        if let Err(status) = self.take(Step::BecomeWorker).await {
                            tracing::warn!(reason = status.message(), "the manager could not be taken down yet");
                        }
                    }
                }
                continue;
            }
            match self.take(step).await {
                Ok(()) => (pause, superseded) = (PAUSE, false),
                Err(status) => {
                    tracing::info!(?step, reason = status.message(), "not there yet");
                    superseded = superseded && self.still_superseded().await;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Returns, with its epoch, when the cluster is found to have gone on without the manager on this host.
    async fn superseded(&self) -> Lineage {
        loop {
            // One that was stopped may have been followed by another.
            if let Some(serving) = self.running.serving()
                && let Some(later) = serving.manager.superseded().await
            {
                return later;
            }
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
    }

    /// What this host's manager set out to follow may turn out not to be there: then everything is as it was.
    async fn still_superseded(&self) -> bool {
        let Some(serving) = self.running.serving() else { return true };
        let follows = serving.manager.still_superseded().await;
        if !follows {
            self.running.worker.expect(serving.manager.lineage());
        }
        follows
    }

    fn next(&self, role: &mut watch::Receiver<Option<Role>>, superseded: bool) -> Step {
        let told = *role.borrow_and_update();
        // A manager of the past may still be told so by itself.
        let Some(wanted) = told.filter(|_| !superseded).or(superseded.then_some(Role::Worker)) else {
            return Step::Rest;
        };
        let serving = self.running.serving();
        next(&Condition {
            wanted,
            role: self.running.member().role,
            certificate: self.running.credentials.peer().role,
            has_joined: serving.as_ref().is_some_and(|s| s.manager.has_joined()),
            let_go: self.let_go(),
            serving: serving.is_some(),
        })
    }

    fn let_go(&self) -> bool {
        let (node, status) = (self.running.member().node, self.running.worker.status());
        let elsewhere = status.session_manager.is_some_and(|manager| manager != node);
        elsewhere && !status.managers.iter().any(|manager| manager.node == node)
    }

    async fn take(&self, step: Step) -> Result<(), Status> {
        // `leave` finds a worker or a manager, nothing between.
        let _turn = self.daemon.turn().await;
        match step {
            Step::Rest => Ok(()),
            Step::BecomeManager => self.become_manager().await,
            Step::JoinRaft => self.join_raft().await,
            Step::BeginAnew | Step::BecomeWorker => self.step_down().await,
        }
    }

    async fn become_manager(&self) -> Result<(), Status> {
        let answer = certificate::renew(&self.running).await?;
        if answer.role() != Role::Manager {
            return Err(Status::aborted("the cluster has changed its mind"));
        }
        self.running.take_identity(&self.daemon.state, answer.identity)?;
        let member = Member { role: Role::Manager, ..self.running.member() };
        self.remember(member.clone())?;
        if !self.running.is_manager() {
            let credentials = self.running.credentials.clone();
            let start = Start { member, credentials, data_path_port: 0 };
            let serving = running::serve(&self.daemon, &start).await?;
            self.running.set_serving(Some(Arc::new(serving)));
        }
        self.join_raft().await?;
        tracing::info!("this node is a manager now");
        Ok(())
    }

    async fn join_raft(&self) -> Result<(), Status> {
        let Some(serving) = self.running.serving() else { return Ok(()) };
        let managers = certificate::others(&self.running);
        serving.manager.join_raft(&managers).await.map_err(running::status)
    }

    /// Down from being a manager. What the session said may be a moment old, and this host's own manager may be the last to
    /// hear what became of it: the others are asked once more before anything is erased.
    async fn step_down(&self) -> Result<(), Status> {
        let serves = self.running.is_manager();
        let answer = match certificate::renew(&self.running).await {
            Err(status) if serves && status.code() == Code::PermissionDenied => {
                tracing::warn!(reason = status.message(), "no manager any more");
                return self.stop_manager(self.running.member().managers).await;
            }
            answer => answer?,
        };
        let node = self.running.member().node;
        if answer.managers.iter().any(|manager| manager.node == node) {
            return Err(Status::aborted(
                "this node is still one of the managers: the leader takes it out of Raft",
            ));
        }
        let managers = answer.managers.iter().map(|manager| manager.addr).collect();
        match answer.role() {
            Role::Worker => {
                self.stop_manager(managers).await?;
                self.running.take_identity(&self.daemon.state, answer.identity)?;
                tracing::info!("this node is a worker now");
                Ok(())
            }
            // Wanted again before it had gone: Raft takes it back only as a new member.
            Role::Manager if serves => self.stop_manager(managers).await,
            Role::Manager => Err(Status::aborted("the cluster wants this node as a manager again")),
        }
    }

    /// From here on a restart begins as a worker. Nothing of Raft is left here, unless the cluster has gone on without what
    /// is in it: then it is kept, out of the way.
    async fn stop_manager(&self, managers: Vec<SocketAddr>) -> Result<(), Status> {
        // While `node.json` still says manager: a worker has nothing that could be unlocked.
        let open = self.daemon.state.take_off_the_lock();
        open.map_err(|e| Status::internal(format!("this node's key could not be unlocked: {e}")))?;
        self.remember(Member { role: Role::Worker, managers, ..self.running.member() })?;
        if let Some(serving) = self.running.serving() {
            serving.stop().await;
            self.running.set_serving(None);
        }
        self.daemon
            .state
            .end_raft()
            .map_err(|e| Status::internal(format!("Raft's files could not be cleared away: {e}")))
    }

    fn remember(&self, member: Member) -> Result<(), Status> {
        self.daemon
            .state
            .set_member(&member)
            .map_err(|e| Status::internal(format!("the role could not be stored: {e}")))?;
        self.running.worker.set_seeds(member.seeds());
        self.running.set_member(member);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Manager, Worker};

    fn step(wanted: Role, (role, certificate): (Role, Role), (serving, has_joined): (bool, bool)) -> Step {
        next(&Condition { wanted, role, certificate, serving, has_joined, let_go: false })
    }

    #[test]
    fn a_manager_that_raft_has_let_go_of_and_that_is_wanted_begins_anew() {
        let now = |wanted| Condition {
            wanted,
            role: Manager,
            certificate: Manager,
            serving: true,
            has_joined: true,
            let_go: true,
        };
        assert_eq!(next(&now(Manager)), Step::BeginAnew);
        assert_eq!(next(&now(Worker)), Step::BecomeWorker);
    }

    #[test]
    fn who_is_what_it_should_be_rests() {
        assert_eq!(step(Worker, (Worker, Worker), (false, false)), Step::Rest);
        assert_eq!(step(Manager, (Manager, Manager), (true, true)), Step::Rest);
    }

    #[test]
    fn wherever_a_crash_stopped_it_the_way_goes_on() {
        for (role, certificate) in
            [(Worker, Worker), (Worker, Manager), (Manager, Worker), (Manager, Manager)]
        {
            assert_eq!(step(Manager, (role, certificate), (false, false)), Step::BecomeManager);
        }
        assert_eq!(step(Manager, (Manager, Manager), (true, false)), Step::JoinRaft);
        for (role, certificate) in [(Manager, Manager), (Worker, Manager), (Manager, Worker)] {
            assert_eq!(step(Worker, (role, certificate), (false, false)), Step::BecomeWorker);
        }
        assert_eq!(step(Worker, (Worker, Worker), (true, true)), Step::BecomeWorker);
    }
}
