//! Calls of the local API, one connection each, and what may be concluded when no answer came. Knows gRPC's codes;
//! must not know what is asked.

use anyhow::Result;
use std::future::Future;
use std::time::Duration;
use swarm_proto::MAX_WHOLE_BYTES;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::v1::local_client::LocalClient;
use swarm_tests::Host;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

const CONNECT: Duration = Duration::from_secs(1);
/// What is said before anything is written: the manager has no leader, or the host is none.
const NOTHING_WRITTEN: [&str; 2] = ["the cluster has no leader", "this node is not a manager"];

/// What came of a call.
#[derive(Debug)]
pub enum Outcome<T> {
    Answer(T),
    /// The cluster or the host decided against it; nothing was changed.
    Refused(Status),
    /// Nobody took the call; nothing was changed.
    NotDone,
    /// It may have taken effect, may yet, or never will.
    Unknown,
}

/// One daemon, by its socket.
#[derive(Clone)]
pub struct Caller {
    pub host: usize,
    endpoint: Endpoint,
}

impl Caller {
    pub fn of(host: &Host) -> Result<Self> {
        let socket = host.space.path("/run/swarmd/swarmd.sock");
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?.connect_timeout(CONNECT);
        Ok(Self { host: host.number, endpoint })
    }

    async fn call<T, F>(&self, limit: Duration, ask: impl FnOnce(Channel) -> F) -> Outcome<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = match tokio::time::timeout(CONNECT, self.endpoint.connect()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(_)) | Err(_) => return Outcome::NotDone,
        };
        match tokio::time::timeout(limit, ask(channel)).await {
            Ok(Ok(answer)) => Outcome::Answer(answer.into_inner()),
            Ok(Err(status)) => judge(status),
            Err(_) => Outcome::Unknown,
        }
    }

    pub async fn control<T, F>(
        &self,
        limit: Duration,
        ask: impl FnOnce(ControlClient<Channel>) -> F,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call(
            limit,
            |channel| ask(ControlClient::new(channel).max_decoding_message_size(MAX_WHOLE_BYTES)),
        )
        .await
    }

    pub async fn local<T, F>(
        &self,
        limit: Duration,
        ask: impl FnOnce(LocalClient<Channel>) -> F,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call(limit, |channel| ask(LocalClient::new(channel))).await
    }
}

fn judge<T>(status: Status) -> Outcome<T> {
    match status.code() {
        Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::OutOfRange
        | Code::ResourceExhausted => Outcome::Refused(status),
        // A manager that was demoted a moment ago may ask for nothing any more.
        Code::PermissionDenied | Code::Unauthenticated => Outcome::NotDone,
        _ if NOTHING_WRITTEN.iter().any(|words| status.message().starts_with(words)) => Outcome::NotDone,
        _ => Outcome::Unknown,
    }
}
