//! This host becomes what the cluster wants it to be: a manager or a worker.
//! Knows the order that a crash at any point survives; must not know who decides on roles.
//!
//! Up: certificate, `node.json`, port, Raft. Down: out of Raft (the leader sees to that), `node.json`, port and Raft's
//! files, certificate. `node.json` says what a restart begins with; the rest is made to fit it.

mod certificate;

use crate::daemon::Daemon;
use crate::member::Member;
use crate::running::{self, Running, Snapshots, Start};
use std::sync::Arc;
use std::time::Duration;
use swarm_model::Role;
use tokio::sync::watch;
use tonic::Status;

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
    /// It serves, and Raft does not know it (any more): it lost its files, or was stopped half way up.
    JoinRaft,
    BecomeWorker,
}

struct Condition {
    wanted: Role,
    /// In `node.json`.
    role: Role,
    certificate: Role,
    serving: bool,
    /// Serving with the cluster's state.
    has_cluster: bool,
}

fn next(now: &Condition) -> Step {
    match now.wanted {
        Role::Manager if now.role != Role::Manager || now.certificate != Role::Manager || !now.serving => {
            Step::BecomeManager
        }
        Role::Manager if !now.has_cluster => Step::JoinRaft,
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
                    epoch = self.superseded() => {
                        tracing::warn!(epoch, "the cluster was recovered without this manager: it becomes a worker");
                        superseded = true;
                    }
                }
                continue;
            }
            match self.take(step).await {
                Ok(()) => (pause, superseded) = (PAUSE, false),
                Err(status) => {
                    tracing::info!(?step, reason = status.message(), "not there yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Returns, with its epoch, when the cluster is found to have gone on without the manager on this host.
    async fn superseded(&self) -> u64 {
        match self.running.serving() {
            Some(serving) => serving.manager.superseded().await,
            None => std::future::pending().await,
        }
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
            has_cluster: serving.as_ref().is_some_and(|s| s.manager.has_cluster()),
            serving: serving.is_some(),
        })
    }

    async fn take(&self, step: Step) -> Result<(), Status> {
        // `leave` finds a worker or a manager, nothing between.
        let _turn = self.daemon.turn().await;
        match step {
            Step::Rest => Ok(()),
            Step::BecomeManager => self.become_manager().await,
            Step::JoinRaft => self.join_raft().await,
            Step::BecomeWorker => self.become_worker().await,
        }
    }

    async fn become_manager(&self) -> Result<(), Status> {
        let answer = certificate::renew(&self.running).await?;
        if answer.role() != Role::Manager {
            return Err(Status::aborted("the cluster has changed its mind"));
        }
        let settings = answer.settings.clone();
        self.keep(answer)?;
        let member = Member { role: Role::Manager, ..self.running.member() };
        self.remember(member.clone())?;
        if !self.running.is_manager() {
            let credentials = self.running.credentials.clone();
            let snapshots = Snapshots::of(&settings);
            let start = Start { member, credentials, data_path_port: 0, snapshots };
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

    async fn become_worker(&self) -> Result<(), Status> {
        let answer = certificate::renew(&self.running).await?;
        if answer.role() != Role::Worker {
            return Err(Status::aborted("the cluster has changed its mind"));
        }
        let node = self.running.member().node;
        if answer.managers.iter().any(|manager| manager.node == node) {
            return Err(Status::aborted(
                "this node is still one of the managers: the leader takes it out of Raft",
            ));
        }
        let managers = answer.managers.iter().map(|manager| manager.addr).collect();
        self.remember(Member { role: Role::Worker, managers, ..self.running.member() })?;
        if let Some(serving) = self.running.serving() {
            serving.stop().await;
            self.running.set_serving(None);
        }
        self.daemon
            .state
            .forget_raft()
            .map_err(|e| Status::internal(format!("Raft's files could not be removed: {e}")))?;
        self.keep(answer)?;
        tracing::info!("this node is a worker now");
        Ok(())
    }

    fn remember(&self, member: Member) -> Result<(), Status> {
        self.daemon
            .state
            .set_member(&member)
            .map_err(|e| Status::internal(format!("the role could not be stored: {e}")))?;
        self.running.set_member(member);
        Ok(())
    }

    fn keep(&self, answer: certificate::Renewed) -> Result<(), Status> {
        let internal = |e: String| Status::internal(format!("the new certificate cannot be used: {e}"));
        answer.identity.store(&self.daemon.state.certificates()).map_err(|e| internal(e.to_string()))?;
        self.running.credentials.replace(answer.identity).map_err(|e| internal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Manager, Worker};

    fn step(wanted: Role, (role, certificate): (Role, Role), (serving, has_cluster): (bool, bool)) -> Step {
        next(&Condition { wanted, role, certificate, serving, has_cluster })
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
