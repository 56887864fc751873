//! Why something a user asked of this host was not done. Knows: sentences and their kinds. Must not know: exit codes.

use swarm_proto::ConvertError;
use tonic::{Code, Status};

/// One variant per thing a caller can act on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("{what} {reference:?} was not found on this host: `swarmctl ps` lists what is here")]
    NotFound { what: &'static str, reference: String },
    #[error("{what} {reference:?} is ambiguous ({matches} matches): give more of the id, or the full name")]
    Ambiguous { what: &'static str, reference: String, matches: usize },
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Exists(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Precondition(String),
    /// No manager answered in time; nothing is left allocated.
    #[error("{0}")]
    Unavailable(String),
    /// A manager's own answer, passed on with its code and its words.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    #[error(transparent)]
    Namespace(#[from] swarm_netns::NsError),
    /// The kernel or the disk did not do its part.
    #[error("{0}")]
    Internal(String),
}

impl From<ConvertError> for WorkerError {
    fn from(error: ConvertError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<Status> for WorkerError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<WorkerError> for Status {
    fn from(error: WorkerError) -> Self {
        use swarm_netns::NsError;
        let code = match &error {
            WorkerError::NotFound { .. } | WorkerError::Ambiguous { .. } => Code::NotFound,
            WorkerError::Invalid(_) => Code::InvalidArgument,
            WorkerError::Exists(_) => Code::AlreadyExists,
            WorkerError::Precondition(_) => Code::FailedPrecondition,
            WorkerError::Unavailable(_) => Code::Unavailable,
            WorkerError::Refused(status) => status.code(),
            WorkerError::Namespace(NsError::System { .. }) | WorkerError::Internal(_) => Code::Internal,
            WorkerError::Namespace(_) => Code::InvalidArgument,
        };
        Self::new(code, error.to_string())
    }
}
