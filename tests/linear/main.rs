//! The checker of histories, checked: against histories known to be good and bad, against every permutation of small
//! ones, and against the tester of the `stateright` crate. Knows nothing of daemons.

mod generated;
mod known;
mod oracle;

use swarm_tests::linear::{Answer, Call, Interval, Op, Returned, Slot, Verdict, search};

const BUDGET: usize = 1_000_000;

fn call(client: u32, op: Op, invoked_us: u64, returned: Option<(u64, Answer)>) -> Call {
    let returned = returned.map(|(at_us, answer)| Returned { at_us, answer });
    Call { client, key: "k".to_owned(), op, invoked_us, returned }
}

fn interval(call: &Call) -> Interval<'_, Slot> {
    let returned = call.returned.as_ref().map(|returned| (returned.at_us, &returned.answer));
    Interval { op: &call.op, invoked: call.invoked_us, returned }
}

fn is_linearizable(calls: &[Call]) -> bool {
    let intervals: Vec<_> = calls.iter().map(interval).collect();
    match search(&intervals, BUDGET) {
        Verdict::Linearizable => true,
        Verdict::Violated { .. } => false,
        Verdict::Undecided { steps } => panic!("undecided after {steps} steps: {calls:#?}"),
    }
}
