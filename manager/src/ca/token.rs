//! Which of the cluster's join tokens is shown, or that none is. Whether one made to order still admits anybody is
//! judged by the state, with the admission.
//! Knows: tokens and the cluster's secrets. Must not know: who shows the token, certificates.

use swarm_identity::{CaDigest, JoinToken, digests_equal, secret_digest, secrets_equal};
use swarm_model::{IssuedToken, JoinSecrets, Role, TokenId};

/// A token of this cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// One of the two that always are.
    Standing(Role),
    /// One made by `join-token create`.
    Issued(TokenId, Role),
}

impl Shown {
    pub fn role(self) -> Role {
        match self {
            Self::Standing(role) | Self::Issued(_, role) => role,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error(
        "the join token is one of another cluster, or from before its root CA was replaced: \
         get this cluster's by `swarmctl join-token` on a manager"
    )]
    OtherCluster,
    #[error(
        "the join token is not valid any more: it was rotated, ended long ago or never was this cluster's; \
         get the present one by `swarmctl join-token` on a manager"
    )]
    NotValid,
}

/// All secrets are always compared, so that the time taken does not tell which is near.
pub fn token_shown<'a>(
    token: &JoinToken,
    digest: &CaDigest,
    secrets: &JoinSecrets,
    issued: impl Iterator<Item = &'a IssuedToken>,
) -> Result<Shown, Rejected> {
    if token.digest() != *digest {
        return Err(Rejected::OtherCluster);
    }
    let worker = secrets_equal(token.secret(), &secrets.worker);
    let manager = secrets_equal(token.secret(), &secrets.manager);
    let shown = secret_digest(token.secret());
    let mut made = None;
    for one in issued {
        if digests_equal(&shown, &one.digest) {
            made = Some(Shown::Issued(one.id, one.role));
        }
    }
    match (worker, manager) {
        (_, true) => Ok(Shown::Standing(Role::Manager)),
        (true, false) => Ok(Shown::Standing(Role::Worker)),
        (false, false) => made.ok_or(Rejected::NotValid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: &str = "0000000000000000000000000";
    const MANAGER: &str = "1111111111111111111111111";

    const MADE: &str = "2222222222222222222222222";

    fn made() -> IssuedToken {
        IssuedToken {
            id: TokenId::from_random([9; 16]),
            role: Role::Manager,
            digest: secret_digest(MADE),
            labels: Default::default(),
            uses: Some(1),
            // Whether it is used up is not judged here.
            used: 1,
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            used_by: Vec::new(),
            outdated_ms: None,
        }
    }

    fn verdict(digest: u8, secret: &str) -> Result<Shown, Rejected> {
        let secrets = JoinSecrets { worker: WORKER.to_owned(), manager: MANAGER.to_owned() };
        let token = JoinToken::new(CaDigest::from_bytes([digest; 32]), secret).unwrap();
        token_shown(&token, &CaDigest::from_bytes([7; 32]), &secrets, [made()].iter())
    }

    #[test]
    fn the_secret_decides_the_role_and_the_digest_the_cluster() {
        assert_eq!(verdict(7, WORKER), Ok(Shown::Standing(Role::Worker)));
        assert_eq!(verdict(7, MANAGER), Ok(Shown::Standing(Role::Manager)));
        assert_eq!(verdict(7, MADE), Ok(Shown::Issued(made().id, Role::Manager)));
        assert_eq!(verdict(7, "1111111111111111111111112"), Err(Rejected::NotValid));
        assert_eq!(verdict(8, WORKER), Err(Rejected::OtherCluster));
    }
}
