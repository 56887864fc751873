//! `restore`: this host, member of nothing, becomes the only manager of the cluster in a backup.
//! Knows the order: received, opened, built beside, put into place, started. Must not know what the backup holds.
//! Until the manager has started and `node.json` is written, this host is outside any cluster, after a crash too.

use crate::address::{self, Chosen, Typed, Wishes};
use crate::daemon::Daemon;
use crate::host;
use crate::local_audit::Told;
use crate::member::Member;
use crate::running::{self, Running, Start};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::random;
use swarm_manager::{
    BackupError, Former, LocalCaller, Passphrase, Recovered, Restored, Successor, backup_size,
    restore as restored, still_there,
};
use swarm_model::{Availability, Cluster, Role, check_labels};
use swarm_proto::{v1 as pb, v1::restore_part::Part, word_or};
use tonic::{Status, Streaming};

/// For the next piece to come.
const PIECE_DEADLINE: Duration = Duration::from_secs(30);
/// A little more than any backup has: where the reading of a file that is none ends.
const MOST_BYTES: usize = (1 << 30) + (1 << 20);

/// # Errors
/// This host is a member already; the file or the passphrase is not the right one; the port is taken. Nothing of it is
/// left then.
pub async fn restore(
    daemon: &Arc<Daemon>,
    mut parts: Streaming<pb::RestorePart>,
    caller: LocalCaller,
) -> Result<pb::RestoreResponse, Status> {
    let Some(Part::Begin(begin)) = next(&mut parts).await? else {
        return Err(Status::invalid_argument("restore begins with how it is to be done"));
    };
    let opened = daemon.audit.open(caller, pb::RestoreBegin::METHOD, begin.told());
    opened.close(go_on(daemon, begin, parts)).await
}

async fn go_on(
    daemon: &Arc<Daemon>,
    mut begin: pb::RestoreBegin,
    mut parts: Streaming<pb::RestorePart>,
) -> Result<pb::RestoreResponse, Status> {
    daemon.must_be_outside()?;
    let passphrase = Passphrase::given(std::mem::take(&mut begin.passphrase));
    let newcomer = Newcomer::read(daemon, begin)?;
    let file = collect(&mut parts).await?;
    running::has_room(&daemon.state, file.len())?;
    let opened = tokio::task::spawn_blocking(move || Restored::open(&file, &passphrase)).await;
    let backup = opened.map_err(|e| Status::internal(e.to_string()))?.map_err(unusable)?;
    let _turn = daemon.turn().await;
    daemon.must_be_outside()?;
    let (summary, former) = (backup.made.summary(&backup.state), backup.managers());
    match make(daemon, newcomer, backup).await {
        Ok(running) => {
            daemon.enter_member(running.clone());
            answer(daemon, &running, (summary, former)).await
        }
        Err(status) => {
            if let Err(error) = daemon.state.forget() {
                tracing::error!(%error, "what a failed restore left on disk could not be removed");
            }
            Err(status)
        }
    }
}

/// This host as it will stand on record.
struct Newcomer {
    chosen: Chosen,
    wishes: Wishes,
    successor: Successor,
}

impl Newcomer {
    fn read(daemon: &Daemon, begin: pb::RestoreBegin) -> Result<Self, Status> {
        let refuse = |e: String| Status::invalid_argument(e);
        let typed = Typed {
            advertise: &begin.advertise_addr,
            listen: &begin.listen_addr,
            data_path: &begin.data_path_addr,
        };
        let chosen = address::choose(typed, &host::addresses())?;
        let wishes = typed.kept();
        check_labels(&begin.labels).map_err(|e| refuse(e.to_string()))?;
        let successor = Successor {
            node: random::new_id(),
            hostname: daemon.config.hostname.clone(),
            data_path_addr: chosen.data_path,
            version: env!("CARGO_PKG_VERSION").into(),
            availability: word_or("availability", begin.availability, Availability::Active)?,
            labels: begin.labels,
        };
        Ok(Self { chosen, wishes, successor })
    }

    fn member(&self, cluster: &Cluster) -> Member {
        Member {
            node: self.successor.node,
            cluster: cluster.id,
            role: Role::Manager,
            advertise: self.chosen.advertise,
            listen: self.chosen.listen,
            data_path: self.chosen.data_path,
            managers: vec![self.chosen.advertise],
            listed_ms: BTreeMap::new(),
            listed: Default::default(),
            names: Vec::new(),
            wishes: Some(self.wishes.clone()),
            moves: 0,
            former: Vec::new(),
        }
    }
}

async fn make(daemon: &Arc<Daemon>, newcomer: Newcomer, backup: Restored) -> Result<Arc<Running>, Status> {
    let internal = |e: String| Status::internal(e);
    let cluster = backup.state.cluster().cloned();
    let cluster = cluster.ok_or_else(|| Status::invalid_argument("there is no cluster in this backup"))?;
    let member = newcomer.member(&cluster);
    let made_by = backup.made.version.clone();
    daemon.state.begin().map_err(|e| internal(e.to_string()))?;
    let config = running::manager_config(daemon, &member)?;
    let recovered = restored(&config, backup, &newcomer.successor).await;
    let recovered: Recovered = recovered.map_err(|e| internal(e.to_string()))?;
    daemon.state.set_identity(&recovered.identity).map_err(|e| internal(e.to_string()))?;
    let credentials = running::stored_credentials(&daemon.state)?;
    let epoch = recovered.cluster.epoch;
    recovered.install().await.map_err(|e| internal(e.to_string()))?;
    tracing::warn!(%epoch, cluster = %cluster.id, made_by, "this host goes on with a cluster from a backup");
    let data_path_port = cluster.settings.data_path_port;
    running::restored(daemon, Start { member, credentials, data_path_port }).await
}

async fn answer(
    daemon: &Daemon,
    running: &Running,
    (backup, former): (pb::BackupSummary, Vec<Former>),
) -> Result<pb::RestoreResponse, Status> {
    let pb::InitResponse { node, join_token_worker, advertise_addr, .. } =
        crate::init::answer(daemon, running.member().advertise).await?;
    let there = still_there(running.credentials.clone(), running.lineage().epoch, former).await;
    let still_there = there.iter().map(|f| format!("{} ({})", f.hostname, f.peer.addr)).collect();
    let locked = |serving: Arc<crate::serving::Serving>| {
        serving.manager.read(|state| state.cluster().is_some_and(|cluster| cluster.unlock_key.is_some()))
    };
    let autolock = running.serving().is_some_and(locked);
    let backup = Some(backup);
    Ok(pb::RestoreResponse { node, join_token_worker, advertise_addr, backup, still_there, autolock })
}

fn unusable(error: BackupError) -> Status {
    let text = format!("{error}. Nothing was changed");
    match error {
        BackupError::WrongPassphrase => Status::permission_denied(text),
        _ => Status::invalid_argument(text),
    }
}

async fn collect(parts: &mut Streaming<pb::RestorePart>) -> Result<Vec<u8>, Status> {
    let mut file = Vec::new();
    while let Some(part) = next(parts).await? {
        let Part::Piece(piece) = part else {
            return Err(Status::invalid_argument("a restore begins only once"));
        };
        if file.len() + piece.len() > MOST_BYTES {
            return Err(Status::invalid_argument(format!(
                "the file is larger than any backup: more than {MOST_BYTES} bytes; check which file was given"
            )));
        }
        file.extend_from_slice(&piece);
        // What is no backup, or longer than it says, is not read to its end: it may have none.
        if backup_size(&file).map_err(unusable)?.is_some_and(|size| file.len() as u64 > size) {
            break;
        }
    }
    Ok(file)
}

async fn next(parts: &mut Streaming<pb::RestorePart>) -> Result<Option<Part>, Status> {
    let part = tokio::time::timeout(PIECE_DEADLINE, parts.message()).await;
    let late = |_| Status::deadline_exceeded("the backup stopped coming: nothing was changed");
    Ok(part.map_err(late)??.and_then(|part| part.part))
}
