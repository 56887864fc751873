//! How long a message takes to another manager and back, without Raft or a disk in between.
//!
//! Knows: an append stream with nothing in it, which the receiver opens and closes at once. Must not know: what the time
//! is used for.

use std::time::{Duration, Instant};

use super::link::Link;

/// Longer than any round trip that Raft's clocks are fitted to.
const DEADLINE: Duration = Duration::from_secs(3);
/// The shortest of so many counts: the others tell more about busy processors than about the way.
const TRIPS: usize = 3;

/// `None` if the other end cannot be reached now. Dials if there is no connection yet: an election needs one.
pub async fn round_trip(link: &Link) -> Option<Duration> {
    let mut client = tokio::time::timeout(DEADLINE, link.client()).await.ok()?.ok()?;
    let mut shortest = None;
    for _ in 0..TRIPS {
        let begun = Instant::now();
        match tokio::time::timeout(DEADLINE, client.append(futures::stream::empty())).await {
            Ok(Ok(_)) => shortest = Some(shortest.unwrap_or(DEADLINE).min(begun.elapsed())),
            Ok(Err(_)) => {
                link.failed(true);
                return shortest;
            }
            Err(_) => return shortest,
        }
    }
    shortest
}
