//! What makes every manager's state: entries of the log, and snapshots. A manager that panics on one does so again
//! after each restart, and so do its peers.

use swarm_state::{Entry, Snapshot, State, apply};

/// One entry, or several, each with its length before it (two bytes, big end first), applied in turn.
///
/// # Panics
/// The state breaks one of its invariants.
pub fn entries(bytes: &[u8]) {
    let mut state = State::default();
    let single: Option<Entry> = rmp_serde::from_slice(bytes).ok();
    let several = std::iter::from_fn({
        let mut rest = bytes;
        move || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (piece, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = after;
            rmp_serde::from_slice::<Entry>(piece).ok()
        }
    });
    let mut index = 0;
    for entry in single.into_iter().chain(several) {
        index += 1;
        let _ = apply(&mut state, index, &entry);
    }
    if index > 0 {
        assert_eq!(state.check_invariants(), Ok(()));
        let bytes = rmp_serde::to_vec_named(&state.snapshot()).expect("a snapshot");
        let again = State::from_snapshot(rmp_serde::from_slice(&bytes).expect("a snapshot"));
        assert!(again.is_ok_and(|again| again == state), "the snapshot is not the state");
    }
}

/// # Panics
/// A snapshot that was taken breaks an invariant, or is another one when written again.
pub fn snapshot(bytes: &[u8]) {
    let Ok(snapshot) = rmp_serde::from_slice::<Snapshot>(bytes) else { return };
    let Ok(state) = State::from_snapshot(snapshot) else { return };
    assert_eq!(state.check_invariants(), Ok(()));
    let bytes = rmp_serde::to_vec_named(&state.snapshot()).expect("a snapshot");
    let again = State::from_snapshot(rmp_serde::from_slice(&bytes).expect("a snapshot"));
    assert!(again.is_ok_and(|again| again == state), "not the same again");
}
