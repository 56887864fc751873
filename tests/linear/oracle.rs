//! Two other ways to the same verdict: every permutation of every choice of open calls, and `stateright`'s tester.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use swarm_tests::linear::{Answer, Call, Op, Slot, Spec};

/// By trying everything. For a handful of calls.
pub fn brute_force(calls: &[Call]) -> bool {
    let (closed, open): (Vec<&Call>, Vec<&Call>) = calls.iter().partition(|call| call.returned.is_some());
    (0..1_u32 << open.len()).any(|chosen| {
        let happened =
            open.iter().enumerate().filter(|(bit, _)| chosen >> bit & 1 == 1).map(|(_, call)| *call);
        permuted(&mut Vec::new(), &closed.iter().copied().chain(happened).collect::<Vec<_>>())
    })
}

fn permuted(order: &mut Vec<usize>, calls: &[&Call]) -> bool {
    if order.len() == calls.len() {
        return in_time(order, calls) && explains(order, calls);
    }
    (0..calls.len()).any(|at| {
        if order.contains(&at) {
            return false;
        }
        order.push(at);
        let found = permuted(order, calls);
        order.pop();
        found
    })
}

fn in_time(order: &[usize], calls: &[&Call]) -> bool {
    let end = |at: usize| calls[at].returned.as_ref().map_or(u64::MAX, |returned| returned.at_us);
    order
        .iter()
        .enumerate()
        .all(|(n, earlier)| order[n + 1..].iter().all(|later| end(*later) >= calls[*earlier].invoked_us))
}

fn explains(order: &[usize], calls: &[&Call]) -> bool {
    let step = |state: Option<String>, at: &usize| {
        Slot::step(&state, &calls[*at].op, calls[*at].returned.as_ref().map(|returned| &returned.answer))
    };
    order.iter().try_fold(None, step).is_some()
}

/// Written once more from its description, so that an error in the checked rules shows.
#[derive(Clone, Default)]
struct Place(Option<String>);

impl SequentialSpec for Place {
    type Op = Op;
    type Ret = Answer;

    fn invoke(&mut self, op: &Op) -> Answer {
        let done = |holds: bool| if holds { Answer::Done } else { Answer::Refused };
        match op {
            Op::Read => return Answer::Value(self.0.clone()),
            Op::Write(value) => self.0 = Some(value.clone()),
            Op::Swap { from, to } => {
                let holds = self.0 == *from;
                self.0 = if holds { Some(to.clone()) } else { self.0.take() };
                return done(holds);
            }
            Op::Claim(value) => {
                let free = self.0.is_none();
                self.0.get_or_insert_with(|| value.clone());
                return done(free);
            }
            Op::Clear => return done(self.0.take().is_some()),
            Op::Release(value) => drop(self.0.take_if(|held| held == value)),
        }
        Answer::Done
    }
}

/// Each open call is a thread of its own: nobody waits for it.
pub fn stateright(calls: &[Call]) -> bool {
    let mut tester = LinearizabilityTester::new(Place::default());
    let mut events = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let thread = if call.returned.is_some() { call.client } else { 1_000 + at as u32 };
        events.push((call.invoked_us, false, thread, call));
        if let Some(returned) = &call.returned {
            events.push((returned.at_us, true, thread, call));
        }
    }
    // At the same moment invocations come first: such calls overlap.
    events.sort_by_key(|(time, returns, ..)| (*time, *returns));
    for (_, returns, thread, call) in events {
        let said = match (&call.returned, returns) {
            (Some(returned), true) => tester.on_return(thread, returned.answer.clone()),
            _ => tester.on_invoke(thread, call.op.clone()),
        };
        said.expect("each client makes one call at a time");
    }
    tester.is_consistent()
}
