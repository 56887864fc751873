//! Whoever went on alone looks out for those it went on without: another of them may have done the same, unseen.
//! Knows: whom to ask, and how often. Must not know: what is made of the answers.

use super::{hear, hear_past, lineage};
use crate::addresses::ask;
use crate::seat::Seat;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::Dialler;
use tokio_util::sync::CancellationToken;

/// Between two rounds. Nobody waits for this, and most of the time nobody answers.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until stopped. `former`: where the others were found when this manager went on.
pub async fn look_out(seat: Arc<Seat>, former: Vec<SocketAddr>, stop: CancellationToken) {
    let dialler = Dialler::new(seat.credentials.clone());
    let work = async {
        loop {
            tokio::time::sleep(EVERY).await;
            let epoch = lineage(&seat).epoch;
            let asked = former.iter().map(|addr| {
                let dialler = &dialler;
                async move { (addr, ask(dialler, epoch, &addr.to_string()).await) }
            });
            for (addr, answer) in futures::future::join_all(asked).await {
                if let Ok(found) = answer {
                    let who = (found.node, &*addr.to_string());
                    hear(&seat, &found.lineage, who);
                    hear_past(&seat, (&found.lineage, &found.stayed), who);
                }
            }
        }
    };
    if !former.is_empty() {
        stop.run_until_cancelled(work).await;
    }
}
