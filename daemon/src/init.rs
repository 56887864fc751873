//! `init`: this host becomes the first manager of a new cluster. Everything is checked, and the port bound, before
//! anything is written; what fails later is taken back.

use crate::address::{self, Chosen, Typed, Wishes};
use crate::daemon::Daemon;
use crate::host;
use crate::member::Member;
use crate::running::{self, Start};
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use swarm_identity::{Credentials, NodeIdentity, RootCa, Subject, Validity, new_key_and_csr, random};
use swarm_manager::{FirstNode, NewCluster};
use swarm_model::{Availability, ClusterId, ClusterSettings, NodeId, Role, check_labels};
use swarm_proto::{v1 as pb, word_or};
use tonic::{Request, Status};

/// # Errors
/// This host is a member already; a flag makes no sense; the port is taken; the disk does not do its part.
pub async fn init(daemon: &Arc<Daemon>, request: pb::InitRequest) -> Result<pb::InitResponse, Status> {
    if request.force_new_cluster {
        return crate::recover::force_new_cluster(daemon, &request.advertise_addr).await;
    }
    let turn = daemon.turn().await;
    daemon.must_be_outside()?;
    let typed = Typed {
        advertise: &request.advertise_addr,
        listen: &request.listen_addr,
        data_path: &request.data_path_addr,
    };
    let refuse = |e: String| Status::invalid_argument(e);
    let chosen = address::choose(typed, &host::addresses())?;
    let wishes = typed.kept();
    let settings = settings(&request)?;
    settings.check_asked().map_err(|e| refuse(e.to_string()))?;
    check_labels(&request.labels.clone().into_iter().collect()).map_err(|e| refuse(e.to_string()))?;

    running::has_room(&daemon.state, 0)?;
    let made = make(daemon, &request, (&chosen, wishes), settings).await;
    match made {
        Ok(running) => {
            daemon.enter_member(running);
            drop(turn);
            let warnings = chosen.warning(&host::addresses()).into_iter().collect();
            let unlock_key = if request.autolock { lock(daemon).await? } else { String::new() };
            Ok(pb::InitResponse { warnings, unlock_key, ..answer(daemon, chosen.advertise).await? })
        }
        Err(status) => {
            if let Err(error) = daemon.state.forget() {
                tracing::error!(%error, "what a failed init left on disk could not be removed");
            }
            Err(status)
        }
    }
}

/// Locks the files of a manager that has just begun.
async fn lock(daemon: &Daemon) -> Result<String, Status> {
    let request = pb::SetLockRequest { lock: pb::Lock::On.into(), ..Default::default() };
    let answer = daemon.control()?.set_lock(Request::new(request)).await?;
    crate::lock::settled(daemon).await?;
    Ok(answer.into_inner().key)
}

async fn make(
    daemon: &Arc<Daemon>,
    request: &pb::InitRequest,
    (chosen, wishes): (&Chosen, Wishes),
    settings: ClusterSettings,
) -> Result<Arc<running::Running>, Status> {
    let (cluster, node) = (random::new_id(), random::new_id());
    let (ca, identity) = identity(cluster, node, settings.cert_expiry_ms).map_err(Status::internal)?;
    let internal = |e: String| Status::internal(e);
    let member = Member {
        node,
        cluster,
        role: Role::Manager,
        advertise: chosen.advertise,
        listen: chosen.listen,
        data_path: chosen.data_path,
        managers: vec![chosen.advertise],
        listed_ms: Default::default(),
        listed: Default::default(),
        names: Vec::new(),
        wishes: Some(wishes),
        moves: 0,
        former: Vec::new(),
    };
    let first = FirstNode {
        hostname: daemon.config.hostname.clone(),
        availability: word_or("availability", request.availability, Availability::Active)?,
        labels: request.labels.clone().into_iter().collect(),
        addr: chosen.advertise.ip(),
        data_path_addr: chosen.data_path,
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let data_path_port = settings.data_path_port;
    daemon.state.begin().map_err(|e| internal(e.to_string()))?;
    let stored = daemon.state.set_identity(&identity);
    stored.map_err(|e| internal(e.to_string()))?;
    let credentials = Credentials::new(identity).map_err(|e| internal(e.to_string()))?;
    let start = Start { member, credentials, data_path_port };
    running::bootstrap(daemon, start, NewCluster { id: cluster, ca, settings, first }).await
}

fn identity(cluster: ClusterId, node: NodeId, expiry_ms: u64) -> Result<(RootCa, NodeIdentity), String> {
    let now_ms = now_ms();
    let ca = RootCa::generate(cluster, now_ms).map_err(|e| e.to_string())?;
    let (key, csr) = new_key_and_csr().map_err(|e| e.to_string())?;
    let subject = Subject { node, role: Role::Manager, cluster };
    let chain = ca.sign(&csr, &subject, Validity::starting(now_ms, expiry_ms)).map_err(|e| e.to_string())?;
    let identity = NodeIdentity::new(key, &chain, ca.cert_pem()).map_err(|e| e.to_string())?;
    Ok((ca, identity))
}

fn settings(request: &pb::InitRequest) -> Result<ClusterSettings, Status> {
    let pools = match request.default_addr_pools.as_slice() {
        [] => vec![ClusterSettings::DEFAULT_POOL.to_owned()],
        given => given.to_vec(),
    };
    let pool = |text: &String| {
        text.parse::<Ipv4Net>().map_err(|_| {
            Status::invalid_argument(format!(
                "default address pool {text:?} is not an IPv4 CIDR as in 10.0.0.0/8"
            ))
        })
    };
    let or = |given: u64, default: u64| if given == 0 { default } else { given };
    let narrow = |what: &str, given: u32, default: u32| -> Result<u16, Status> {
        u16::try_from(or(given.into(), default.into())).map_err(|_| {
            Status::invalid_argument(format!("{what} {given} is not in valid range: 1024 to 49151"))
        })
    };
    let prefix =
        narrow("subnet length", request.subnet_prefix, ClusterSettings::DEFAULT_SUBNET_PREFIX.into())?;
    let pools = pools.iter().map(pool).collect::<Result<_, _>>()?;
    Ok(ClusterSettings {
        subnet_prefix: u8::try_from(prefix).unwrap_or(u8::MAX),
        data_path_port: narrow(
            "data path port",
            request.data_path_port,
            ClusterSettings::DEFAULT_DATA_PATH_PORT.into(),
        )?,
        cert_expiry_ms: or(request.cert_expiry_ms, ClusterSettings::DEFAULT_CERT_EXPIRY_MS),
        heartbeat_ms: or(request.heartbeat_ms, ClusterSettings::DEFAULT_HEARTBEAT_MS),
        snapshot_interval: or(request.snapshot_interval, ClusterSettings::DEFAULT_SNAPSHOT_INTERVAL),
        max_snapshots: request.max_snapshots,
        ..ClusterSettings::with_defaults(pools, unique_local(random::bytes()))
    })
}

/// A /48 of fd00::/8 with a random global id (RFC 4193 §3.2).
fn unique_local(random: [u8; 5]) -> Ipv6Net {
    let [a, b, c, d, e] = random;
    let word = |high, low| u16::from_be_bytes([high, low]);
    let address = Ipv6Addr::new(word(0xfd, a), word(b, c), word(d, e), 0, 0, 0, 0, 0);
    Ipv6Net::new(address, 48).unwrap_or_default()
}

pub async fn answer(daemon: &Daemon, advertise: SocketAddr) -> Result<pb::InitResponse, Status> {
    let running = daemon.running()?;
    let request = pb::GetJoinTokenRequest { role: pb::Role::Worker.into() };
    let token = daemon.control()?.get_join_token(Request::new(request)).await?.into_inner().token;
    Ok(pb::InitResponse {
        node: running.member().node.to_string(),
        join_token_worker: token,
        advertise_addr: advertise.to_string(),
        warnings: Vec::new(),
        unlock_key: String::new(),
    })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
