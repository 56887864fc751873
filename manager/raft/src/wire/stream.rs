//! Pipelined appends: one bidirectional stream, answers in the order of the requests, a bound on what is under way.
//!
//! Knows: flow and stalls. Must not know: what an answer means to openraft.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use openraft::base::BoxStream;
use openraft::errors::RPCError;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use parking_lot::Mutex;
use swarm_proto::v1::RaftPayload;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::client::rpc_error;
use super::envelope::{Envelope, decode, pack};
use super::link::Link;
use crate::types::Types;

/// Requests sent and not yet answered. Each holds at most about a MiB of entries.
const UNDER_WAY: usize = 16;

/// How often an unanswered request is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// An answer this late is given up as soon as the peer's control connection has been found dead: so is this one.
const SUSPICIOUS: Duration = Duration::from_millis(500);

type Answer = Result<StreamAppendResult<Types>, RPCError<Types>>;

/// How one peer is reached, and how long an answer may take.
pub struct Route {
    pub bulk: Arc<Link>,
    pub control: Arc<Link>,
    pub stall: Duration,
}

/// One stream's requests under way: when each unanswered one was sent, oldest first, and room for more.
struct Flight {
    sent: Mutex<VecDeque<Instant>>,
    room: Semaphore,
}

/// A stream as long as openraft holds it.
struct Session {
    route: Route,
    flight: Arc<Flight>,
    breaks: u64,
    // The requests are pulled by a task of ours and not by the connection's: it ends with the session and lets go of
    // openraft's request stream, whatever state the connection is in.
    pump: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.pump.abort();
        // openraft drops a heartbeat that takes too long without a word.
        if !self.flight.sent.lock().is_empty() {
            self.route.bulk.failed(false);
        }
    }
}

/// Sends `requests` as they come and yields their answers. Ends with the requests, or with an error: after that nothing
/// is known about the unanswered ones. The route's stall bounds opening and each answer, not the stream.
pub async fn pipeline<'s, S>(route: Route, requests: S) -> Result<BoxStream<'s, Answer>, RPCError<Types>>
where
    S: Stream<Item = Envelope<AppendEntriesRequest<Types>>> + Send + Unpin + 'static,
{
    let flight = Arc::new(Flight { sent: Mutex::default(), room: Semaphore::new(UNDER_WAY) });
    let (sender, receiver) = mpsc::channel(1);
    let pump = tokio::spawn(pump(requests, sender, flight.clone()));
    let session = Session { breaks: route.control.breaks(), route, flight, pump };
    let opening = async {
        let mut client = session.route.bulk.client().await.map_err(Status::unavailable)?;
        client.append(ReceiverStream::new(receiver)).await
    };
    let stall = session.route.stall;
    let opened = tokio::time::timeout(stall, opening).await.unwrap_or_else(|_| Err(stalled(stall)));
    let answers = opened.map_err(|status| rpc_error(&session.route.bulk, &status))?.into_inner();
    Ok(Box::pin(futures::stream::unfold(Some((session, answers)), |state| async move {
        let (session, mut answers) = state?;
        match session.next_answer(&mut answers).await.transpose()? {
            Ok(answer) => {
                session.route.bulk.works();
                Some((Ok(answer), Some((session, answers))))
            }
            Err(status) => Some((Err(rpc_error(&session.route.bulk, &status)), None)),
        }
    })))
}

async fn pump<S>(mut requests: S, sender: mpsc::Sender<RaftPayload>, flight: Arc<Flight>)
where
    S: Stream<Item = Envelope<AppendEntriesRequest<Types>>> + Unpin,
{
    while let Ok(permit) = flight.room.acquire().await {
        permit.forget();
        let Some(request) = requests.next().await else { return };
        let request = match pack(&request) {
            Ok(request) => request,
            Err(status) => {
                tracing::error!(%status, "an append was not sent");
                return;
            }
        };
        flight.sent.lock().push_back(Instant::now());
        if sender.send(request).await.is_err() {
            return;
        }
    }
}

impl Session {
    /// Waits for the next answer as long as none is overdue; an idle stream may be silent for ever.
    async fn next_answer(
        &self,
        answers: &mut Streaming<RaftPayload>,
    ) -> Result<Option<StreamAppendResult<Types>>, Status> {
        loop {
            match tokio::time::timeout(LOOK, answers.message()).await {
                Ok(answer) => {
                    let Some(answer) = answer? else { return Ok(None) };
                    self.flight.sent.lock().pop_front();
                    self.flight.room.add_permits(1);
                    return decode(&answer.payload).map(Some);
                }
                Err(_) if self.is_overdue() => return Err(stalled(self.route.stall)),
                Err(_) => {}
            }
        }
    }

    fn is_overdue(&self) -> bool {
        let Some(waited) = self.flight.sent.lock().front().map(Instant::elapsed) else { return false };
        let lost = waited > SUSPICIOUS && self.route.control.breaks() != self.breaks;
        lost || waited > self.route.stall
    }
}

fn stalled(stall: Duration) -> Status {
    Status::unavailable(format!("no answer to an append within {stall:?}"))
}
