//! How far apart the managers are, and what that means for Raft's clocks. Pure.
//!
//! Knows: round trips and bounds. Must not know: how a round trip is measured or where it is kept.
//!
//! openraft fixes its clocks when it starts, so what is measured now takes effect at the next start.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::config::Timing;

/// An election must outlast so many round trips: a heartbeat, some that got lost, and the votes.
const TRIPS_PER_ELECTION: u32 = 10;
/// openraft gives up a heartbeat that takes longer than the time between two.
const TRIPS_PER_HEARTBEAT: u32 = 2;
/// Beyond this, managers are too far apart for one group; a lost leader must be missed within seconds all the same.
const MAX_ELECTION: Duration = Duration::from_secs(5);
/// Measurements of one voter that count: those of the last minutes.
const REMEMBERED: usize = 12;

/// The clocks for managers this far apart: those given, unless a round trip takes too long for them.
pub fn timing(given: Timing, round_trip: Duration) -> Timing {
    let ms = |time: Duration| u64::try_from(time.min(MAX_ELECTION).as_millis()).unwrap_or(u64::MAX);
    let election_min_ms = given.election_min_ms.max(ms(round_trip.saturating_mul(TRIPS_PER_ELECTION)));
    let spread = given.election_max_ms.saturating_sub(given.election_min_ms);
    let stretched = spread.saturating_mul(election_min_ms) / given.election_min_ms.max(1);
    // A follower must hear several heartbeats before it may think of an election.
    let heartbeat_ms = ms(round_trip.saturating_mul(TRIPS_PER_HEARTBEAT)).min(election_min_ms / 4);
    Timing {
        heartbeat_ms: given.heartbeat_ms.max(heartbeat_ms),
        election_min_ms,
        election_max_ms: election_min_ms + stretched,
        ..given
    }
}

/// Whether clocks that would suit better are worth the trouble: an election timeout off by a quarter.
pub fn differ(now: &Timing, better: &Timing) -> bool {
    now.election_min_ms.abs_diff(better.election_min_ms) * 4 > now.election_min_ms
}

/// Round trips to the voters this manager reaches. How far somebody is shows in the quickest of them: a host that is
/// busy, or kept busy by a flood, makes them longer, and nothing makes them shorter.
#[derive(Debug, Default)]
pub struct Distances(BTreeMap<u64, VecDeque<Duration>>);

impl Distances {
    /// Takes one measurement into account.
    pub fn measured(&mut self, id: u64, trip: Duration) {
        let trips = self.0.entry(id).or_default();
        if trips.len() >= REMEMBERED {
            trips.pop_front();
        }
        trips.push_back(trip);
    }

    /// Forgets everybody who is no voter any more.
    pub fn keep(&mut self, is_voter: impl Fn(u64) -> bool) {
        self.0.retain(|id, _| is_voter(*id));
    }

    /// To the farthest.
    pub fn largest(&self) -> Option<Duration> {
        self.0.values().filter_map(|trips| trips.iter().min()).max().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIVEN: Timing =
        Timing { heartbeat_ms: 60, election_min_ms: 250, election_max_ms: 450, request_ms: 5_000 };

    #[test]
    fn near_managers_keep_the_clocks_they_were_given() {
        for us in [0, 50, 900, 12_000, 25_000] {
            assert_eq!(timing(GIVEN, Duration::from_micros(us)), GIVEN);
        }
    }

    #[test]
    fn far_managers_wait_longer_and_no_longer_than_the_bound() {
        let far = timing(GIVEN, Duration::from_millis(100));
        assert_eq!((far.heartbeat_ms, far.election_min_ms, far.election_max_ms), (200, 1_000, 1_800));
        let moon = timing(GIVEN, Duration::from_millis(2_600));
        assert_eq!((moon.heartbeat_ms, moon.election_min_ms, moon.election_max_ms), (1_250, 5_000, 9_000));
        assert_eq!(timing(GIVEN, Duration::MAX), moon);
    }

    #[test]
    fn small_differences_are_left_alone() {
        assert!(!differ(&GIVEN, &timing(GIVEN, Duration::from_millis(30))));
        assert!(differ(&GIVEN, &timing(GIVEN, Duration::from_millis(40))));
        assert!(differ(&timing(GIVEN, Duration::from_millis(40)), &GIVEN));
    }

    #[test]
    fn the_farthest_voter_counts_by_its_quickest_answer() {
        let ms = Duration::from_millis;
        let mut distances = Distances::default();
        assert_eq!(distances.largest(), None);
        distances.measured(2, ms(4));
        distances.measured(3, ms(40));
        // A flood that lasts for a minute.
        for _ in 0..6 {
            distances.measured(2, ms(2_000));
            distances.measured(3, ms(2_000));
        }
        assert_eq!(distances.largest(), Some(ms(40)));
        distances.keep(|id| id == 2);
        assert_eq!(distances.largest(), Some(ms(4)));
    }

    #[test]
    fn a_voter_that_is_farther_for_minutes_is_farther() {
        let mut distances = Distances::default();
        distances.measured(2, Duration::from_millis(4));
        (0..REMEMBERED).for_each(|_| distances.measured(2, Duration::from_millis(100)));
        assert_eq!(distances.largest(), Some(Duration::from_millis(100)));
    }

    proptest! {
        #[test]
        fn openraft_takes_every_outcome(us in 0u64..10_000_000) {
            let timing = timing(GIVEN, Duration::from_micros(us));
            prop_assert!(timing.heartbeat_ms * 2 < timing.election_min_ms);
            prop_assert!(timing.election_min_ms < timing.election_max_ms);
        }
    }
}
