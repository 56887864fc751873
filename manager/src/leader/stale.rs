//! Sessions of a manager whose word is old: they end, so that workers go to another one.
//! Knows: what makes a manager's word old, and how long that may last. Must not know: why nobody is heard.

use super::heartbeat;
use crate::api::quorum_and_leader;
use crate::dispatcher::hub::Ended;
use crate::recovery;
use crate::seat::Seat;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::Kin;
use tokio_util::sync::CancellationToken;

/// Heartbeats without a majority, without room for changes or behind the leader, after which sessions end: the worker may
/// reach managers that do better. Far longer than an election takes.
const STALE_AFTER: u32 = 4;

/// Runs until stopped. The leader is asked, not Raft's status: a follower that is cut off goes on naming the last one.
pub async fn end_stale_sessions(seat: Arc<Seat>, stop: CancellationToken) {
    let work = async {
        let (mut lag, mut spell) = (Lag::default(), Spell::default());
        loop {
            tokio::time::sleep(heartbeat(&seat)).await;
            let (quorum, led_to) = quorum_and_leader(&seat).await;
            let decides = quorum.leader.is_some();
            seat.met.quorum_is(decides);
            let (now, patience) = (Instant::now(), heartbeat(&seat) * STALE_AFTER);
            let behind = lag.of(led_to, seat.raft.status().applied, now);
            let flaw = flaw(decides, seat.raft.is_full(), behind >= patience);
            let lasts = spell.of(flaw, now) >= patience || flaw == Some(Ended::Behind);
            end(&seat, flaw.filter(|_| lasts)).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

/// What makes this manager's word old, or will as soon as something changes.
fn flaw(decides: bool, full: bool, behind: bool) -> Option<Ended> {
    match (decides, full, behind) {
        (false, _, _) => Some(Ended::Stale),
        (true, true, _) => Some(Ended::Full),
        (true, false, true) => Some(Ended::Behind),
        (true, false, false) => None,
    }
}

async fn end(seat: &Seat, flaw: Option<Ended>) {
    let hub = seat.applied.hub();
    match flaw {
        // Whoever comes is refused for want of a leader.
        Some(Ended::Stale) => {
            hub.refuse(None);
            hub.end_all(Ended::Stale);
        }
        Some(flaw) if somebody_does_better(seat).await => {
            if hub.refuse(Some(flaw)) {
                tracing::warn!("sessions end here and none begins: {}", flaw.sentence());
            }
            hub.end_all(flaw);
        }
        _ => {
            hub.refuse(None);
        }
    }
}

/// Else sessions are better here than nowhere.
async fn somebody_does_better(seat: &Seat) -> bool {
    let own = recovery::lineage(seat);
    let others = recovery::others(seat).await;
    others.iter().any(|(_, said)| !said.disk_full && own.sees(&recovery::lineage_of(said)) == Kin::Same)
}

/// How long this manager has been behind the leader: since when an entry that the leader had applied then is missing here.
#[derive(Debug, Default)]
struct Lag(Option<(u64, Instant)>);

impl Lag {
    /// `led_to`: what the leader has applied, 0 where it does not say.
    fn of(&mut self, led_to: u64, applied: u64, now: Instant) -> Duration {
        match self.0 {
            Some((wanted, since)) if applied < wanted => now.saturating_duration_since(since),
            _ => {
                self.0 = (applied < led_to).then_some((led_to, now));
                Duration::ZERO
            }
        }
    }
}

/// How long the same has been wrong.
#[derive(Debug, Default)]
struct Spell(Option<(Ended, Instant)>);

impl Spell {
    fn of(&mut self, flaw: Option<Ended>, now: Instant) -> Duration {
        match (self.0, flaw) {
            (Some((known, since)), Some(flaw)) if known == flaw => now.saturating_duration_since(since),
            _ => {
                self.0 = flaw.map(|flaw| (flaw, now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_who_cannot_write_or_keep_up_is_old() {
        assert_eq!(flaw(true, false, false), None);
        assert_eq!(flaw(false, true, true), Some(Ended::Stale));
        assert_eq!(flaw(true, true, true), Some(Ended::Full));
        assert_eq!(flaw(true, false, true), Some(Ended::Behind));
    }

    /// Found by a breaker: the applied index of a manager with a full disk stood still, and its sessions went on.
    #[test]
    fn who_stands_still_is_behind_and_who_follows_at_a_distance_is_not() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut lag = Lag::default();
        let mut behind = |led_to, applied, after: u32| lag.of(led_to, applied, start + second * after);
        assert_eq!(behind(10, 10, 0), Duration::ZERO);
        assert_eq!([behind(20, 15, 1), behind(30, 20, 2), behind(40, 30, 3)], [Duration::ZERO; 3]);
        assert_eq!([behind(50, 39, 4), behind(60, 39, 9)], [second, second * 6]);
        assert_eq!(behind(60, 40, 10), Duration::ZERO);
        // Nobody says how far they are: what was missing is missing all the same.
        assert_eq!(
            [behind(0, 59, 12), behind(0, 60, 13), behind(0, 60, 14)],
            [second * 2, Duration::ZERO, Duration::ZERO]
        );
    }

    #[test]
    fn each_trouble_has_its_own_time() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut spell = Spell::default();
        let mut lasted = |flaw, after: u32| spell.of(flaw, start + second * after);
        assert_eq!(
            [lasted(Some(Ended::Full), 0), lasted(Some(Ended::Full), 3)],
            [Duration::ZERO, second * 3]
        );
        assert_eq!(
            [lasted(Some(Ended::Stale), 4), lasted(Some(Ended::Stale), 6)],
            [Duration::ZERO, second * 2]
        );
        assert_eq!([lasted(None, 7), lasted(Some(Ended::Full), 8)], [Duration::ZERO; 2]);
    }
}
