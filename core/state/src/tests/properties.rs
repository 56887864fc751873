//! What holds for any sequence of commands.

use super::build::id;
use super::script::{NODES, entries};
use crate::tables::Tables;
use crate::*;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use proptest::prelude::*;
use swarm_model::{Assigned, Assignment, NodeId, RequestId};

/// Applies the next entry of the log.
fn next(state: &mut State, entry: &Entry) -> Applied {
    let index = state.revision() + 1;
    apply(state, index, entry)
}

fn replay(entries: &[Entry]) -> State {
    let mut state = State::default();
    for entry in entries {
        next(&mut state, entry);
    }
    state
}

/// What changes without anybody having to hear of it.
fn concerns_no_node(command: &Command) -> bool {
    matches!(
        command,
        Command::RotateJoinSecret(_)
            | Command::CreateToken(_)
            | Command::RevokeToken { .. }
            | Command::CreateUser(_)
            | Command::RemoveUser { .. }
    )
}

/// The tables, but for what every entry changes.
fn content(state: &State) -> Tables {
    let (applied, clock, requests) = Default::default();
    Tables { applied, clock, requests, ..state.tables.clone() }
}

fn through_bytes(state: &State) -> State {
    let bytes = rmp_serde::to_vec_named(&state.snapshot()).unwrap();
    State::from_snapshot(rmp_serde::from_slice(&bytes).unwrap()).unwrap()
}

/// A worker's session: what it holds, and the events since.
struct Follower {
    node: NodeId,
    held: Assigned,
    since: Vec<Event>,
}

impl Follower {
    fn catch_up(&mut self, state: &State) {
        let changes = state.changes_for(&self.node, &self.since);
        self.since.clear();
        if !changes.is_empty() {
            let (applies_to, results_in) = (self.held.revision, state.revision());
            self.held.take(Assignment::Incremental { applies_to, results_in, changes }).unwrap();
        }
        // A node that was removed is told by the end of its session.
        let role = state.node(&self.node).map_or(self.held.role, |node| Some(node.role));
        let whole = Assigned { revision: self.held.revision, role, ..state.assigned(&self.node) };
        assert_eq!(self.held, whole, "the changes of {} do not add up", self.node);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_refusals_change_nothing(entries in entries(120)) {
        let mut state = State::default();
        for entry in &entries {
            let before = content(&state);
            let Applied { reply, events } = next(&mut state, entry);
            if let Err(problems) = state.check_invariants() {
                prop_assert!(false, "{entry:?} → {reply:?}: {problems:?}");
            }
            if let Reply::Refused(refusal) = &reply {
                prop_assert!(before == content(&state), "{entry:?} was refused ({refusal}), yet changed the state");
                prop_assert!(events.is_empty());
            }
            if events.is_empty() && !concerns_no_node(&entry.command) {
                prop_assert!(before == content(&state), "{entry:?} changed the state without an event");
            }
        }
    }

    #[test]
    fn snapshot_and_rest_of_log_are_replay(entries in entries(120), at in any::<prop::sample::Index>()) {
        let (log, rest) = entries.split_at(at.index(entries.len() + 1));
        let mut state = replay(log);
        let mut restored = through_bytes(&state);
        prop_assert!(restored == state);
        for entry in rest {
            prop_assert_eq!(next(&mut restored, entry), next(&mut state, entry));
        }
        prop_assert!(restored == state && replay(&entries) == state);
    }

    #[test]
    fn changes_in_spans_of_any_length_add_up_to_the_assignment(
        entries in entries(120),
        wakes in prop::collection::vec(prop::bool::weighted(0.3), 5 * 120 + 20),
    ) {
        let mut state = State::default();
        let follower = |n| Follower { node: id(n), held: Assigned::default(), since: Vec::new() };
        let mut followers: Vec<_> = (0..NODES).map(follower).collect();
        let mut wakes = wakes.into_iter();
        for entry in &entries {
            let applied = next(&mut state, entry);
            for follower in &mut followers {
                follower.since.extend(&applied.events);
                let touched = match state.touched(&applied.events) {
                    Touched::All => true,
                    Touched::Nodes(nodes) => nodes.contains(&follower.node),
                };
                prop_assert!(touched || state.changes_for(&follower.node, &applied.events).is_empty());
                if wakes.next() == Some(true) {
                    follower.catch_up(&state);
                }
            }
        }
        followers.iter_mut().for_each(|follower| follower.catch_up(&state));
    }

    #[test]
    fn a_request_asked_again_gets_the_first_answer_and_does_nothing(
        entries in entries(80),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let mut state = State::default();
        let mut answers: BTreeMap<RequestId, (Verb, Reply)> = BTreeMap::new();
        let mut again = again.into_iter();
        for (i, entry) in entries.iter().enumerate() {
            // One wall clock, so that no answer is forgotten.
            let asked = |entry: &Entry| Entry { now_ms: 1_000_000, ..entry.clone() };
            let twice = again.next().map(|index| &entries[index.index(i + 1)]);
            for entry in twice.into_iter().chain([entry]) {
                let before = content(&state);
                let Applied { reply, events } = next(&mut state, &asked(entry));
                let Some(request) = entry.request else { continue };
                let verb = entry.command.verb();
                match answers.get(&request) {
                    None => drop(answers.insert(request, (verb, reply))),
                    Some((first, answer)) => {
                        let reused = Reply::Refused(Refusal::RequestReused { first: *first, now: verb });
                        prop_assert_eq!(&reply, if *first == verb { answer } else { &reused });
                        prop_assert!(events.is_empty() && before == content(&state));
                    }
                }
            }
        }
    }
}
