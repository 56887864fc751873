//! The worker's own requests to the managers. Knows: which failures are worth another try. Must not know: what an
//! endpoint is for.

use crate::WorkerError;
use crate::session::Managers;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{Endpoint, EndpointId, RequestId, Revision};
use swarm_proto::v1;
use swarm_proto::v1::attachments_client::AttachmentsClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

/// Whoever waits is told within five seconds; a leader that is lost is replaced within two.
const DEADLINE: Duration = Duration::from_millis(4_900);
/// One manager's time to answer before the next is asked as well. Short, because one without a leader takes most of the
/// deadline to say so, and who is missing.
const HEDGE: Duration = Duration::from_millis(300);
/// How many are asked at a time.
const AT_ONCE: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(crate) struct Calls {
    managers: Arc<Managers>,
}

impl Calls {
    pub(crate) fn new(managers: Arc<Managers>) -> Self {
        Self { managers }
    }

    /// Allocates all or none. The ids are the worker's: asked again, or with an unknown outcome, nothing is doubled.
    pub(crate) async fn create_endpoints(
        &self,
        endpoints: Vec<v1::NewEndpoint>,
    ) -> Result<(Vec<Endpoint>, Revision), WorkerError> {
        let request = v1::CreateEndpointsRequest { endpoints, request_id: fresh_request() };
        let call = |channel| {
            let request = request.clone();
            async move { AttachmentsClient::new(channel).create_endpoints(request).await }
        };
        let answer = self.call(DEADLINE, call).await?;
        let endpoints = answer.endpoints.into_iter().map(Endpoint::try_from);
        let endpoints = endpoints
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| WorkerError::Internal(format!("a manager's answer cannot be read: {e}")))?;
        Ok((endpoints, answer.revision))
    }

    pub(crate) async fn release_endpoints(
        &self,
        ids: &[EndpointId],
        deadline: Duration,
    ) -> Result<(), WorkerError> {
        let ids = ids.iter().map(ToString::to_string).collect();
        let request = v1::ReleaseEndpointsRequest { ids, request_id: fresh_request() };
        let call = |channel| {
            let request = request.clone();
            async move { AttachmentsClient::new(channel).release_endpoints(request).await }
        };
        self.call(deadline, call).await.map(drop)
    }

    /// The node says good-bye.
    pub(crate) async fn leave(&self, deadline: Duration) -> Result<(), WorkerError> {
        let call =
            |channel| async move { DispatcherClient::new(channel).leave(v1::LeaveClusterRequest {}).await };
        self.call(deadline, call).await.map(drop)
    }

    /// Asks one manager, and after a moment without an answer others as well, until one answers or refuses, or the time is
    /// up. All are asked the same thing under the same request id, so it does not matter who was first.
    async fn call<T, F>(&self, within: Duration, ask: impl Fn(Channel) -> F) -> Result<T, WorkerError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let end = Instant::now() + within;
        let (mut said, mut trouble) = (None, String::new());
        let (mut asked, mut attempts) = (FuturesUnordered::new(), 0..);
        while Instant::now() < end {
            if asked.len() < AT_ONCE {
                asked.extend(attempts.next().map(|attempt| self.ask_one(attempt, &ask)));
            }
            match timeout_at(end.min(Instant::now() + HEDGE), asked.next()).await {
                Ok(Some(Ok(answer))) => return Ok(answer),
                Ok(Some(Err(Failed::Answer(status)))) => return Err(status.into()),
                Ok(Some(Err(Failed::NotNow(why)))) => said = Some(why),
                Ok(Some(Err(Failed::Silent(why)))) => trouble = why,
                Ok(None) | Err(_) => continue,
            }
            sleep_until(end.min(Instant::now() + PAUSE)).await;
        }
        // A manager that cannot have it done knows who is missing.
        Err(WorkerError::Unavailable(said.unwrap_or_else(|| self.nobody(&trouble))))
    }

    async fn ask_one<T, F>(&self, attempt: usize, ask: impl Fn(Channel) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = self.managers.connect(attempt).await.map_err(Failed::Silent)?;
        ask(channel).await.map(Response::into_inner).map_err(|status| match status.source() {
            _ if is_answer(status.code()) => Failed::Answer(status),
            // Made on this side of the connection.
            Some(_) => Failed::Silent(status.message().to_owned()),
            None => Failed::NotNow(status.message().to_owned()),
        })
    }

    fn nobody(&self, trouble: &str) -> String {
        let known = self.managers.candidates();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let why = if trouble.is_empty() { String::new() } else { format!(" ({trouble})") };
        format!("no manager answered in time{why}; the managers known are: {known}")
    }
}

enum Failed {
    /// Decided; nobody else would say anything different.
    Answer(Status),
    /// A manager's word that it cannot be done now.
    NotNow(String),
    Silent(String),
}

fn fresh_request() -> String {
    let id: RequestId = swarm_identity::random::new_id();
    id.to_string()
}

/// True for a manager's own answer; false for a failure on the way or while a leader settles, when another try, or
/// another manager, may do better.
fn is_answer(code: Code) -> bool {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Aborted => false,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => true,
    }
}
