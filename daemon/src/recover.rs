//! `init --force-new-cluster`: the manager on this host goes on alone with everything it knows.
//! Knows the order: judged, stopped, built beside, kept, put into place, started. Must not know what the state holds.

use crate::address::{self, Typed};
use crate::daemon::{Daemon, Phase};
use crate::host;
use crate::member::Member;
use crate::running::{self, Running, Start};
use crate::serving::Serving;
use std::sync::Arc;
use std::time::Duration;
use swarm_manager::{Others, Recovered, Successor, recover};
use swarm_model::{Availability, Labels};
use swarm_proto::v1 as pb;
use tonic::Status;

/// For managers that are gone to be missed.
const MISSED_WITHIN: Duration = Duration::from_millis(1_500);
const POLL: Duration = Duration::from_millis(20);

/// # Errors
/// This host is no manager; the managers do decide; another reachable manager knows more. Nothing was changed then.
pub async fn force_new_cluster(daemon: &Arc<Daemon>, advertise: &str) -> Result<pb::InitResponse, Status> {
    let _turn = daemon.turn().await;
    daemon.must_be_open()?;
    let Phase::Member(running) = daemon.phase() else {
        return Err(Status::failed_precondition(
            "this node is not part of a swarm: --force-new-cluster goes on from what a manager has on disk",
        ));
    };
    let member = readdressed(running.member(), advertise)?;
    let others = judge(&running).await?;
    running.stop_serving().await;
    running.set_serving(None);
    let gone_on = go_on_alone(daemon, &running, (member.clone(), others)).await;
    // Also after a failure: as the manager it was.
    let serving = start(daemon, &running).await;
    gone_on?;
    serving?.leads().await?;
    crate::init::answer(daemon, member.advertise).await
}

fn readdressed(member: Member, advertise: &str) -> Result<Member, Status> {
    if advertise.is_empty() {
        return Ok(member);
    }
    let typed = Typed { advertise, listen: "", data_path: "" };
    let chosen = address::choose(typed, &host::addresses())?;
    Ok(crate::whereabouts::at(&member, chosen, typed.kept()))
}

/// Whatever is lost by going on from here must be lost already.
async fn judge(running: &Running) -> Result<Others, Status> {
    let Some(serving) = running.serving() else {
        return Err(Status::failed_precondition(
            "this node is not a manager: run --force-new-cluster on one that was, with its state folder",
        ));
    };
    let decides = async {
        // Managers that died a moment ago are missed after an election timeout only.
        while serving.manager.has_quorum().await {
            tokio::time::sleep(POLL).await;
        }
    };
    if tokio::time::timeout(MISSED_WITHIN, decides).await.is_err() {
        return Err(Status::failed_precondition(
            "the managers have a quorum and decide: use `swarmctl node demote` and `node rm` to be rid of some of them",
        ));
    }
    serving.manager.may_go_alone().await.map_err(Status::failed_precondition)
}

async fn go_on_alone(
    daemon: &Arc<Daemon>,
    running: &Running,
    (member, others): (Member, Others),
) -> Result<(), Status> {
    let internal = |e: String| Status::internal(e);
    let config = running::manager_config(daemon, &member)?;
    let survivor = Successor {
        node: member.node,
        hostname: daemon.config.hostname.clone(),
        data_path_addr: member.data_path,
        version: env!("CARGO_PKG_VERSION").into(),
        // For one that is not on record, which a survivor is.
        availability: Availability::Active,
        labels: Labels::new(),
    };
    let recovered: Recovered = recover(&config, &survivor).await.map_err(|e| internal(e.to_string()))?;
    let epoch = recovered.cluster.epoch;
    // What took a while to build may be too late.
    let again = others.look_again(running.credentials.clone()).await;
    again.map_err(|reason| Status::failed_precondition(format!("{reason}; nothing was changed")))?;
    daemon.state.set_identity(&recovered.identity).map_err(|e| internal(e.to_string()))?;
    let former = others.peers().map(|peer| peer.addr).collect();
    let member = Member { managers: vec![member.advertise], listed: Default::default(), former, ..member };
    daemon.state.set_member(&member).map_err(|e| internal(format!("node.json could not be stored: {e}")))?;
    let kept = recovered.replace().await.map_err(|e| internal(e.to_string()))?;
    tracing::warn!(%epoch, kept = %kept.display(), "this manager goes on alone; its old files are kept");
    running.set_member(member);
    Ok(())
}

/// Starts the manager from what is on disk.
async fn start(daemon: &Arc<Daemon>, running: &Running) -> Result<Arc<Serving>, Status> {
    let internal = |e: String| Status::internal(e);
    let kept = daemon.state.identity();
    let identity = kept.map_err(|e| internal(e.to_string()))?;
    if let Some(identity) = identity {
        running.credentials.replace(identity).map_err(|e| internal(e.to_string()))?;
    }
    let start =
        Start { member: running.member(), credentials: running.credentials.clone(), data_path_port: 0 };
    let serving = Arc::new(running::serve(daemon, &start).await?);
    running.set_serving(Some(serving.clone()));
    Ok(serving)
}
