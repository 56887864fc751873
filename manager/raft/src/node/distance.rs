//! Measures how far the other voters are, now and then, and keeps that for the next start.
//!
//! Knows: when to measure and whom to ask. Must not know: what Raft's clocks are made of.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;

use crate::api::Member;
use crate::config::Timing;
use crate::pace::{Distances, differ, timing};
use crate::pace_file;
use crate::types::{Raft, Types};
use crate::wire::{Links, Purpose, round_trip};

/// Between two rounds of measurements.
const PAUSE: Duration = Duration::from_secs(10);

/// Where the clocks come from: those asked for, and where the distances are kept.
#[derive(Clone)]
pub struct Clocks {
    pub given: Timing,
    pub dir: PathBuf,
}

impl Clocks {
    /// What Raft is to be started with.
    pub fn at_start(&self) -> Timing {
        let known = pace_file::read(&self.dir);
        known.map_or(self.given, |round_trip| timing(self.given, round_trip))
    }
}

/// Measures until Raft stops. The receiver holds the clocks that would suit what has been measured.
pub fn measure(raft: &Raft, links: Links, clocks: Clocks) -> watch::Receiver<Timing> {
    let (sender, receiver) = watch::channel(clocks.at_start());
    let metrics = raft.metrics();
    // Only to hear of Raft's end: of this kind there is not one with every entry.
    let mut ends = raft.server_metrics();
    tokio::spawn(async move {
        let mut distances = Distances::default();
        loop {
            let voters = voters(&metrics.borrow_watched());
            distances.keep(|id| voters.iter().any(|(voter, _)| *voter == id));
            let trips = voters.iter().map(|(id, member)| {
                let link = links.link(*id, member, Purpose::Control);
                async move { (*id, round_trip(&link).await) }
            });
            for (id, trip) in join_all(trips).await {
                trip.into_iter().for_each(|trip| distances.measured(id, trip));
            }
            if let Some(largest) = distances.largest() {
                suit(&sender, &clocks, largest).await;
            }
            let pause = tokio::time::sleep(PAUSE);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    changed = ends.changed() => if changed.is_err() { return },
                }
            }
        }
    });
    receiver
}

async fn suit(sender: &watch::Sender<Timing>, clocks: &Clocks, largest: Duration) {
    let better = timing(clocks.given, largest);
    if !differ(&sender.borrow(), &better) {
        return;
    }
    let dir = clocks.dir.clone();
    let written = tokio::task::spawn_blocking(move || pace_file::write(&dir, largest)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(%error, "the distance of the managers was not kept for the next start");
        return;
    }
    tracing::info!(round_trip = ?largest, election_ms = better.election_min_ms,
        "managers are at another distance; Raft's clocks are set accordingly at the next start");
    sender.send_replace(better);
}

fn voters(metrics: &RaftMetrics<Types>) -> Vec<(u64, Member)> {
    let membership = &metrics.membership_config;
    let voters = membership.voter_ids().filter(|id| *id != metrics.id);
    voters.filter_map(|id| Some((id, membership.get_node(&id)?.clone()))).collect()
}
