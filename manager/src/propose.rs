//! The one way into the log: takes permitted commands, finds the leader, retries while a new one settles.
//! Knows: request ids, deadlines, the hop to the leader. Must not know: what a command does.

use crate::applied::AppliedState;
use crate::authorise::Authorized;
use crate::caller::FORWARDED;
use crate::codec::{CodecError, decode, encode};
use crate::leader::too_old;
use crate::leadership::{Leader, leader_now, settle, while_it_leads};
use crate::links::Links;
use crate::recovery::NoLeader;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_model::RequestId;
use swarm_proto::v1;
use swarm_raft::{Member, ProposeError, RaftNode};
use swarm_state::{Command, Entry, Refusal, Reply};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

/// Longest a change waits for a leader before its caller is told; the others are asked then who is missing, and all of it
/// takes less than five seconds, for a worker too that came by another manager first.
const PROPOSE_DEADLINE: Duration = Duration::from_millis(3_500);

/// A change that is in the log and applied on the leader.
#[derive(Debug, Clone)]
pub struct Done {
    pub index: u64,
    pub reply: Reply,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeFailed {
    /// The cluster decided against it; nothing was changed.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing was changed. Says who is missing.
    #[error("the cluster has no leader{}", why_no_leader(.0))]
    NoLeader(String),
    /// Nothing was changed. Names those who decide.
    #[error("this manager is just being demoted, and the others go on without it: ask one of them: {0}")]
    LetGo(String),
    #[error(
        "the managers did not confirm the change in time; whether it was made is unknown: \
         look (`swarmctl network ls`, `node ls`, `ps`) before you ask again{}",
        after_semicolon(.0)
    )]
    Unknown(String),
    /// Nothing was changed.
    #[error("{0}")]
    TooLarge(String),
    #[error(transparent)]
    NotYet(#[from] NotYet),
    #[error("this manager has just ended, as after a demotion: ask another manager ({0})")]
    Stopped(String),
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The leader's own judgement of the caller; nothing was changed.
    #[error("{}", .0.message())]
    Denied(Status),
}

impl From<NoLeader> for ProposeFailed {
    fn from(why: NoLeader) -> Self {
        match why {
            NoLeader::Missing(missing) => Self::NoLeader(missing),
            NoLeader::LetGo(others) => Self::LetGo(others),
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Proposer {
    raft: RaftNode,
    links: Links,
    applied: Arc<AppliedState>,
}

enum Attempt {
    Done(Done),
    /// Not done, and may be done elsewhere or later.
    NotNow,
    /// Perhaps done; asking again with the same request id is safe.
    Perhaps,
    Failed(ProposeFailed),
}

impl Proposer {
    pub fn new(raft: RaftNode, links: Links, applied: Arc<AppliedState>) -> Self {
        Self { raft, links, applied }
    }

    /// Commits the command under this request id, here or at the leader. A refusal by the state is an error.
    pub async fn propose(
        &self,
        permit: Authorized<Command>,
        request: RequestId,
    ) -> Result<Done, ProposeFailed> {
        // Here as well as where it would be led: an older leader cannot even read what it does not know.
        if let Err(not_yet) = self.check_level(permit.request()) {
            return Err(self.named(not_yet).await.into());
        }
        let deadline = Instant::now() + PROPOSE_DEADLINE;
        let mut perhaps = false;
        loop {
            match self.attempt(&permit, request, deadline).await {
                Attempt::Done(Done { reply: Reply::Refused(refusal), .. }) => {
                    return Err(ProposeFailed::Refused(refusal));
                }
                Attempt::Done(done) => return Ok(done),
                Attempt::Failed(failed) => return Err(failed),
                Attempt::NotNow => {}
                Attempt::Perhaps => perhaps = true,
            }
            if !settle(&self.raft, deadline).await {
                return Err(match (perhaps, self.why_no_leader().await) {
                    (true, NoLeader::Missing(missing)) => ProposeFailed::Unknown(missing),
                    (true, NoLeader::LetGo(_)) => ProposeFailed::Unknown(String::new()),
                    (false, why) => why.into(),
                });
            }
        }
    }

    /// That there is no leader, and who is missing.
    pub async fn no_leader(&self) -> ProposeFailed {
        self.why_no_leader().await.into()
    }

    async fn why_no_leader(&self) -> NoLeader {
        let status = self.raft.status();
        match status.voters.get(&status.id).and_then(|me| me.node.parse().ok()) {
            Some(me) => {
                let voters: Vec<Member> = status.voters.values().cloned().collect();
                crate::recovery::no_leader(&self.links, &self.applied, me, &voters).await
            }
            None => NoLeader::Missing("this manager has no vote yet".to_owned()),
        }
    }

    async fn attempt(&self, permit: &Authorized<Command>, request: RequestId, deadline: Instant) -> Attempt {
        match leader_now(&self.raft) {
            Leader::Here => self.here(permit, request).await,
            Leader::There(member) => self.there(&member, permit, request, deadline).await,
            Leader::Nowhere => Attempt::NotNow,
        }
    }

    async fn here(&self, permit: &Authorized<Command>, request: RequestId) -> Attempt {
        match self.lead(permit, request).await {
            Ok(done) => Attempt::Done(done),
            Err(LeadFailed::Raft(ProposeError::NotLeader(_))) => Attempt::NotNow,
            Err(LeadFailed::Raft(ProposeError::Unknown)) => Attempt::Perhaps,
            Err(LeadFailed::Raft(e @ (ProposeError::TooLarge { .. } | ProposeError::DiskFull))) => {
                Attempt::Failed(ProposeFailed::TooLarge(e.to_string()))
            }
            Err(LeadFailed::Raft(ProposeError::Stopped(reason))) => {
                Attempt::Failed(ProposeFailed::Stopped(reason))
            }
            Err(LeadFailed::Codec(e)) => Attempt::Failed(e.into()),
            Err(LeadFailed::NotYet(e)) => Attempt::Failed(e.into()),
        }
    }

    /// Proposes as the leader: stamps the time and tries once. The reply may be a refusal.
    pub async fn lead(&self, permit: &Authorized<Command>, request: RequestId) -> Result<Done, LeadFailed> {
        self.check_level(permit.request())?;
        let entry = Entry { request: Some(request), now_ms: now_ms(), command: permit.request().clone() };
        let committed = self.raft.propose(encode("a change", &entry)?).await?;
        Ok(Done { index: committed.index, reply: decode("a reply", &committed.reply)? })
    }

    /// A manager that cannot read a command would have to stop when it meets it.
    fn check_level(&self, command: &Command) -> Result<(), NotYet> {
        let needed = command.level();
        self.applied.read(|state| match state.cluster().map(|cluster| cluster.feature_level) {
            Some(level) if needed > level => {
                Err(NotYet { needed, level, old: too_old(state, &BTreeMap::new(), needed) })
            }
            _ => Ok(()),
        })
    }

    /// Who is in the way, as they say themselves: with an older leader, upgrades do not reach the record.
    async fn named(&self, not_yet: NotYet) -> NotYet {
        let said = crate::recovery::features(&self.links, &self.applied).await;
        let old = self.applied.read(|state| too_old(state, &said, not_yet.needed));
        NotYet { old, ..not_yet }
    }

    async fn there(
        &self,
        member: &Member,
        permit: &Authorized<Command>,
        request: RequestId,
        deadline: Instant,
    ) -> Attempt {
        let call = async {
            let message = forwarded(permit, request).map_err(Attempt::Failed)?;
            let mut client = self.links.membership(member).await.map_err(|_| Attempt::NotNow)?;
            client.propose(message).await.map_err(|status| self.judge(member, status))
        };
        match while_it_leads(&self.raft, member, deadline, call).await {
            None => Attempt::Perhaps,
            Some(Err(attempt)) => attempt,
            Some(Ok(answer)) => {
                let answer = answer.into_inner();
                match decode("a reply", &answer.reply) {
                    Ok(reply) => Attempt::Done(Done { index: answer.index, reply }),
                    Err(e) => Attempt::Failed(e.into()),
                }
            }
        }
    }

    /// What the leader's error means for the change it was handed.
    fn judge(&self, member: &Member, status: Status) -> Attempt {
        match status.code() {
            // The leader's answer to "you are not the leader": nothing was written.
            Code::Aborted => Attempt::NotNow,
            Code::PermissionDenied
            | Code::Unauthenticated
            | Code::InvalidArgument
            | Code::FailedPrecondition => Attempt::Failed(ProposeFailed::Denied(status)),
            Code::ResourceExhausted | Code::OutOfRange => {
                Attempt::Failed(ProposeFailed::TooLarge(status.message().to_owned()))
            }
            _ => {
                self.links.failed(member);
                Attempt::Perhaps
            }
        }
    }
}

/// Some manager could not read the change; nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "this change needs every manager at feature level {needed}, and the cluster is at {level}: {}",
    before_it(.old)
)]
pub struct NotYet {
    needed: u32,
    level: u32,
    /// The managers in the way, by name.
    old: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LeadFailed {
    #[error(transparent)]
    Raft(#[from] ProposeError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    NotYet(#[from] NotYet),
}

fn forwarded(
    permit: &Authorized<Command>,
    request: RequestId,
) -> Result<Request<v1::ProposeRequest>, ProposeFailed> {
    let mut message = Request::new(v1::ProposeRequest {
        method: permit.method().name().to_owned(),
        request_id: request.to_string(),
        command: encode("a change", permit.request())?,
    });
    let caller = permit.caller().to_metadata().map_err(ProposeFailed::Denied)?;
    message.metadata_mut().insert(FORWARDED, caller);
    Ok(message)
}

fn before_it(old: &str) -> String {
    match old {
        "" => "all of them know it by now; try again shortly".to_owned(),
        old => format!("upgrade swarmd first on {old}"),
    }
}

fn after_semicolon(missing: &str) -> String {
    if missing.is_empty() { String::new() } else { format!("; {missing}") }
}

fn why_no_leader(missing: &str) -> String {
    match missing {
        "" => ": the managers answer, but have not agreed on one yet; try again shortly".to_owned(),
        missing => format!(
            ", because more than half of the managers must be there ({missing}): start them again; if addresses have \
             changed, `swarmctl rejoin` says where they are now; if they are lost for good, `swarmctl init \
             --force-new-cluster` goes on with this one"
        ),
    }
}

/// Milliseconds since the epoch by this manager's wall clock; the state uses it for stamps and resting times only.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
