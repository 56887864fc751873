//! One pass over one place: look if need be, compare, take the steps. Blocking.
//! Knows: what a pass reports. Must not know: when passes happen, or who waits for them.

use crate::kernel::{Failed, Place};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_overlay::{Act, Op, PortName, Segment, diff_segment};

/// Looking again after steps that failed: what is there may not be what was thought.
const ATTEMPTS: usize = 2;

/// What came of a pass.
#[derive(Debug, Default)]
pub struct Report {
    /// Steps taken.
    pub ops: Vec<Op>,
    /// Times the kernel was read.
    pub audits: u64,
    /// What reading took.
    pub looked: Duration,
    /// What still does not match.
    pub failures: Vec<Failure>,
}

/// One reason why a place does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The one port it concerns; `None` for the whole place.
    pub port: Option<PortName>,
    pub sentence: String,
}

/// Brings `place` to `want`. `known` is what it is known to hold; without it the kernel is asked.
pub fn pass(place: &mut Place, known: Option<&Arc<Segment>>, want: &Segment) -> Report {
    let mut report = Report::default();
    let mut known = known;
    for _ in 0..ATTEMPTS {
        let ops = match known.take() {
            Some(have) => diff_segment(place.scope, have, want),
            None => {
                report.audits += 1;
                let begun = Instant::now();
                let observed = place.observe(want);
                report.looked += begun.elapsed();
                match observed {
                    Ok(have) => diff_segment(place.scope, &have, want),
                    Err(error) => {
                        report.failures = vec![Failure { port: None, sentence: error.to_string() }];
                        return report;
                    }
                }
            }
        };
        let failed = place.execute(&ops);
        report.failures = failed.iter().map(explain).collect();
        if ops.iter().any(|op| matches!(op.act, Act::DeletePort(_))) {
            place.keep_sandboxes(|path| want.ports.values().any(|p| p.link.inside.sandbox == *path));
        }
        report.ops.extend(ops);
        if report.failures.is_empty() {
            break;
        }
    }
    report
}

fn explain(failed: &Failed) -> Failure {
    tracing::debug!(op = %failed.op, error = %failed.error, "a step failed");
    Failure { port: failed.op.act.port(), sentence: failed.error.to_string() }
}
