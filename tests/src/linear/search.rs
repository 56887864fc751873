//! The search for an order that explains a history: Wing and Gong 1993 with Lowe's memory of what was tried (2017).
//! Takes calls one after the other, each at a moment between its invocation and its return; goes back when stuck; never
//! tries the same set of calls with the same state twice. Knows a specification by one function.

use std::collections::HashSet;
use std::hash::Hash;

/// What an object does when nobody else is there.
pub trait Spec {
    type State: Clone + Eq + Hash + Default;
    type Op;
    type Answer;

    /// The state after `op`, if it may answer so; without an answer, whatever it answered.
    fn step(state: &Self::State, op: &Self::Op, answer: Option<&Self::Answer>) -> Option<Self::State>;
}

/// A call as the search sees it. Open calls (no answer) never end and need not happen.
pub struct Interval<'h, S: Spec> {
    pub op: &'h S::Op,
    pub invoked: u64,
    pub returned: Option<(u64, &'h S::Answer)>,
}

impl<S: Spec> Interval<'_, S> {
    fn end(&self) -> u64 {
        self.returned.map_or(u64::MAX, |(at, _)| at)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    /// No order explains it. The longest one found, as positions in what was given, and the calls of which one should
    /// have come next.
    Violated {
        explained: Vec<usize>,
        stuck: Vec<usize>,
    },
    /// Given up after so many steps.
    Undecided {
        steps: usize,
    },
}

/// Where the search stands: what was taken, and what is still to be tried at each point.
struct Walk<'c, 'h, S: Spec> {
    calls: &'c [Interval<'h, S>],
    /// Positions by invocation: calls with an answer, and open ones.
    closed: Vec<usize>,
    open: Vec<usize>,
    taken: Vec<u64>,
    path: Vec<usize>,
    frames: Vec<Frame<S::State>>,
    seen: HashSet<(Vec<u64>, S::State)>,
    left: usize,
}

struct Frame<State> {
    state: State,
    /// To be tried, last first.
    choices: Vec<usize>,
}

/// `budget` bounds the number of steps tried, and with it the memory.
pub fn search<S: Spec>(calls: &[Interval<'_, S>], budget: usize) -> Verdict {
    let mut walk = Walk::new(calls);
    let (mut longest, mut stuck) = (Vec::new(), walk.choices());
    walk.frames.push(Frame { state: S::State::default(), choices: stuck.clone() });
    let mut steps = 0;
    while walk.left > 0 {
        let Some(frame) = walk.frames.last_mut() else {
            return Verdict::Violated { explained: longest, stuck };
        };
        let Some(next) = frame.choices.pop() else {
            walk.back();
            continue;
        };
        steps += 1;
        if steps > budget {
            return Verdict::Undecided { steps };
        }
        if walk.forward(next) && walk.path.len() > longest.len() {
            longest.clone_from(&walk.path);
            stuck = walk.choices();
        }
    }
    Verdict::Linearizable
}

impl<'c, 'h, S: Spec> Walk<'c, 'h, S> {
    fn new(calls: &'c [Interval<'h, S>]) -> Self {
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|at| calls[*at].invoked);
        let (closed, open): (Vec<_>, Vec<_>) =
            order.into_iter().partition(|at| calls[*at].returned.is_some());
        Self {
            calls,
            left: closed.len(),
            closed,
            open,
            taken: vec![0; calls.len().div_ceil(64)],
            path: Vec::new(),
            frames: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn is_taken(&self, at: usize) -> bool {
        self.taken[at / 64] >> (at % 64) & 1 == 1
    }

    fn flip(&mut self, at: usize) {
        self.taken[at / 64] ^= 1 << (at % 64);
    }

    /// Calls that may come next: nobody else's return lies before their invocation. In the order of trying from the
    /// back: the answered ones, soonest ended first; then the open ones, which explain something or nothing.
    fn choices(&self) -> Vec<usize> {
        let mut soonest = u64::MAX;
        let mut choices = Vec::new();
        for at in self.closed.iter().copied().filter(|at| !self.is_taken(*at)) {
            let call = &self.calls[at];
            if call.invoked > soonest {
                break;
            }
            soonest = soonest.min(call.end());
            choices.push(at);
        }
        choices.retain(|at| self.calls[*at].invoked <= soonest);
        choices.sort_by_key(|at| std::cmp::Reverse(self.calls[*at].end()));
        let open = self.open.iter().copied().take_while(|at| self.calls[*at].invoked <= soonest);
        let mut all: Vec<usize> = open.filter(|at| !self.is_taken(*at)).collect();
        all.append(&mut choices);
        all
    }

    /// Takes a call, if it may answer as it did and this was not tried before.
    fn forward(&mut self, next: usize) -> bool {
        let call = &self.calls[next];
        let answer = call.returned.map(|(_, answer)| answer);
        let Some(frame) = self.frames.last() else { return false };
        let Some(state) = S::step(&frame.state, call.op, answer) else { return false };
        // An open call that changes nothing might as well not have happened.
        if answer.is_none() && state == frame.state {
            return false;
        }
        self.flip(next);
        if !self.seen.insert((self.taken.clone(), state.clone())) {
            self.flip(next);
            return false;
        }
        self.left -= usize::from(answer.is_some());
        self.path.push(next);
        let choices = self.choices();
        self.frames.push(Frame { state, choices });
        true
    }

    fn back(&mut self) {
        self.frames.pop();
        if let Some(last) = self.path.pop() {
            self.flip(last);
            self.left += usize::from(self.calls[last].returned.is_some());
        }
    }
}
