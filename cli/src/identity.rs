//! Identities of users in files: the key never leaves the host that made it, and who else may read the file is looked at
//! before it is used. Knows files; must not know what is asked with them.

use crate::error::CliError;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use swarm_identity::{DialError, DialErrorKind, UserIdentity};
use tonic::transport::Channel;

/// Ours are below 4 KiB; a chain may be longer.
const MOST_BYTES: u64 = 64 << 10;

/// To the manager at `addr`, with the identity in `file`.
pub async fn channel(addr: &str, file: &Path) -> Result<Channel, CliError> {
    let identity = load(file)?;
    identity.channel(addr).await.map_err(|error| failed(addr, &error))
}

fn load(path: &Path) -> Result<UserIdentity, CliError> {
    let failed = |e: &dyn std::fmt::Display| {
        CliError::Failed(format!("cannot use the identity in {}: {e}", path.display()))
    };
    let file = File::open(path).map_err(|e| failed(&e))?;
    let mode = file.metadata().map_err(|e| failed(&e))?.mode();
    if mode & 0o077 != 0 {
        return Err(CliError::Refused(format!(
            "the identity in {} may be read by others than its owner (mode {:04o}): set mode 0600 if you are sure that \
             nobody did, else remove that user and make another",
            path.display(),
            mode & 0o7777
        )));
    }
    let mut pem = String::new();
    file.take(MOST_BYTES).read_to_string(&mut pem).map_err(|e| failed(&e))?;
    UserIdentity::from_pem(&pem).map_err(|e| failed(&e))
}

fn failed(addr: &str, error: &DialError) -> CliError {
    let said = match error {
        other if other.is_of_another_root() => format!(
            "the manager at {addr} and this identity are not of one root CA: it was replaced since the identity was issued, \
             or that is another cluster; ask an admin for a new one (`swarmctl user rm` and `user create`)"
        ),
        DialError::OwnExpired { since_s } => format!(
            "the identity's certificate expired {since_s} s ago by this host's clock: ask an admin for another one"
        ),
        DialError::Refused { why, .. } => format!("{addr} refused the identity's certificate: {why}"),
        other => other.to_string(),
    };
    match error.kind() {
        DialErrorKind::Usage => CliError::Usage(said),
        DialErrorKind::Unreachable => CliError::Unavailable(said),
        DialErrorKind::Untrusted | DialErrorKind::Refused => CliError::Refused(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s67_an_identity_of_before_a_rotation_is_told_so_however_that_was_found_out() {
        let addr = || "192.0.2.1:2377".to_owned();
        for error in [
            DialError::ForeignCa { addr: addr() },
            DialError::BadCertificate { addr: addr(), why: "PathLenConstraintViolated".into() },
            DialError::Refused { addr: addr(), why: "it was not issued by that cluster's CA".into() },
        ] {
            let said = failed("192.0.2.1:2377", &error);
            assert_eq!(said.exit_code(), 5);
            let said = said.to_string();
            assert!(said.contains("replaced since") && said.contains("user create"), "{said}");
            assert!(!said.contains("PathLen"), "{said}");
        }
        let expired = DialError::Refused { addr: addr(), why: swarm_identity::EXPIRED_THERE.into() };
        let said = failed("192.0.2.1:2377", &expired);
        assert!(said.to_string().contains("expired") && said.exit_code() == 5, "{said}");
    }
}
