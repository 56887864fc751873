//! Which role a join token admits, or why none.
//! Knows: tokens and the cluster's secrets. Must not know: who shows the token, certificates.

use swarm_identity::{CaDigest, JoinToken, secrets_equal};
use swarm_model::{JoinSecrets, Role};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error(
        "the join token is one of another cluster, or from before its root CA was replaced: \
         get this cluster's by `swarmctl join-token` on a manager"
    )]
    OtherCluster,
    #[error(
        "the join token is not valid any more: it was rotated or never was this cluster's; \
         get the present one by `swarmctl join-token` on a manager"
    )]
    NotValid,
}

/// Both secrets are always compared, so that the time taken does not tell which is near.
pub fn role_of(token: &JoinToken, digest: &CaDigest, secrets: &JoinSecrets) -> Result<Role, Rejected> {
    if token.digest() != *digest {
        return Err(Rejected::OtherCluster);
    }
    let worker = secrets_equal(token.secret(), &secrets.worker);
    let manager = secrets_equal(token.secret(), &secrets.manager);
    match (worker, manager) {
        (_, true) => Ok(Role::Manager),
        (true, false) => Ok(Role::Worker),
        (false, false) => Err(Rejected::NotValid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: &str = "0000000000000000000000000";
    const MANAGER: &str = "1111111111111111111111111";

    fn verdict(digest: u8, secret: &str) -> Result<Role, Rejected> {
        let secrets = JoinSecrets { worker: WORKER.to_owned(), manager: MANAGER.to_owned() };
        let token = JoinToken::new(CaDigest::from_bytes([digest; 32]), secret).unwrap();
        role_of(&token, &CaDigest::from_bytes([7; 32]), &secrets)
    }

    #[test]
    fn the_secret_decides_the_role_and_the_digest_the_cluster() {
        assert_eq!(verdict(7, WORKER), Ok(Role::Worker));
        assert_eq!(verdict(7, MANAGER), Ok(Role::Manager));
        assert_eq!(verdict(7, "1111111111111111111111112"), Err(Rejected::NotValid));
        assert_eq!(verdict(8, WORKER), Err(Rejected::OtherCluster));
    }
}
