//! What a verb of the local socket is about, in a few words for the audit log. Knows: which fields may be told; tokens, keys and
//! passphrases may not, nor what a command is told in its environment or arguments.

use swarm_proto::v1 as pb;

/// Each request that changes something, by decision: its name, and what is told of it.
pub trait Told {
    const METHOD: &'static str;
    fn told(&self) -> String;
}

macro_rules! told {
    ($($request:ident as $method:literal: |$asked:ident| $told:expr;)+) => {
        $(impl Told for pb::$request {
            const METHOD: &'static str = $method;
            fn told(&self) -> String {
                let $asked = self;
                $told
            }
        })+
    };
}

told! {
    InitRequest as "Local/Init": |asked| match asked.force_new_cluster {
        true => "go on alone with the cluster of this host".to_owned(),
        false => at("a new cluster", &asked.advertise_addr),
    };
    JoinRequest as "Local/Join": |asked| format!("through {}", asked.remote_addrs.join(", "));
    LeaveRequest as "Local/Leave": |asked| by_force("the cluster", asked.force);
    RejoinRequest as "Local/Rejoin":
        |asked| at(&format!("through {}", asked.remote_addrs.join(", ")), &asked.advertise_addr);
    UnlockRequest as "Local/Unlock": |_asked| "this manager's files".to_owned();
    RestoreBegin as "Local/Restore": |asked| at("a cluster from a backup", &asked.advertise_addr);
    RunCreate as "Local/Run": |asked| sandbox(&asked.name, asked.attachments.iter());
    AttachRequest as "Local/Attach": |asked| sandbox(&asked.name, asked.attachment.iter());
    DetachRequest as "Local/Detach": |asked| match asked.network.as_str() {
        "" => format!("sandbox {}", asked.reference),
        network => format!("sandbox {} from {network}", asked.reference),
    };
    RemoveSandboxRequest as "Local/RemoveSandbox":
        |asked| by_force(&format!("sandbox {}", asked.reference), asked.force);
    ConnectRequest as "Local/ConnectNetwork": |asked| sandbox(&asked.target, asked.attachment.iter());
    DisconnectRequest as "Local/DisconnectNetwork":
        |asked| by_force(&format!("sandbox {} from {}", asked.target, asked.network), asked.force);
}

fn at(what: &str, advertise: &str) -> String {
    match advertise {
        "" => what.to_owned(),
        advertise => format!("{what} at {advertise}"),
    }
}

fn by_force(what: &str, force: bool) -> String {
    format!("{what}{}", if force { " by force" } else { "" })
}

fn sandbox<'a>(name: &str, on: impl Iterator<Item = &'a pb::Attachment>) -> String {
    let name = if name.is_empty() { "without a name" } else { name };
    let networks: Vec<&str> = on.map(|attachment| attachment.network.as_str()).collect();
    match networks.as_slice() {
        [] => format!("sandbox {name}"),
        networks => format!("sandbox {name} on {}", networks.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_no_line() {
        let canary = || "CANARY".to_owned();
        let told = [
            pb::JoinRequest { token: canary(), remote_addrs: vec!["h1:2377".into()], ..Default::default() }
                .told(),
            pb::UnlockRequest { key: canary() }.told(),
            pb::RestoreBegin { passphrase: canary(), ..Default::default() }.told(),
            pb::RunCreate { name: "a".into(), command: vec![canary()], ..Default::default() }.told(),
        ];
        assert_eq!(told, ["through h1:2377", "this manager's files", "a cluster from a backup", "sandbox a"]);
    }

    /// A new verb gets its line, or is said here to change nothing.
    #[test]
    fn every_verb_of_the_socket_is_told_or_only_looks() {
        let told = [
            pb::InitRequest::METHOD,
            pb::JoinRequest::METHOD,
            pb::LeaveRequest::METHOD,
            pb::RejoinRequest::METHOD,
            pb::UnlockRequest::METHOD,
            pb::RestoreBegin::METHOD,
            pb::RunCreate::METHOD,
            pb::AttachRequest::METHOD,
            pb::DetachRequest::METHOD,
            pb::RemoveSandboxRequest::METHOD,
            pb::ConnectRequest::METHOD,
            pb::DisconnectRequest::METHOD,
        ];
        let looks = ["Local/Info", "Local/ListSandboxes", "Local/GetSandbox", "Local/ListLocalNetworks"];
        let text = include_str!("../../proto/proto/swarm/v1/local.proto");
        let verbs = text.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
        let mut verbs: Vec<String> = verbs.map(|verb| format!("Local/{verb}")).collect();
        verbs.retain(|verb| !looks.contains(&verb.as_str()));
        assert!(verbs.len() > 8, "{verbs:?}");
        verbs.sort();
        let mut told = told.to_vec();
        told.sort_unstable();
        assert_eq!(verbs, told);
    }
}
