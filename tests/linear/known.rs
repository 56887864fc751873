//! Histories whose verdict is known: the bugs that linearizability is there to catch, and the oddities it allows.

use crate::{call, is_linearizable, oracle};
use swarm_tests::linear::{Answer, Call, History, Op, judge};

fn write(value: &str) -> Op {
    Op::Write(value.to_owned())
}
fn swap(from: &str, to: &str) -> Op {
    Op::Swap { from: Some(from.to_owned()), to: to.to_owned() }
}
fn saw(value: &str) -> Answer {
    Answer::Value(Some(value.to_owned()))
}
const DONE: Answer = Answer::Done;
const NOTHING: Answer = Answer::Value(None);

#[track_caller]
fn expect(verdict: bool, calls: &[Call]) {
    assert_eq!(is_linearizable(calls), verdict, "ours: {calls:#?}");
    assert_eq!(oracle::brute_force(calls), verdict, "every permutation: {calls:#?}");
    assert_eq!(oracle::stateright(calls), verdict, "stateright: {calls:#?}");
}

#[test]
fn a_stale_read_is_rejected() {
    expect(
        false,
        &[
            call(1, write("a"), 0, Some((10, DONE))),
            call(1, write("b"), 20, Some((30, DONE))),
            call(2, Op::Read, 40, Some((50, saw("a")))),
        ],
    );
}

#[test]
fn a_value_that_was_seen_does_not_go_away_again() {
    expect(
        false,
        &[
            call(1, write("a"), 0, Some((100, DONE))),
            call(2, Op::Read, 10, Some((20, saw("a")))),
            call(3, Op::Read, 30, Some((40, NOTHING))),
        ],
    );
}

#[test]
fn an_acknowledged_write_that_is_lost_is_rejected() {
    expect(false, &[call(1, write("a"), 0, Some((10, DONE))), call(2, Op::Read, 20, Some((30, NOTHING)))]);
}

#[test]
fn a_lost_update_is_rejected() {
    expect(
        false,
        &[
            call(1, write("a"), 0, Some((10, DONE))),
            call(2, swap("a", "b"), 20, Some((40, DONE))),
            call(3, swap("a", "c"), 20, Some((40, DONE))),
        ],
    );
}

#[test]
fn a_call_that_was_done_twice_is_rejected() {
    expect(
        false,
        &[
            call(1, Op::Claim("a".into()), 0, Some((10, DONE))),
            call(1, Op::Clear, 20, Some((30, DONE))),
            call(2, Op::Read, 40, Some((50, saw("a")))),
        ],
    );
    // A retry that was taken for a second call: its own success refuses it.
    expect(false, &[call(1, Op::Claim("a".into()), 0, Some((10, Answer::Refused)))]);
}

#[test]
fn a_read_from_the_future_is_rejected() {
    expect(false, &[call(1, Op::Read, 0, Some((10, saw("a")))), call(2, write("a"), 20, Some((30, DONE)))]);
    expect(false, &[call(1, Op::Read, 0, Some((10, saw("a")))), call(2, write("a"), 20, None)]);
}

#[test]
fn two_holders_of_one_place_are_rejected() {
    expect(
        false,
        &[
            call(1, Op::Claim("a".into()), 0, Some((50, DONE))),
            call(2, Op::Claim("b".into()), 10, Some((60, DONE))),
        ],
    );
}

#[test]
fn calls_that_overlap_may_take_effect_in_either_order() {
    for seen in ["a", "b"] {
        expect(
            true,
            &[
                call(1, write("a"), 0, Some((50, DONE))),
                call(2, write("b"), 10, Some((40, DONE))),
                call(3, Op::Read, 60, Some((70, saw(seen)))),
            ],
        );
    }
}

#[test]
fn an_open_call_may_take_effect_late_or_never() {
    let open = |seen: Answer| {
        vec![
            call(1, write("a"), 0, Some((10, DONE))),
            call(2, write("b"), 20, None),
            call(3, Op::Read, 40, Some((50, saw("a")))),
            call(3, Op::Read, 60, Some((70, seen))),
        ]
    };
    expect(true, &open(saw("a")));
    expect(true, &open(saw("b")));
    // But only once.
    let mut twice = open(saw("b"));
    twice.push(call(1, write("c"), 80, Some((90, DONE))));
    twice.push(call(3, Op::Read, 100, Some((110, saw("b")))));
    expect(false, &twice);
}

#[test]
fn an_open_release_explains_an_empty_place() {
    expect(
        true,
        &[
            call(1, Op::Claim("a".into()), 0, None),
            call(1, Op::Release("a".into()), 0, None),
            call(2, Op::Claim("b".into()), 10, Some((20, Answer::Refused))),
            call(3, Op::Claim("c".into()), 30, Some((40, DONE))),
        ],
    );
}

/// One key's trouble is told with its name and its calls; the other keys are not drawn in.
#[test]
fn a_history_is_judged_key_by_key() {
    let on = |key: &str, call: Call| Call { key: key.to_owned(), ..call };
    let mut history = History::default();
    for n in 0..200_u64 {
        let value = format!("v{n}");
        history.calls.push(on("good", call(1, Op::Write(value.clone()), n * 10, Some((n * 10 + 5, DONE)))));
        history.calls.push(on("bad", call(2, Op::Write(value), n * 10, Some((n * 10 + 5, DONE)))));
    }
    assert_eq!(judge(&history).map(|judged| (judged.keys, judged.calls, judged.open)), Ok((2, 400, 0)));
    history.calls.push(on("bad", call(3, Op::Read, 2_001, Some((2_002, saw("v198"))))));
    let broken = judge(&history).unwrap_err();
    assert!(broken.len() == 1 && broken[0].key == "bad", "{broken:?}");
    let told = broken[0].to_string();
    assert!(told.contains("200 of 201") && told.contains("Value(Some(\"v198\"))"), "{told}");
}

/// Open calls are the costly ones: each may lie anywhere behind its invocation.
#[test]
fn many_open_calls_are_decided() {
    let mut calls = Vec::new();
    for n in 0..300_u64 {
        let returned = (n % 10 != 0).then_some((n * 10 + 15, DONE));
        calls.push(call((n % 3) as u32, Op::Write(format!("v{n}")), n * 10, returned));
        if n % 10 == 5 {
            calls.push(call(9, Op::Read, n * 10 + 20, Some((n * 10 + 21, saw(&format!("v{n}"))))));
        }
    }
    assert!(is_linearizable(&calls));
}

#[test]
fn a_history_comes_back_from_its_file() {
    let calls = vec![
        call(1, swap("a", "b"), 0, Some((10, Answer::Refused))),
        call(2, Op::Read, 5, Some((7, NOTHING))),
        call(3, Op::Release("b".into()), 6, None),
    ];
    let history = History { calls };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.jsonl");
    history.save(&path).unwrap();
    assert_eq!(History::load(&path).unwrap(), history);
    std::fs::write(&path, "{}\n").unwrap();
    assert!(History::load(&path).unwrap_err().to_string().contains("history.jsonl:1"));
}
