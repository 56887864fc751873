//! The connection to the local daemon, or to a manager from outside. Knows the socket, deadlines and how to say that nobody
//! answers; must not know what is asked.

use crate::args::values::Host;
use crate::error::CliError;
use crate::identity;
use crate::verbs::say;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::v1::local_client::LocalClient;
use swarm_proto::{ACCEPT_STALE, STALE};
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

/// For everything but `run`: longer than any wait inside the daemon, which says more about what it waited for.
pub const DEADLINE: Duration = Duration::from_secs(25);
/// For `run` until its command may start.
pub const RUN_DEADLINE: Duration = Duration::from_secs(30);
/// Lists of the largest cluster there may be (100,000 endpoints of some 300 bytes) come in one answer.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Whom to ask, as typed.
#[derive(Debug, Clone)]
pub struct Target {
    pub host: Host,
    /// The identity to show to a manager.
    pub identity: Option<PathBuf>,
}

/// A connection to the local daemon, or to a manager from outside.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    /// The manager asked; `None`: the local daemon.
    manager: Option<String>,
}

impl Client {
    pub async fn connect(target: &Target) -> Result<Self, CliError> {
        match (&target.host, &target.identity) {
            (Host::Socket(socket), _) => local(socket).await.map(|channel| Self { channel, manager: None }),
            (Host::Manager(addr), Some(file)) => {
                let channel = identity::channel(addr, file).await?;
                Ok(Self { channel, manager: Some(addr.clone()) })
            }
            (Host::Manager(_), None) => Err(CliError::Usage(
                "a manager at tcp:// takes nobody without a certificate: give --identity FILE, as `swarmctl user create` \
                 makes it"
                    .into(),
            )),
        }
    }

    pub fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// What only the daemon of a host can do, or knows.
    pub fn local(&self) -> Result<LocalClient<Channel>, CliError> {
        match &self.manager {
            None => Ok(LocalClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)),
            Some(addr) => Err(needs_its_host(addr)),
        }
    }

    /// The manager that is asked from outside; `None`: the local daemon is.
    pub fn manager(&self) -> Option<&str> {
        self.manager.as_deref()
    }
}

/// What was asked of a manager, and is no manager's business.
pub fn needs_its_host(addr: &str) -> CliError {
    CliError::Usage(format!(
        "this needs the daemon of the host it concerns, and cannot be asked of the manager at {addr}: \
         run it on that host, without -H tcp://"
    ))
}

async fn local(socket: &Path) -> Result<Channel, CliError> {
    let stream = tokio::time::timeout(CONNECT_DEADLINE, UnixStream::connect(socket)).await;
    let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let stream = Mutex::new(Some(stream.map_err(|e| unreachable(socket, &e))?));
    // tonic wants something it can call again to reconnect; one command is one connection.
    let connector = tower::service_fn(move |_: http::Uri| {
        let taken = stream.lock().ok().and_then(|mut stream| stream.take());
        std::future::ready(taken.map(TokioIo::new).ok_or(io::Error::from(io::ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://swarmd.sock").connect_timeout(CONNECT_DEADLINE);
    endpoint.connect_with_connector(connector).await.map_err(|_| {
        CliError::Unavailable(format!("what listens at {} does not speak as swarmd", socket.display()))
    })
}

fn unreachable(socket: &Path, error: &io::Error) -> CliError {
    let at = socket.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => CliError::Refused(format!(
            "not permitted to speak to swarmd at {at}: be root or a member of the group swarm"
        )),
        _ => CliError::Unavailable(format!("cannot reach swarmd at {at}: is the daemon running? ({error})")),
    }
}

/// As [`call`], for a request that only hands on what was typed: what the daemon finds invalid is a slip of the one who
/// typed it.
pub async fn call_as_typed<T>(
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CliError> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Err(status)) if status.code() == Code::InvalidArgument => {
            Err(CliError::Usage(status.message().to_owned()))
        }
        Ok(answer) => Ok(answer.map_err(CliError::from)?.into_inner()),
        Err(_) => Err(no_answer(DEADLINE)),
    }
}

/// Waits for one answer, not longer than [`DEADLINE`].
pub async fn call<T>(answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CliError> {
    within(DEADLINE, answer).await.map(Response::into_inner)
}

/// A question to which, without a quorum, what the manager knows by itself will do; see [`look`].
pub fn any_age<T>(question: T) -> Request<T> {
    let mut request = Request::new(question);
    request.metadata_mut().insert(ACCEPT_STALE, MetadataValue::from_static("1"));
    request
}

/// As [`call`], for a question of [`any_age`]: says so when the answer may be out of date.
pub async fn look<T>(answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CliError> {
    let response = within(DEADLINE, answer).await?;
    if response.metadata().contains_key(STALE) {
        say("warning: the managers have no quorum, or the one asked is behind: this is what it knew last, \
             and may be out of date");
    }
    Ok(response.into_inner())
}

/// Waits for one answer of any kind.
pub async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, CliError> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer.map_err(CliError::from),
        Err(_) => Err(no_answer(deadline)),
    }
}

fn no_answer(deadline: Duration) -> CliError {
    CliError::Unavailable(format!(
        "swarmd did not answer within {} s; whether it did what was asked is unknown: look before you ask again",
        deadline.as_secs()
    ))
}

/// A fresh id for a change, so that asking again does not do it twice.
pub fn request_id() -> Result<String, CliError> {
    use std::io::Read;
    let mut bytes = [0u8; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
    read.map_err(|e| CliError::Failed(format!("cannot read random numbers from /dev/urandom: {e}")))?;
    Ok(swarm_model::RequestId::from_random(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_waited_for_without_end() {
        let never = std::future::pending::<Result<(), Status>>();
        let error = within(Duration::from_millis(5), never).await.unwrap_err();
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_closed_door_and_an_empty_house_are_told_apart() {
        let said = |kind: io::ErrorKind| unreachable(Path::new("/x.sock"), &kind.into());
        let refused = said(io::ErrorKind::PermissionDenied);
        assert_eq!(refused.exit_code(), 5);
        assert!(refused.to_string().contains("group swarm"));
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut] {
            assert_eq!(said(kind).exit_code(), 4);
            assert!(said(kind).to_string().contains("/x.sock"));
        }
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(request_id(), request_id());
        assert_eq!(request_id().map(|id| id.len()), Ok(25));
    }
}
