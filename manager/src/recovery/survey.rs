//! What managers tell each other of themselves without a quorum: the epoch they live in, and how far their log goes.
//! Knows: asking and answering. Must not know: what is done about it.

use crate::addresses;
use crate::applied::AppliedState;
use crate::authorise::Denied;
use crate::links::Links;
use crate::method::Method;
use crate::raft_door::leads;
use crate::recovery::met::Word;
use crate::seat::Seat;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{Cluster, Epoch, Kin, Lineage, ManagerPeer, Node, NodeId, Role};
use swarm_proto::v1;
use swarm_proto::v1::recovery_client::RecoveryClient;
use swarm_proto::v1::recovery_server::Recovery;
use swarm_raft::Member;
use swarm_state::State;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

/// One manager's time to answer: it asks nobody.
const ANSWER_DEADLINE: Duration = Duration::from_millis(900);
/// Between two rounds: a manager of the past is to notice within seconds of meeting the present.
const PAUSE: Duration = Duration::from_secs(2);
/// And while there is no quorum: the past is to be known as that before its managers have elected anybody.
const EAGER: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct RecoveryService {
    pub seat: Arc<Seat>,
}

#[tonic::async_trait]
impl Recovery for RecoveryService {
    async fn survey(
        &self,
        request: Request<v1::SurveyRequest>,
    ) -> Result<Response<v1::SurveyResponse>, Status> {
        let caller = crate::caller::Arrival::of(&request)?.connection;
        match self.seat.gate.glance(Method::Survey, &caller).await {
            Ok(()) => {}
            Err(Denied::NotMember { .. })
                if request.get_ref().epoch != lineage(&self.seat).epoch.as_u64() =>
            {
                return Ok(Response::new(epochs(own(&self.seat))));
            }
            Err(denied) => return Err(denied.into()),
        }
        let caller = caller.node().and_then(|node| addresses::found(&self.seat, node));
        Ok(Response::new(v1::SurveyResponse { caller, ..own(&self.seat) }))
    }
}

/// What one who is no member here may know: who answers, and which epochs there are.
fn epochs(own: v1::SurveyResponse) -> v1::SurveyResponse {
    v1::SurveyResponse {
        epoch: own.epoch,
        past: own.past,
        stayed: own.stayed,
        node: own.node,
        ..v1::SurveyResponse::default()
    }
}

/// What this manager would answer.
pub fn own(seat: &Seat) -> v1::SurveyResponse {
    let (status, lineage) = (seat.raft.status(), lineage(seat));
    v1::SurveyResponse {
        epoch: lineage.epoch.as_u64(),
        past: swarm_proto::past(&lineage),
        going_alone: seat.met.is_going_alone(),
        leads: leads(&status),
        stayed: seat.met.stayed().into_iter().map(Epoch::as_u64).collect(),
        last_log_term: status.last_term,
        last_log_index: status.last_index,
        node: seat.me().node.to_string(),
        hostname: seat
            .applied
            .read(|state| state.node(&seat.me().node).map(|me| me.hostname.clone()))
            .unwrap_or_default(),
        caller: None,
        features: seat.features,
        disk_full: seat.raft.is_full(),
    }
}

/// The epoch this manager lives in; the first before it has received the cluster's state.
pub fn lineage(seat: &Seat) -> Lineage {
    seat.applied.read(|state| state.cluster().map(Cluster::lineage)).unwrap_or_default()
}

/// The epoch in which whoever answers lives.
pub fn lineage_of(survey: &v1::SurveyResponse) -> Lineage {
    swarm_proto::lineage(survey.epoch, &survey.past)
}

/// Somebody at `addr` who may be this node says that it lives in `said`. Good for a warning and no more.
pub fn hear(seat: &Seat, said: &Lineage, who: (Option<NodeId>, &str)) {
    if let Some(who) = name(seat, who) {
        seat.met.hear(&lineage(seat), said.clone(), &who);
    }
}

/// The same of one that this manager went on without, and which later epochs it has met and not followed.
pub fn hear_past(seat: &Seat, (said, stayed): (&Lineage, &[Epoch]), who: (Option<NodeId>, &str)) {
    if let Some(who) = name(seat, who) {
        seat.met.hear_past(&lineage(seat), said.clone(), stayed, &who);
    }
}

/// As `hear`, from a manager on record that was asked at `addr` and has answered with its own certificate: it is believed.
fn confirm(seat: &Seat, said: &Lineage, (node, addr): (NodeId, SocketAddr)) {
    if is_manager(seat, node)
        && let Some(who) = name(seat, (Some(node), &addr.to_string()))
    {
        seat.met.confirm(&lineage(seat), said.clone(), (node, &who));
    }
}

/// Finds out whether the manager on record that is said to be at `addr`, and in a later epoch, is there and says so itself.
pub async fn make_sure(seat: &Seat, node: NodeId, addr: SocketAddr) {
    if !is_manager(seat, node) {
        return;
    }
    let asked = async {
        let channel = seat.links.dial(addr, node).await.ok()?;
        Some(RecoveryClient::new(channel).survey(request(seat)).await.ok()?.into_inner())
    };
    if let Ok(Some(survey)) = timeout(ANSWER_DEADLINE, asked).await {
        confirm(seat, &lineage_of(&survey), (node, addr));
    }
}

/// The question, as this manager puts it.
pub fn request(seat: &Seat) -> v1::SurveyRequest {
    v1::SurveyRequest { epoch: lineage(seat).epoch.as_u64() }
}

/// `None`: before it has the cluster's state, this manager cannot tell.
fn name(seat: &Seat, (node, addr): (Option<NodeId>, &str)) -> Option<String> {
    seat.applied.read(|state| {
        state.cluster()?;
        let host = node.and_then(|node| Some(state.node(&node)?.hostname.clone()));
        Some(host.map_or_else(|| addr.to_owned(), |host| format!("{host} ({addr})")))
    })
}

/// Whether this is a manager by the records here.
fn is_manager(seat: &Seat, node: NodeId) -> bool {
    seat.applied.read(|state| state.node(&node).is_some_and(|node| node.manager.is_some()))
}

/// Asks the other managers on record, all at once; who does not answer in time is left out.
pub async fn others(seat: &Seat) -> Vec<(ManagerPeer, v1::SurveyResponse)> {
    let me = seat.me().node;
    those(seat, |node| node != me).await
}

/// As `others`, of the managers that are wanted.
pub async fn those(seat: &Seat, wanted: impl Fn(NodeId) -> bool) -> Vec<(ManagerPeer, v1::SurveyResponse)> {
    let managers = seat.applied.read(State::managers).into_iter();
    let asked = managers.filter(|peer| wanted(peer.node)).map(|peer| async move {
        let answer = ask(&seat.links, &peer, request(seat)).await?;
        Some((peer, answer))
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

/// The feature levels of the managers that answer and can say: records may be older than a manager's last upgrade.
pub async fn features(links: &Links, applied: &AppliedState) -> BTreeMap<NodeId, u32> {
    let asked = applied.read(State::managers).into_iter().map(|peer| async move {
        let answer = ask(links, &peer, v1::SurveyRequest::default()).await?;
        (answer.features > 0).then_some((peer.node, answer.features))
    });
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

pub async fn ask(
    links: &Links,
    peer: &ManagerPeer,
    request: v1::SurveyRequest,
) -> Option<v1::SurveyResponse> {
    let call = async {
        let channel = links.find(peer.node, peer.addr).await.ok()?;
        RecoveryClient::new(channel).survey(request).await.ok()
    };
    Some(timeout(ANSWER_DEADLINE, call).await.ok().flatten()?.into_inner())
}

/// Why this manager hears of no leader, as far as it can find out by asking the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoLeader {
    /// `2 of 3 managers do not answer this one: h2 (10.0.0.2:2377), h3 (10.0.0.3:2377)`; empty when all do.
    Missing(String),
    /// The others go on without this manager, which is none of them any more, or soon. Those to ask.
    LetGo(String),
}

/// Who votes and is no manager on record any more counts too: it has left before Raft could let go of it.
pub async fn no_leader(links: &Links, applied: &AppliedState, me: NodeId, voters: &[Member]) -> NoLeader {
    let mut managers = applied.read(|state| named(state, |_| true));
    for voter in voters {
        if let Ok(node) = voter.node.parse::<NodeId>()
            && !managers.iter().any(|(peer, _)| peer.node == node)
        {
            let host = applied.read(|state| state.node(&node).map(|node| node.hostname.clone()));
            let host = host.unwrap_or_else(|| node.short().to_string());
            managers.push((
                ManagerPeer { node, addr: voter.addr },
                format!("{host}, which has left, but still has a vote,"),
            ));
        }
    }
    let answers = answers(links, &managers, me).await;
    let others: Vec<Other> = managers
        .iter()
        .zip(answers)
        .filter(|((peer, _), _)| peer.node != me)
        .map(|((peer, host), answer)| Other {
            name: format!("{host} ({})", peer.addr),
            stays: applied
                .read(|state| state.node(&peer.node).is_some_and(|node| node.role == Role::Manager)),
            answers: answer.is_some(),
            decides_without: answer.is_some_and(|answer| answer.leads && answer.caller.is_none()),
        })
        .collect();
    let stays = applied.read(|state| state.node(&me).is_some_and(|node| node.role == Role::Manager));
    explain(stays, managers.len(), &others)
}

/// Another manager on record, and what it answers.
struct Other {
    name: String,
    /// It is to stay a manager.
    stays: bool,
    answers: bool,
    /// It leads with a majority, and this manager is on its record no more.
    decides_without: bool,
}

/// `stays`: this manager is to stay one by its own record, which may be behind.
fn explain(stays: bool, managers: usize, others: &[Other]) -> NoLeader {
    let names = |those: &dyn Fn(&&Other) -> bool| -> Vec<&str> {
        others.iter().filter(those).map(|other| other.name.as_str()).collect()
    };
    let deciding = names(&|other| other.decides_without);
    if !deciding.is_empty() {
        return NoLeader::LetGo(deciding.join(", "));
    }
    let (left, there) = (others.iter().filter(|other| other.stays).count(), names(&|o| o.stays && o.answers));
    if !stays && there.len() > left / 2 {
        return NoLeader::LetGo(there.join(", "));
    }
    let away = names(&|other| !other.answers);
    NoLeader::Missing(match away.len() {
        0 => String::new(),
        count => format!("{count} of {managers} managers do not answer this one: {}", away.join(", ")),
    })
}

/// An error names those who do not answer, when the managers without `leaving` could not decide because of it. Asked, not
/// remembered: Raft misses a manager that died a moment ago after an election timeout only.
pub async fn can_do_without(seat: &Seat, leaving: NodeId) -> Result<(), String> {
    let stays = |node: &Node| node.id != leaving && node.role == Role::Manager;
    let managers = seat.applied.read(|state| named(state, stays));
    let me = (seat.me().node, seat.raft.is_full());
    let answers = answers(&seat.links, &managers, me.0).await;
    let (mut away, mut full) = (Vec::new(), Vec::new());
    for ((peer, host), answer) in managers.iter().zip(answers) {
        match answer.map(|answer| answer.disk_full) {
            None if peer.node != me.0 => away.push(format!("{host} ({})", peer.addr)),
            None if me.1 => full.push(host.clone()),
            Some(true) => full.push(host.clone()),
            None | Some(false) => {}
        }
    }
    let left = managers.len();
    // That nobody would be left is for the state to judge.
    if left == 0 || left - away.len() - full.len() > left / 2 {
        return Ok(());
    }
    let mut why = Vec::new();
    if !away.is_empty() {
        why.push(format!("{} of the {left} managers left do not answer: {}", away.len(), away.join(", ")));
    }
    if !full.is_empty() {
        why.push(format!("the disks of {} of them are full: {}", full.len(), full.join(", ")));
    }
    Err(why.join(", and "))
}

/// The managers on record that are wanted, with their host names.
pub fn named(state: &State, wanted: impl Fn(&Node) -> bool) -> Vec<(ManagerPeer, String)> {
    let named = |peer: ManagerPeer| {
        let node = state.node(&peer.node).filter(|node| wanted(node))?;
        Some((peer, node.hostname.clone()))
    };
    state.managers().into_iter().filter_map(named).collect()
}

/// What each of the managers answers; of this one, and of those that do not answer in time, `None`.
async fn answers(
    links: &Links,
    managers: &[(ManagerPeer, String)],
    me: NodeId,
) -> Vec<Option<v1::SurveyResponse>> {
    let asked = managers.iter().map(|(peer, _)| async move {
        if peer.node == me { None } else { ask(links, peer, v1::SurveyRequest::default()).await }
    });
    futures::future::join_all(asked).await
}

/// Whether `other` knows something that `own` may not.
pub fn knows_more(other: &v1::SurveyResponse, own: &v1::SurveyResponse) -> bool {
    let end = |survey: &v1::SurveyResponse| (survey.last_log_term, survey.last_log_index);
    match lineage_of(own).sees(&lineage_of(other)) {
        Kin::Later => true,
        Kin::Same => end(other) > end(own),
        Kin::Past | Kin::Apart => false,
    }
}

/// Returns when the cluster is found to have gone on without this manager, which must decide nothing more.
pub async fn superseded(seat: Arc<Seat>) -> Lineage {
    loop {
        // Without the record it is not known whom to ask, nor which epoch is its own.
        if seat.applied.read(|state| state.cluster().is_some())
            && let Some(later) = look(&seat).await
        {
            return later;
        }
        tokio::time::sleep(if seat.met.decides() { PAUSE } else { EAGER }).await;
    }
}

/// Asks the managers on record once. The later epoch that this manager follows, if there is one.
pub async fn look(seat: &Seat) -> Option<Lineage> {
    let (own, mut answers) = (lineage(seat), BTreeMap::new());
    for (peer, survey) in others(seat).await {
        let said = lineage_of(&survey);
        if said.epoch == own.epoch {
            seat.met.hear_stayed(survey.stayed.iter().copied().map(Epoch::from_u64));
        }
        confirm(seat, &said, (peer.node, peer.addr));
        answers.insert(peer.node, said);
    }
    seat.met.looked(&own, &|node| match is_manager(seat, node) {
        false => Word::NoManager,
        true => answers.get(&node).cloned().map_or(Word::Silent, Word::Said),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(name: &str, (stays, answers, decides_without): (bool, bool, bool)) -> Other {
        Other { name: name.to_owned(), stays, answers, decides_without }
    }

    /// Found by a breaker: one just demoted said that the quorum was lost, and advised to force a new cluster.
    #[test]
    fn a_manager_that_is_let_go_does_not_speak_of_a_lost_quorum() {
        let there = [other("h1", (true, true, false)), other("h2", (true, true, false))];
        let gone = [other("h3", (false, false, false)), other("h4", (true, false, false))];
        let all: Vec<Other> = there.into_iter().chain(gone).collect();
        assert_eq!(explain(false, 5, &all), NoLeader::LetGo("h1, h2".to_owned()));
        // Its own record may be behind: then those who decide say so.
        let decided = [other("h1", (true, true, true)), other("h2", (true, false, false))];
        assert_eq!(explain(true, 3, &decided), NoLeader::LetGo("h1".to_owned()));
        let away = "2 of 5 managers do not answer this one: h3, h4";
        assert_eq!(explain(true, 5, &all), NoLeader::Missing(away.to_owned()));
        // To be demoted, and the others really are away.
        let lost = [other("h1", (true, false, false)), other("h2", (true, false, false))];
        assert!(matches!(explain(false, 3, &lost), NoLeader::Missing(said) if said.starts_with("2 of 3")));
        assert_eq!(explain(true, 1, &[]), NoLeader::Missing(String::new()));
    }

    fn survey(epoch: u64, last_log_term: u64, last_log_index: u64) -> v1::SurveyResponse {
        v1::SurveyResponse { epoch, last_log_term, last_log_index, ..v1::SurveyResponse::default() }
    }

    #[test]
    fn a_later_term_counts_for_more_than_a_longer_log() {
        let own = survey(0, 5, 100);
        assert!(knows_more(&survey(0, 6, 10), &own));
        assert!(knows_more(&survey(0, 5, 101), &own));
        assert!(knows_more(&survey(1, 1, 1), &own));
        for less in [survey(0, 5, 100), survey(0, 5, 99), survey(0, 4, 1_000)] {
            assert!(!knows_more(&less, &own), "{less:?}");
        }
        let apart = v1::SurveyResponse { past: vec![0], ..survey(1 << 32 | 7, 9, 9) };
        assert!(!knows_more(&apart, &v1::SurveyResponse { past: vec![0], ..survey(1 << 32 | 8, 1, 1) }));
    }
}
