//! Messages that carry a secret print without it, so that none gets into a log by way of `{:?}`. Knows which they are.

use crate::v1;
use std::fmt;

macro_rules! without_secrets {
    ($($message:ident shows $($field:ident),*;)+) => {
        $(impl fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        })+

        #[cfg(test)]
        const SECRET: &[&str] = &[$(stringify!($message)),+];
    };
}

// The same names as in build.rs: one that stands in one place only does not compile.
without_secrets! {
    IssueRequest shows hostname, addr, data_path_addr, availability, labels, version, request_id;
    JoinTokenResponse shows;
    CreateJoinTokenResponse shows record;
    BackupRequest shows;
    InitResponse shows node, advertise_addr, warnings;
    JoinRequest shows remote_addrs, advertise_addr, listen_addr, data_path_addr, availability, labels;
    RestoreBegin shows advertise_addr, listen_addr, data_path_addr, availability, labels;
    RestoreResponse shows node, advertise_addr, backup, still_there;
    UnlockKeyResponse shows;
    UnlockRequest shows;
    RotateRootRequest shows ca_cert, cert_expiry_ms, request_id;
    SetLockRequest shows lock, request_id;
    GossipKey shows generation;
    PairSecret shows generation;
}

#[cfg(test)]
mod tests {
    use super::SECRET;
    use crate::v1;
    use proptest::prelude::*;
    use std::fs;

    /// What a field is called that must not be printed.
    fn is_secret(field: &str) -> bool {
        let parts: Vec<&str> = field.split('_').collect();
        let named = ["token", "passphrase", "secret", "secrets"].iter().any(|word| parts.contains(word));
        named
            || field == "key"
            || field.ends_with("_key") && !parts.contains(&"public")
            || field.ends_with("key_pem")
    }

    /// The messages of the .proto files that have such a field, and the field.
    fn found() -> Vec<(String, String)> {
        let mut found = Vec::new();
        for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/swarm/v1")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
            let mut message = "";
            for piece in code.split_inclusive([';', '{', '}']) {
                let words: Vec<&str> = piece.split_whitespace().collect();
                match words.as_slice() {
                    ["message", name, "{"] => message = name,
                    [.., name, "=", _] if is_secret(name) => {
                        found.push((message.to_owned(), (*name).to_owned()))
                    }
                    _ => {}
                }
            }
        }
        found
    }

    #[test]
    fn every_message_with_a_secret_is_on_the_list() {
        let found = found();
        assert!(found.len() >= 7, "{found:?}");
        for (message, field) in found {
            assert!(SECRET.contains(&message.as_str()), "{message}.{field} would be printed by {{:?}}");
        }
    }

    proptest! {
        #[test]
        fn no_canary_is_printed(canary in "CANARY[a-z0-9]{12}") {
            let text = || canary.clone();
            let printed = [
                format!("{:?}", v1::IssueRequest { token: text(), csr_der: text().into(), ..Default::default() }),
                format!("{:?}", v1::JoinTokenResponse { token: text() }),
                format!("{:?}", v1::CreateJoinTokenResponse { token: text(), record: None }),
                format!("{:?}", v1::BackupRequest { passphrase: text() }),
                format!("{:?}", v1::UnlockKeyResponse { key: text() }),
                format!("{:?}", v1::UnlockRequest { key: text() }),
                format!("{:?}", v1::RotateRootRequest { ca_key: text(), ..Default::default() }),
                format!("{:?}", v1::SetLockRequest { key: text(), ..Default::default() }),
                format!("{:?}", v1::DriverDefaults {
                    gossip_keys: vec![v1::GossipKey { generation: 1, secret: text().into() }],
                    ..Default::default()
                }),
                format!("{:?}", v1::Pair {
                    generations: vec![v1::PairSecret { generation: 1, secret: text().into() }],
                    ..Default::default()
                }),
                format!("{:?}", v1::InitResponse { join_token_worker: text(), ..Default::default() }),
                format!("{:?}", v1::JoinRequest { token: text(), ..Default::default() }),
                format!("{:#?}", v1::RestorePart {
                    part: Some(v1::restore_part::Part::Begin(v1::RestoreBegin { passphrase: text(), ..Default::default() })),
                }),
                format!("{:?}", v1::RestoreResponse { join_token_worker: text(), ..Default::default() }),
            ];
            for printed in printed {
                prop_assert!(!printed.contains(&canary), "{}", printed);
            }
        }
    }
}
