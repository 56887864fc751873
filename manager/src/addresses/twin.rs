//! Where the others have seen this node last, asked before its manager starts: it may be there still, on a copy of its files.
//! Knows: the question. Must not know: what a copy is refused with.

use super::Whereabouts;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::time::Duration;
use swarm_identity::{Address, Dialler};
use swarm_model::NodeId;
use swarm_proto::v1;
use swarm_proto::v1::recovery_client::RecoveryClient;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;

/// For anybody to answer. Managers that are all away decide nothing, and a start must not wait for them.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// For the others, once one has: the first to answer may be the last to know.
const GRACE: Duration = Duration::from_millis(200);

/// The latest of what the managers at these addresses (`HOST:PORT`) know. Only the word of those in `listed` counts, that
/// of all if nobody is: one that was removed keeps its certificate and its address, and could end this manager's Raft.
pub async fn last_found(
    dialler: &Dialler,
    managers: &[String],
    listed: &BTreeSet<NodeId>,
) -> Option<Whereabouts> {
    let mut asked: FuturesUnordered<_> = managers.iter().map(|addr| ask(dialler, addr, listed)).collect();
    let (mut deadline, mut latest) = (Instant::now() + ANSWER_DEADLINE, None::<Whereabouts>);
    while let Ok(Some(answer)) = timeout_at(deadline, asked.next()).await {
        let Some(said) = answer else { continue };
        deadline = deadline.min(Instant::now() + GRACE);
        if latest.is_none_or(|latest| said.moves >= latest.moves) {
            latest = Some(said);
        }
    }
    latest
}

async fn ask(dialler: &Dialler, addr: &str, listed: &BTreeSet<NodeId>) -> Option<Whereabouts> {
    let mut survey = survey(dialler.to_manager(addr).await.ok()?).await?;
    if !listed.is_empty() {
        // Who it is it has only said so far: asked again where its certificate has to name that node.
        let node = survey.node.parse().ok().filter(|node| listed.contains(node))?;
        survey = self::survey(dialler.to_node(addr.parse::<Address>().ok()?, node).await.ok()?).await?;
    }
    let caller = survey.caller?;
    Some(Whereabouts { addr: caller.addr.parse().ok()?, moves: caller.moves })
}

async fn survey(channel: Channel) -> Option<v1::SurveyResponse> {
    Some(RecoveryClient::new(channel).survey(v1::SurveyRequest::default()).await.ok()?.into_inner())
}
