//! A call under way, until its line is noted: also when nobody waits for its answer any more.

use super::Audit;
use super::record::{Outcome, Record, Who, outcome};
use crate::propose::now_ms;
use std::future::Future;
use std::time::Instant;
use tonic::Status;

pub struct Opened {
    audit: Audit,
    began: Instant,
    /// Taken when it is noted.
    record: Option<Record>,
}

impl Opened {
    pub(super) fn new(audit: Audit, who: Who, method: &'static str, what: String) -> Self {
        let (outcome, said) = (Outcome::GivenUp, None);
        let record = Record { at_ms: now_ms(), who, method, what, outcome, said, took_ms: 0 };
        Self { audit, began: Instant::now(), record: Some(record) }
    }

    /// Carries the call out and notes what came of it.
    pub async fn close<T>(self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let mut opened = self;
        let answer = call.await;
        if let Some(record) = &mut opened.record {
            record.outcome = answer.as_ref().map_or_else(outcome, |_| Outcome::Done);
            record.said = answer.as_ref().err().map(|status| status.message().to_owned());
        }
        answer
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.took_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.audit.note(record);
        }
    }
}
