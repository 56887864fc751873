//! The worker's own requests to the managers. Knows: which failures are worth another try. Must not know: what an
//! endpoint is for.

use crate::WorkerError;
use crate::session::Managers;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{Endpoint, EndpointId, RequestId, Revision};
use swarm_proto::v1;
use swarm_proto::v1::attachments_client::AttachmentsClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

/// A leader that is lost is replaced within two seconds; this bears several.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// One manager's time to answer before the next is asked.
const ATTEMPT: Duration = Duration::from_secs(3);
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

    /// Asks one manager after the other until one answers or refuses, or the time is up.
    async fn call<T, F>(&self, within: Duration, ask: impl Fn(Channel) -> F) -> Result<T, WorkerError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let end = Instant::now() + within;
        let mut last = String::new();
        for attempt in 0.. {
            let asked = tokio::time::timeout_at(end.min(Instant::now() + ATTEMPT), async {
                let channel = self.managers.connect(attempt).await.map_err(Status::unavailable)?;
                ask(channel).await
            });
            match asked.await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if is_answer(status.code()) => return Err(status.into()),
                Ok(Err(status)) => last = status.message().to_owned(),
                Err(_) => last = format!("no answer within {} s", ATTEMPT.as_secs()),
            }
            if Instant::now() + PAUSE >= end {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(WorkerError::Unavailable(self.nobody(within, &last)))
    }

    fn nobody(&self, within: Duration, last: &str) -> String {
        let known = self.managers.candidates();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("no manager answered within {} s ({last}); the managers known are: {known}", within.as_secs())
    }
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
