//! Watches the disk under the log, and has a leader step aside before it is full.
//!
//! Knows: when to look, and what a leader does then. Must not know: what is refused meanwhile.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{HAND_OVER, Inner, members};
use crate::config::RaftConfig;
use crate::space::{is_full, largest_file, needed};

/// Between two looks; at 30 MB/s the default reserve lasts for two of them.
const LOOK: Duration = Duration::from_secs(1);
/// Before leadership that came back is passed on again: then the others are likely to be full as well.
const PAUSE: Duration = Duration::from_secs(30);

/// Looks as long as the node exists.
pub fn watch(node: &Arc<Inner>, full: watch::Sender<bool>, config: RaftConfig) {
    let node = Arc::downgrade(node);
    tokio::spawn(async move {
        let mut stepped_aside: Option<Instant> = None;
        while node.strong_count() > 0 {
            let was_full = *full.borrow();
            let (now_full, free) = look(was_full, &config).await.unwrap_or((was_full, 0));
            if now_full && !was_full {
                tracing::error!(dir = %config.dir.display(), free_bytes = free,
                    "the disk under the Raft log is full; this manager takes no changes until there is space again");
            }
            if now_full && stepped_aside.is_none_or(|at| at.elapsed() > PAUSE) && step_aside(&node).await {
                stepped_aside = Some(Instant::now());
            }
            if was_full && !now_full {
                tracing::info!(free_bytes = free, "there is space for the Raft log again");
                stepped_aside = None;
            }
            // Afterwards: until another leads, changes are better asked for again than refused.
            full.send_replace(now_full);
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// Whether the disk counts as full now, and what is free; `None` if nobody can say.
async fn look(was_full: bool, config: &RaftConfig) -> Option<(bool, u64)> {
    let config = config.clone();
    let asked = move || {
        let free = config.free_space.of(&config.dir).ok()?;
        let needed = match config.reserve_bytes {
            0 => 0,
            reserve => needed(reserve, largest_file(&config.snapshots_dir())),
        };
        Some((is_full(was_full, free, needed), free))
    };
    tokio::task::spawn_blocking(asked).await.ok().flatten()
}

/// Hands leadership over if this manager leads and another may. Whether it tried.
async fn step_aside(node: &Weak<Inner>) -> bool {
    let Some(node) = node.upgrade() else { return false };
    let Some(to) = node.successor() else { return false };
    if let Err(error) = members::transfer_leader(&node, to, HAND_OVER).await {
        tracing::warn!(%error, "leadership was not handed over although the disk is full");
    }
    true
}
