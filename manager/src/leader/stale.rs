//! Sessions of a manager that the others do not hear: they end, because what they bring is old.
//! Knows: how long that may last. Must not know: why nobody is heard.

use super::heartbeat;
use crate::api::quorum;
use crate::dispatcher::hub::Ended;
use crate::seat::Seat;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Heartbeats without a majority after which sessions end: the worker may reach managers that decide. Far longer than an
/// election takes.
const STALE_AFTER: u32 = 4;

/// Runs until stopped. The leader is asked, not Raft's status: a follower that is cut off goes on naming the last one.
pub async fn end_stale_sessions(seat: Arc<Seat>, stop: CancellationToken) {
    let work = async {
        let mut alone_since = None;
        loop {
            tokio::time::sleep(heartbeat(&seat)).await;
            let decides = quorum(&seat).await.leader.is_some();
            seat.met.quorum_is(decides);
            if decides {
                alone_since = None;
                continue;
            }
            let since = *alone_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= heartbeat(&seat) * STALE_AFTER {
                seat.applied.hub().end_all(Ended::Stale);
            }
        }
    };
    stop.run_until_cancelled(work).await;
}
