//! When the cluster's secrets are renewed. Knows: how old they are. Must not know: what is sealed with them.

use crate::propose::now_ms;
use crate::seat::Seat;
use std::time::{Duration, Instant};
use swarm_identity::random;
use swarm_model::SecretBytes;
use swarm_state::{Command, State, TurnRing};

/// The feature level from which there is a ring.
const LEVEL: u32 = 4;

/// A leader's own count of how long the newest generation has been so: the clock that made it may have been far ahead.
#[derive(Default)]
pub struct Seen(Option<(u64, Instant)>);

/// Draws another generation when it is time.
pub async fn turn(seat: &Seat, seen: &mut Seen) {
    let Some(after) = seat.applied.read(|state| due(state, seen, now_ms())) else { return };
    let [gossip, pairs] = [(); 2].map(|()| SecretBytes(random::bytes()));
    match seat.propose_own(Command::TurnRing(TurnRing { after, gossip, pairs })).await {
        Ok(_) => tracing::info!(generation = after + 1, "the cluster's secrets were renewed"),
        Err(e) => tracing::debug!(reason = %e, "the cluster's secrets were not renewed yet"),
    }
}

/// The generation after which another is due.
fn due(state: &State, seen: &mut Seen, now_ms: u64) -> Option<u64> {
    let cluster = state.cluster().filter(|cluster| cluster.feature_level >= LEVEL)?;
    let (newest, every_ms) = (cluster.ring.newest(), cluster.settings.key_rotation_ms);
    let since = match seen.0 {
        Some((generation, since)) if generation == newest => since,
        _ => Instant::now(),
    };
    seen.0 = Some((newest, since));
    let old = since.elapsed() >= Duration::from_millis(every_ms);
    (old || cluster.ring.is_due(now_ms, every_ms)).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::testing::of_level;
    use swarm_state::{Entry, apply};

    #[test]
    fn the_first_is_made_with_the_level_and_the_next_in_time() {
        let mut seen = Seen::default();
        assert_eq!(due(&of_level(3, &[(1, 3)]), &mut seen, 0), None);
        let mut state = of_level(4, &[(1, 4)]);
        assert_eq!(due(&state, &mut seen, 0), Some(0));
        let drawn = || SecretBytes([1; 32]);
        let command = Command::TurnRing(TurnRing { after: 0, gossip: drawn(), pairs: drawn() });
        apply(&mut state, 1_000, &Entry { request: None, now_ms: 5_000, command });
        let every_ms = state.cluster().unwrap().settings.key_rotation_ms;
        assert_eq!(due(&state, &mut seen, 5_000 + every_ms - 1), None);
        assert_eq!(due(&state, &mut seen, 5_000 + every_ms), Some(1));
        seen.0 = Some((1, Instant::now().checked_sub(Duration::from_millis(every_ms)).unwrap()));
        assert_eq!(due(&state, &mut seen, 0), Some(1), "the clock that made it was ahead");
    }
}
