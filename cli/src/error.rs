//! What went wrong, as a sentence and an exit code. Knows how answers of the daemon become exit codes; must not know
//! which verb was at work.

use tonic::{Code, Status};

/// Exit codes, as the help page lists them.
pub mod exit {
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const NOT_FOUND: u8 = 3;
    pub const UNAVAILABLE: u8 = 4;
    pub const REFUSED: u8 = 5;
    /// `run` and `exec` themselves failed.
    pub const RUN_FAILED: u8 = 125;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CliError {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Refused(String),
    /// `run` or `exec` did not get to their command, or the command did not start (126, 127).
    #[error("{message}")]
    NotStarted { code: u8, message: String },
    /// A command that ran, and ended with this code; there is nothing to say.
    #[error("the command ended with {0}")]
    Ended(u8),
    /// Each was said already; the code is the first one's.
    #[error("several errors")]
    Said(u8),
}

impl CliError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => exit::FAILED,
            Self::Usage(_) => exit::USAGE,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::Unavailable(_) => exit::UNAVAILABLE,
            Self::Refused(_) => exit::REFUSED,
            Self::NotStarted { code, .. } | Self::Ended(code) | Self::Said(code) => *code,
        }
    }

    /// Standard error gets this; `None` when everything was said.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Ended(_) | Self::Said(_) => None,
            other => Some(format!("error: {other}")),
        }
    }

    /// The same failure seen by `run` and `exec`, whose exit codes below 125 belong to the command.
    pub fn not_started(self) -> Self {
        match self {
            Self::NotStarted { .. } | Self::Ended(_) | Self::Said(_) | Self::Usage(_) => self,
            other => Self::NotStarted { code: exit::RUN_FAILED, message: other.to_string() },
        }
    }
}

/// The sentence is the daemon's; the code decides only how the program ends.
impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        if std::error::Error::source(&status).is_some() {
            // Made by our own side of the connection, not by the daemon.
            return Self::Unavailable(
                "the connection to swarmd broke before it answered; whether it did what was asked is unknown: look before you ask again"
                    .into(),
            );
        }
        let said = match status.message() {
            "" => silent(status.code()).to_owned(),
            message => message.to_owned(),
        };
        match status.code() {
            Code::NotFound => Self::NotFound(said),
            Code::Unavailable | Code::DeadlineExceeded => Self::Unavailable(said),
            Code::PermissionDenied | Code::Unauthenticated => Self::Refused(said),
            _ => Self::Failed(said),
        }
    }
}

/// For an answer that is a code alone.
fn silent(code: Code) -> &'static str {
    match code {
        Code::Unimplemented => "this swarmd does not know the request: is it older than swarmctl?",
        Code::Unavailable => "swarmd is not ready to answer",
        Code::DeadlineExceeded => "swarmd did not answer in time",
        _ => "swarmd refused without giving a reason; its log may say more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_exit_codes_and_only_the_sentence_is_shown() {
        for (code, expected) in [
            (Code::NotFound, 3),
            (Code::Unavailable, 4),
            (Code::DeadlineExceeded, 4),
            (Code::PermissionDenied, 5),
            (Code::Unauthenticated, 5),
            (Code::InvalidArgument, 1),
            (Code::AlreadyExists, 1),
            (Code::FailedPrecondition, 1),
            (Code::ResourceExhausted, 1),
            (Code::Aborted, 1),
            (Code::Internal, 1),
        ] {
            let error = CliError::from(Status::new(code, "no such thing"));
            assert_eq!(error.exit_code(), expected, "{code:?}");
            assert_eq!(error.message().as_deref(), Some("error: no such thing"));
        }
    }

    #[test]
    fn a_code_without_a_sentence_still_says_something() {
        for code in [Code::Unimplemented, Code::Unavailable, Code::Internal] {
            assert!(!CliError::from(Status::new(code, "")).to_string().is_empty());
        }
    }

    #[test]
    fn run_keeps_low_codes_for_the_command() {
        assert_eq!(CliError::Unavailable("x".into()).not_started().exit_code(), 125);
        assert_eq!(CliError::Ended(3).not_started().exit_code(), 3);
        assert_eq!(CliError::Usage("x".into()).not_started().exit_code(), 2);
    }
}
