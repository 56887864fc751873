//! Small random histories, honest and spoilt: all three judges agree on each.

use crate::{call, is_linearizable, oracle};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use swarm_tests::linear::{Answer, Call, Op, Slot, Spec};

const CLIENTS: u64 = 3;

/// What a call is made of; times are relative, so that shrinking keeps them in order.
#[derive(Debug, Clone)]
struct Seed {
    client: u64,
    op: Op,
    gap: u64,
    length: u64,
    /// When it takes effect, in hundredths of its length.
    point: u64,
    fate: u8,
}

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Read),
        2 => value().prop_map(Op::Write),
        2 => (prop::option::of(value()), value()).prop_map(|(from, to)| Op::Swap { from, to }),
        2 => value().prop_map(Op::Claim),
        1 => Just(Op::Clear),
        1 => value().prop_map(Op::Release),
    ]
}

fn seed() -> impl Strategy<Value = Seed> {
    (0..CLIENTS, op(), 0..6_u64, 0..12_u64, 0..=100_u64, 0..12_u8)
        .prop_map(|(client, op, gap, length, point, fate)| Seed { client, op, gap, length, point, fate })
}

/// Plays the calls on one place, each at its own moment; some end open, some with a wrong answer.
fn play(seeds: &[Seed]) -> Vec<Call> {
    let mut clock = [0; CLIENTS as usize];
    let mut calls = Vec::new();
    for seed in seeds {
        let now = &mut clock[seed.client as usize];
        let invoked = *now + seed.gap;
        *now = invoked + seed.length + 1;
        let point = invoked * 100 + seed.length * seed.point;
        calls.push((
            point,
            invoked + seed.length,
            call(seed.client as u32, seed.op.clone(), invoked, None),
            seed.fate,
        ));
    }
    calls.sort_by_key(|(point, ..)| *point);
    let mut state = None;
    for (_, end, call, fate) in &mut calls {
        if *fate == 0 {
            continue; // open, and never happened
        }
        let answers = [Answer::Done, Answer::Refused, Answer::Value(state.clone())];
        let honest = answers.into_iter().find(|answer| Slot::step(&state, &call.op, Some(answer)).is_some());
        state = Slot::step(&state, &call.op, None).unwrap_or_default();
        call.returned = match fate {
            1 => None,
            2 => Some((*end, spoilt(&call.op))),
            _ => honest.map(|answer| (*end, answer)),
        }
        .map(|(at_us, answer)| swarm_tests::linear::Returned { at_us, answer });
    }
    calls.into_iter().map(|(_, _, call, _)| call).collect()
}

fn spoilt(op: &Op) -> Answer {
    match op {
        Op::Read => Answer::Value(Some("b".to_owned())),
        Op::Swap { .. } | Op::Claim(_) => Answer::Done,
        Op::Write(_) | Op::Clear | Op::Release(_) => Answer::Refused,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn small_histories_are_judged_as_every_permutation_says(seeds in prop::collection::vec(seed(), 1..7)) {
        let calls = play(&seeds);
        prop_assert_eq!(is_linearizable(&calls), oracle::brute_force(&calls), "{:#?}", calls);
    }

    #[test]
    fn histories_are_judged_as_stateright_says(seeds in prop::collection::vec(seed(), 1..13)) {
        let calls = play(&seeds);
        prop_assert_eq!(is_linearizable(&calls), oracle::stateright(&calls), "{:#?}", calls);
    }

    #[test]
    fn an_honest_history_is_linearizable(seeds in prop::collection::vec(seed(), 1..60)) {
        let honest: Vec<Seed> = seeds.into_iter().filter(|seed| seed.fate != 2).collect();
        prop_assert!(is_linearizable(&play(&honest)));
    }
}

/// The comparison is worth something only if both verdicts are common.
#[test]
fn both_verdicts_occur() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(seed(), 3..13);
    let verdicts = (0..500).map(|_| {
        let seeds = strategy.new_tree(&mut runner).expect("a history").current();
        is_linearizable(&play(&seeds))
    });
    let good = verdicts.filter(|good| *good).count();
    assert!((100..400).contains(&good), "{good} of 500 are linearizable");
}
