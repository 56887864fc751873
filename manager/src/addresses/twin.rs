//! Where the others have seen this node last, asked before its manager starts: it may be there still, on a copy of its files.
//! Knows: the question. Must not know: what a copy is refused with.

use super::Whereabouts;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::time::Duration;
use swarm_identity::Dialler;
use swarm_proto::v1;
use swarm_proto::v1::recovery_client::RecoveryClient;
use tokio::time::{Instant, timeout_at};

/// For anybody to answer. Managers that are all away decide nothing, and a start must not wait for them.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// For the others, once one has: the first to answer may be the last to know.
const GRACE: Duration = Duration::from_millis(200);

/// The latest of what the managers at these addresses (`HOST:PORT`) know.
pub async fn last_found(dialler: &Dialler, managers: &[String]) -> Option<Whereabouts> {
    let mut asked: FuturesUnordered<_> = managers.iter().map(|addr| ask(dialler, addr)).collect();
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

async fn ask(dialler: &Dialler, addr: &str) -> Option<Whereabouts> {
    let channel = dialler.to_manager(addr).await.ok()?;
    let survey = RecoveryClient::new(channel).survey(v1::SurveyRequest::default()).await.ok()?.into_inner();
    let caller = survey.caller?;
    Some(Whereabouts { addr: caller.addr.parse().ok()?, moves: caller.moves })
}
