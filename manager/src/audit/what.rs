//! What a request is about, in a few words for the audit log. Knows: which fields may be told. Each request that is
//! recorded has its own sentence here, so that a field is told by decision: secrets never are.

use swarm_proto::v1;

pub trait What {
    fn what(&self) -> String;
}

/// Things of one request that are named; of more, the number is told.
const MOST_NAMED: usize = 5;

fn listed<'a>(what: &str, names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let named: Vec<&str> = names.take(MOST_NAMED).collect();
    let more = count.saturating_sub(MOST_NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{what} {}{rest}", named.join(", "))
}

fn pairs(map: &std::collections::BTreeMap<String, String>) -> String {
    map.iter().take(MOST_NAMED).map(|(key, value)| format!(" {key}={value}")).collect()
}

fn role(number: i32) -> &'static str {
    match v1::Role::try_from(number) {
        Ok(v1::Role::Worker) => "worker",
        Ok(v1::Role::Manager) => "manager",
        Ok(v1::Role::Unspecified) | Err(_) => "",
    }
}

/// The token is not told; which one it was, `join-token ls` knows.
impl What for v1::IssueRequest {
    fn what(&self) -> String {
        format!("node {} at {}", self.hostname, self.addr)
    }
}

impl What for v1::RenewRequest {
    fn what(&self) -> String {
        String::new()
    }
}

impl What for v1::RenewExpiredRequest {
    fn what(&self) -> String {
        "a certificate that ran out".into()
    }
}

impl What for v1::UpdateClusterRequest {
    fn what(&self) -> String {
        let setting = |name: &str, value: Option<u64>| value.map(|ms| format!("{name} {ms} ms"));
        let count = |name: &str, value: Option<u64>| value.map(|count| format!("{name} {count}"));
        let named = [
            setting("certificate expiry", self.cert_expiry_ms),
            setting("grace", self.cert_grace_ms),
            setting("heartbeat", self.heartbeat_ms),
            setting("key rotation", self.key_rotation_ms),
            count("snapshot interval", self.snapshot_interval),
            count("old snapshots", self.max_snapshots.map(u64::from)),
        ];
        named.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl What for v1::RotateRootRequest {
    fn what(&self) -> String {
        if self.ca_cert.is_empty() { "a new root CA".into() } else { "a root CA that was given".into() }
    }
}

impl What for v1::GetJoinTokenRequest {
    fn what(&self) -> String {
        format!("show the {} token", role(self.role))
    }
}

impl What for v1::RotateJoinTokenRequest {
    fn what(&self) -> String {
        format!("the {} token", role(self.role))
    }
}

impl What for v1::CreateJoinTokenRequest {
    fn what(&self) -> String {
        let labels = pairs(&self.labels);
        let uses = match self.uses {
            0 => "any number of uses".to_owned(),
            uses => format!("uses {uses}"),
        };
        let ttl = match self.ttl_ms {
            0 => "no end".to_owned(),
            ttl => format!("ttl {ttl} ms"),
        };
        format!("{} token, {uses}, {ttl}{labels}", role(self.role))
    }
}

impl What for v1::RevokeJoinTokenRequest {
    fn what(&self) -> String {
        format!("token {}", self.reference)
    }
}

impl What for v1::CreateUserRequest {
    fn what(&self) -> String {
        let role = match v1::UserRole::try_from(self.role) {
            Ok(v1::UserRole::Viewer) => "viewer",
            Ok(v1::UserRole::Operator) => "operator",
            Ok(v1::UserRole::Admin) => "admin",
            Ok(v1::UserRole::Unspecified) | Err(_) => "",
        };
        format!("user {} as {role}", self.name)
    }
}

impl What for v1::RemoveUserRequest {
    fn what(&self) -> String {
        format!("user {}", self.reference)
    }
}

impl What for v1::UpdateNodeRequest {
    fn what(&self) -> String {
        let role = match role(self.role) {
            "" => String::new(),
            role => format!(" role={role}"),
        };
        let availability = match v1::Availability::try_from(self.availability) {
            Ok(v1::Availability::Active) => " availability=active",
            Ok(v1::Availability::Pause) => " availability=pause",
            Ok(v1::Availability::Drain) => " availability=drain",
            Ok(v1::Availability::Unspecified) | Err(_) => "",
        };
        let gone: String =
            self.labels_remove.iter().take(MOST_NAMED).map(|label| format!(" -{label}")).collect();
        format!("node {}{role}{availability}{}{gone}", self.reference, pairs(&self.labels_add))
    }
}

impl What for v1::RemoveNodeRequest {
    fn what(&self) -> String {
        format!("node {}{}", self.reference, if self.force { " by force" } else { "" })
    }
}

impl What for v1::CreateNetworkRequest {
    fn what(&self) -> String {
        format!("network {}", self.spec.as_ref().map_or("", |spec| &spec.name))
    }
}

impl What for v1::RemoveNetworkRequest {
    fn what(&self) -> String {
        format!("network {}", self.reference)
    }
}

impl What for v1::PruneNetworksRequest {
    fn what(&self) -> String {
        "networks that nothing uses".to_owned()
    }
}

/// The passphrase is not told.
impl What for v1::BackupRequest {
    fn what(&self) -> String {
        "the whole cluster, sealed".to_owned()
    }
}

impl What for v1::LeaveClusterRequest {
    fn what(&self) -> String {
        String::new()
    }
}

impl What for v1::CreateEndpointsRequest {
    fn what(&self) -> String {
        let named = |one: &v1::NewEndpoint| format!("{} on network {}", one.name, one.network);
        let named: Vec<String> = self.endpoints.iter().map(named).collect();
        listed("endpoints", named.iter().map(String::as_str))
    }
}

impl What for v1::ReleaseEndpointsRequest {
    fn what(&self) -> String {
        listed("endpoints", self.ids.iter().map(String::as_str))
    }
}

impl What for v1::JoinRaftRequest {
    fn what(&self) -> String {
        String::new()
    }
}

impl What for v1::LeaveRaftRequest {
    fn what(&self) -> String {
        String::new()
    }
}

impl What for v1::SetLockRequest {
    fn what(&self) -> String {
        match v1::Lock::try_from(self.lock) {
            Ok(v1::Lock::On) => "lock the managers' files",
            Ok(v1::Lock::Off) => "unlock the managers' files",
            Ok(v1::Lock::Rotate) => "another unlock key",
            Err(_) => "the lock of the managers' files",
        }
        .to_owned()
    }
}

impl What for v1::GetUnlockKeyRequest {
    fn what(&self) -> String {
        "show the unlock key".to_owned()
    }
}
