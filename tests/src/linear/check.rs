//! The verdict on a whole history: every key for itself. Knows how to tell what is wrong; must not know how it is found.

use super::history::{Call, History};
use super::search::{Interval, Verdict, search};
use super::slot::Slot;
use std::fmt;

/// Steps per key; a few hundred megabytes at the very most.
const BUDGET: usize = 3_000_000;
/// How much of a broken key's history is told before the place where it breaks.
const STORY: usize = 40;

/// What was judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judged {
    pub keys: usize,
    pub calls: usize,
    pub open: usize,
}

/// A key whose history nothing explains, or whose search was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub key: String,
    why: String,
    story: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.key, self.why)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Answers how much was judged, or every key that is broken.
pub fn judge(history: &History) -> Result<Judged, Vec<Broken>> {
    let mut judged = Judged::default();
    let mut broken = Vec::new();
    for (key, calls) in history.by_key() {
        judged.keys += 1;
        judged.calls += calls.len();
        judged.open += calls.iter().filter(|call| call.returned.is_none()).count();
        broken.extend(key_problem(key, &calls));
    }
    if broken.is_empty() { Ok(judged) } else { Err(broken) }
}

fn key_problem(key: &str, calls: &[&Call]) -> Option<Broken> {
    let intervals: Vec<Interval<'_, Slot>> = calls.iter().map(|call| interval(call)).collect();
    let (why, story) = match search(&intervals, BUDGET) {
        Verdict::Linearizable => return None,
        Verdict::Undecided { steps } => {
            (format!("undecided after {steps} steps: fewer calls a key"), Vec::new())
        }
        Verdict::Violated { explained, stuck } => {
            let why = format!(
                "not linearizable: {} of {} calls have an order, and then none of these may come next ('?')",
                explained.len(),
                calls.len()
            );
            (why, story(calls, &explained, &stuck))
        }
    };
    Some(Broken { key: key.to_owned(), why, story })
}

fn interval(call: &Call) -> Interval<'_, Slot> {
    let returned = call.returned.as_ref().map(|returned| (returned.at_us, &returned.answer));
    Interval { op: &call.op, invoked: call.invoked_us, returned }
}

/// The end of the longest order found, numbered, and the calls it gets stuck at.
fn story(calls: &[&Call], explained: &[usize], stuck: &[usize]) -> Vec<String> {
    let from = explained.len().saturating_sub(STORY);
    let told = explained.iter().enumerate().skip(from);
    let mut story: Vec<String> = told.map(|(n, at)| format!("{:>4} {}", n + 1, calls[*at])).collect();
    story.extend(stuck.iter().rev().map(|at| format!("   ? {}", calls[*at])));
    story
}
