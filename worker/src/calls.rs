//! The worker's own requests to the managers. Knows: which failures are worth another try. Must not know: what an
//! endpoint is for.

use crate::WorkerError;
use crate::session::{Managers, Route};
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
/// Between two good-byes of a node that another host seems to be.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

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

    /// The node says good-bye. One that was started a moment ago may be taken for a copy of itself until the managers
    /// have missed its last session, so that answer is asked for again.
    pub(crate) async fn leave(&self, deadline: Duration) -> Result<(), WorkerError> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.say_good_bye(left).await {
                Err(error) if is_another_host(&error) && Instant::now() + RESTART_PAUSE < end => {}
                said => return said,
            }
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }

    async fn say_good_bye(&self, within: Duration) -> Result<(), WorkerError> {
        let request = v1::LeaveClusterRequest { last_session: Some(self.managers.last_session()) };
        let call = |channel| {
            let request = request.clone();
            async move { DispatcherClient::new(channel).leave(request).await }
        };
        self.call(within, call).await.map(drop)
    }

    /// Asks one manager, and after a moment without an answer others as well, until one answers or refuses, or the time is
    /// up. All are asked the same thing under the same request id, so it does not matter who was first. None is asked twice
    /// at a time: one that is slow because it has much to do would have more.
    async fn call<T, F>(&self, within: Duration, ask: impl Fn(Channel) -> F) -> Result<T, WorkerError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let end = Instant::now() + within;
        let (mut said, mut trouble) = (None, String::new());
        let (mut asked, mut turns) = (FuturesUnordered::new(), Turns::default());
        while Instant::now() < end {
            if asked.len() < AT_ONCE {
                asked.extend(turns.next(self.managers.routes()).map(|route| self.ask_one(route, &ask)));
            }
            match timeout_at(end.min(Instant::now() + HEDGE), asked.next()).await {
                Err(_) => continue,
                Ok(None) => trouble = "no manager's address is known".to_owned(),
                Ok(Some((addr, answer))) => {
                    turns.answered(&addr);
                    match answer {
                        Ok(answer) => return Ok(answer),
                        Err(Failed::Answer(status)) => return Err(status.into()),
                        Err(Failed::NotNow(why)) => said = Some(why),
                        Err(Failed::Silent(why)) => trouble = why,
                    }
                }
            }
            sleep_until(end.min(Instant::now() + PAUSE)).await;
        }
        // A manager that cannot have it done knows who is missing.
        Err(WorkerError::Unavailable(said.unwrap_or_else(|| self.nobody(&trouble))))
    }

    async fn ask_one<T, F>(&self, route: Route, ask: impl Fn(Channel) -> F) -> (String, Result<T, Failed>)
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let asked = async {
            let channel = match route.channel {
                Some(channel) => channel,
                None => self.managers.dial(&route.addr).await.map_err(Failed::Silent)?,
            };
            ask(channel).await.map(Response::into_inner).map_err(Failed::from)
        };
        let answer = asked.await;
        (route.addr, answer)
    }

    fn nobody(&self, trouble: &str) -> String {
        let known = self.managers.candidates();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let why = if trouble.is_empty() { String::new() } else { format!(" ({trouble})") };
        format!("no manager answered in time{why}; the managers known are: {known}")
    }
}

/// A manager's word that another host holds this node's session.
pub(crate) fn is_another_host(error: &WorkerError) -> bool {
    matches!(error, WorkerError::Refused(status) if status.code() == Code::AlreadyExists)
}

enum Failed {
    /// Decided; nobody else would say anything different.
    Answer(Status),
    /// A manager's word that it cannot be done now.
    NotNow(String),
    Silent(String),
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        match status.source() {
            // Made on this side of the connection, whatever its code.
            Some(_) => Self::Silent(status.message().to_owned()),
            None if is_answer(status.code()) => Self::Answer(status),
            None => Self::NotNow(status.message().to_owned()),
        }
    }
}

/// Whose turn it is to be asked.
#[derive(Default)]
struct Turns {
    next: usize,
    /// Who was asked and has not answered.
    waiting: Vec<String>,
}

impl Turns {
    /// The next of `routes`, round and round, whose manager is not being asked already.
    fn next(&mut self, routes: Vec<Route>) -> Option<Route> {
        let begin = self.next.checked_rem(routes.len())?;
        let free = |i: &usize| routes.get(*i).is_some_and(|route| !self.waiting.contains(&route.addr));
        let chosen = (begin..routes.len()).chain(0..begin).find(free)?;
        self.next = chosen + 1;
        let route = routes.into_iter().nth(chosen)?;
        self.waiting.push(route.addr.clone());
        Some(route)
    }

    fn answered(&mut self, addr: &str) {
        self.waiting.retain(|waiting| waiting != addr);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(addrs: &[&str]) -> Vec<Route> {
        addrs.iter().map(|addr| Route { addr: (*addr).to_owned(), channel: None }).collect()
    }

    fn turn(turns: &mut Turns, addrs: &[&str]) -> Option<String> {
        turns.next(routes(addrs)).map(|route| route.addr)
    }

    #[test]
    fn managers_are_asked_in_turn_and_none_twice_at_a_time() {
        // The session's own comes twice: over its connection, and to be dialled anew.
        let known = ["h1", "h1", "h2", "h3"];
        let mut turns = Turns::default();
        assert_eq!(turn(&mut turns, &known).as_deref(), Some("h1"));
        assert_eq!(turn(&mut turns, &known).as_deref(), Some("h2"));
        turns.answered("h1");
        assert_eq!(turn(&mut turns, &known).as_deref(), Some("h3"));
        assert_eq!(turn(&mut turns, &known).as_deref(), Some("h1"));
        assert_eq!(turn(&mut turns, &known), None);
        turns.answered("h2");
        assert_eq!(turn(&mut turns, &known).as_deref(), Some("h2"));
        assert_eq!(turn(&mut turns, &["h9"]).as_deref(), Some("h9"));
        assert_eq!(turn(&mut turns, &[]), None);
    }

    #[test]
    fn what_broke_on_the_way_is_nobodys_answer() {
        let said = Status::internal("the state cannot be read");
        assert!(matches!(Failed::from(said), Failed::Answer(_)));
        let broke = Status::from_error(Box::new(std::io::Error::other("the connection broke")));
        assert!(broke.source().is_some());
        assert!(matches!(Failed::from(broke), Failed::Silent(_)));
    }
}
