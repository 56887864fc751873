//! What came of a node's good-bye. Pure; must not know how it was said.

use crate::WorkerError;
use crate::calls::is_another_host;
use swarm_proto::v1::Farewell;
use tonic::Code;

/// What `leave` has done.
#[derive(Debug)]
pub struct Left {
    /// Names of the sandboxes that ended with it.
    pub sandboxes: Vec<String>,
    pub farewell: Farewell,
    /// Why the cluster was not told; empty when it was.
    pub reason: String,
}

/// The managers' answer, and why it is not what was asked for.
pub(crate) fn of(said: Result<(), WorkerError>) -> (Farewell, String) {
    let Err(error) = said else { return (Farewell::Told, String::new()) };
    let farewell = match &error {
        error if is_another_host(error) => Farewell::NotOurs,
        WorkerError::Refused(status) if status.code() == Code::PermissionDenied => Farewell::RemovedBefore,
        _ => Farewell::NotTold,
    };
    (farewell, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    #[test]
    fn what_the_managers_answered_decides_what_is_said() {
        let said = |status: Status| of(Err(status.into())).0;
        assert_eq!(of(Ok(())), (Farewell::Told, String::new()));
        assert_eq!(said(Status::already_exists("x")), Farewell::NotOurs);
        assert_eq!(said(Status::permission_denied("x")), Farewell::RemovedBefore);
        assert_eq!(said(Status::internal("x")), Farewell::NotTold);
        let (farewell, reason) = of(Err(WorkerError::Unavailable("nobody answers".into())));
        assert_eq!((farewell, reason.as_str()), (Farewell::NotTold, "nobody answers"));
    }
}
