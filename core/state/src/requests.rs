//! The replies of recent requests: who asks again gets the first answer and nothing is done twice.
//! Bounded by number and by time; part of the replicated state, so that it holds across leaders.

use crate::limits::{MAX_REMEMBERED, REMEMBER_MS};
use crate::{Refusal, Reply, Verb};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use swarm_model::RequestId;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Arc<Remembered>>", from = "Vec<Arc<Remembered>>")]
pub struct Requests {
    by_id: BTreeMap<RequestId, Arc<Remembered>>,
    /// Oldest first.
    order: VecDeque<RequestId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    request: RequestId,
    verb: Verb,
    /// On the state's own clock.
    at_ms: u64,
    reply: Reply,
}

impl Requests {
    pub fn recall(&self, request: &RequestId, verb: Verb) -> Option<Reply> {
        let past = self.by_id.get(request)?;
        if past.verb == verb {
            Some(past.reply.clone())
        } else {
            Some(Reply::Refused(Refusal::RequestReused { first: past.verb, now: verb }))
        }
    }

    /// `request` must not be known yet.
    pub fn remember(&mut self, request: RequestId, verb: Verb, at_ms: u64, reply: Reply) {
        self.by_id.insert(request, Arc::new(Remembered { request, verb, at_ms, reply }));
        self.order.push_back(request);
        while self.order.len() > MAX_REMEMBERED {
            self.forget_oldest();
        }
    }

    pub fn forget_old(&mut self, now_ms: u64) {
        let old = |past: &Arc<Remembered>| past.at_ms.saturating_add(REMEMBER_MS) <= now_ms;
        while self.order.front().and_then(|id| self.by_id.get(id)).is_some_and(old) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(id) = self.order.pop_front() {
            self.by_id.remove(&id);
        }
    }

    pub fn problems(&self) -> Option<&'static str> {
        if self.order.len() != self.by_id.len() || self.order.len() > MAX_REMEMBERED {
            return Some("the replies kept and their order do not match, or are too many");
        }
        let times: Vec<u64> =
            self.order.iter().filter_map(|id| self.by_id.get(id)).map(|r| r.at_ms).collect();
        (!times.is_sorted() || times.len() != self.order.len()).then_some("the replies kept are not in order")
    }
}

impl From<Requests> for Vec<Arc<Remembered>> {
    fn from(requests: Requests) -> Self {
        requests.order.iter().filter_map(|id| requests.by_id.get(id).cloned()).collect()
    }
}

impl From<Vec<Arc<Remembered>>> for Requests {
    fn from(rows: Vec<Arc<Remembered>>) -> Self {
        let order = rows.iter().map(|row| row.request).collect();
        Self { by_id: rows.into_iter().map(|row| (row.request, row)).collect(), order }
    }
}
