//! One connection to another manager, dialled when needed and again when it has failed.
//!
//! Knows: when a channel is good, being dialled, or to be thrown away. Must not know: what is sent over it.
//!
//! Heartbeats give up after a few tens of milliseconds, less than a dial may take. So a dial runs on its own and
//! outlives the call that began it; the next call finds it done or under way.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use swarm_proto::MAX_MESSAGE_BYTES;
use swarm_proto::v1::raft_client::RaftClient;
use tonic::transport::Channel;

use crate::api::{Dial, Member};

/// A dial that takes longer is begun anew: after a partition has healed, a fresh SYN gets through at once.
const DIAL_DEADLINE: Duration = Duration::from_millis(1500);
/// Calls in a row without an answer after which the connection is thought dead.
const STRIKES: u32 = 4;

type Dialling = Shared<BoxFuture<'static, Result<Channel, String>>>;

struct State {
    member: Member,
    dialling: Option<Dialling>,
    strikes: u32,
    breaks: u64,
}

impl State {
    fn start_over(&mut self) {
        (self.dialling, self.strikes) = (None, 0);
        self.breaks += 1;
    }
}

/// A connection for one purpose, so that a snapshot delays no entry and an entry delays no heartbeat.
pub struct Link {
    dial: Arc<dyn Dial>,
    state: Mutex<State>,
}

impl Link {
    pub fn new(member: Member, dial: Arc<dyn Dial>) -> Self {
        Self { dial, state: Mutex::new(State { member, dialling: None, strikes: 0, breaks: 0 }) }
    }

    /// Where the member is found from now on. A connection to where it was before is not used again.
    pub fn lead_to(&self, member: &Member) {
        let mut state = self.state.lock();
        if state.member != *member {
            state.member = member.clone();
            state.start_over();
        }
    }

    /// A client over the present channel, or over a new one. Safe to drop while waiting.
    pub async fn client(&self) -> Result<RaftClient<Channel>, String> {
        let dialling = {
            let State { member, dialling, .. } = &mut *self.state.lock();
            dialling.get_or_insert_with(|| begin(member.clone(), self.dial.clone())).clone()
        };
        match dialling.clone().await {
            Ok(channel) => Ok(RaftClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)),
            Err(reason) => {
                self.forget(&dialling);
                Err(reason)
            }
        }
    }

    /// An answer came over the link.
    pub fn works(&self) {
        self.state.lock().strikes = 0;
    }

    /// No answer came. `broken`: the channel itself said so.
    pub fn failed(&self, broken: bool) {
        let mut state = self.state.lock();
        if state.dialling.as_ref().is_some_and(|dialling| dialling.peek().is_none()) {
            return; // The fault is not the connection's: there is none yet.
        }
        state.strikes += 1;
        if broken || state.strikes >= STRIKES {
            state.start_over();
        }
    }

    /// How many connections have been given up so far.
    pub fn breaks(&self) -> u64 {
        self.state.lock().breaks
    }

    fn forget(&self, dialling: &Dialling) {
        let mut state = self.state.lock();
        if state.dialling.as_ref().is_some_and(|current| current.ptr_eq(dialling)) {
            state.start_over();
        }
    }
}

fn begin(member: Member, dial: Arc<dyn Dial>) -> Dialling {
    let task = tokio::spawn(async move {
        match tokio::time::timeout(DIAL_DEADLINE, dial.channel(&member)).await {
            Ok(result) => result,
            Err(_) => Err(format!("{member} did not answer within {DIAL_DEADLINE:?}")),
        }
    });
    async move { task.await.unwrap_or_else(|_| Err("dialling was cut short".to_owned())) }.boxed().shared()
}
