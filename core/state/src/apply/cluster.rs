//! Rules for the cluster itself: its creation and its join secrets.

use super::{Step, network, node, size};
use crate::{CreateCluster, CreateNetwork, Event, Refusal, Reply, RotateJoinSecret, Settled};
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use swarm_model::{Cluster, DnsName, Driver, Epoch, Lineage, NetworkSpec, Node, Role, SecretRing};

/// A root certificate and its key, each in PEM: an EC certificate has under 2 KB.
pub const MAX_PEM_BYTES: usize = 3 * 1024;
const MAX_SECRET_BYTES: usize = 64;

pub fn create(step: &mut Step<'_>, create: &CreateCluster) -> Result<Reply, Refusal> {
    if step.state.tables.cluster.is_some() {
        return Err(Refusal::ClusterExists);
    }
    create.settings.check().map_err(|e| Refusal::Invalid(e.to_string()))?;
    size::check_text("the root certificate", &create.root_ca_cert, MAX_PEM_BYTES)?;
    size::check_text("the root key", &create.root_ca_key, MAX_PEM_BYTES)?;
    size::check_text("the join secret", &create.join_secrets.worker, MAX_SECRET_BYTES)?;
    size::check_text("the join secret", &create.join_secrets.manager, MAX_SECRET_BYTES)?;
    node::check_admission(step, &create.first)?;
    if create.first.role != Role::Manager {
        return Err(Refusal::NotAManager(create.first.node));
    }
    let ingress = CreateNetwork { id: create.ingress, spec: ingress_spec()?, avoid: create.avoid.clone() };
    let plan = network::plan(step, &create.settings, &ingress)?;

    step.state.tables.cluster = Some(Arc::new(Cluster {
        id: create.cluster,
        created_ms: step.wall_ms,
        settings: create.settings.clone(),
        join_secrets: create.join_secrets.clone(),
        root_ca_cert: create.root_ca_cert.clone(),
        root_ca_key: create.root_ca_key.clone(),
        epoch: Epoch::default(),
        feature_level: create.feature_level,
        past: Vec::new(),
        unlock_key: None,
        rotation: None,
        ring: SecretRing::default(),
    }));
    step.events.push(Event::DefaultsChanged);
    network::commit(step, plan, true);
    Ok(node::insert(step, &create.first, Some(create.manager.clone())))
}

pub fn rotate_join_secret(step: &mut Step<'_>, rotate: &RotateJoinSecret) -> Result<Reply, Refusal> {
    size::check_text("the join secret", &rotate.secret, MAX_SECRET_BYTES)?;
    let Some(cluster) = &mut step.state.tables.cluster else { return Err(Refusal::NoCluster) };
    let secrets = &mut Arc::make_mut(cluster).join_secrets;
    match rotate.role {
        Role::Worker => secrets.worker.clone_from(&rotate.secret),
        Role::Manager => secrets.manager.clone_from(&rotate.secret),
    }
    Ok(Reply::Done)
}

/// Never lowered: commands of the level may be in the log already.
pub fn set_feature_level(
    step: &mut Step<'_>,
    level: u32,
    settled: Option<&Settled>,
) -> Result<Reply, Refusal> {
    let features = |node: &Node| match settled {
        Some(settled) => settled.features.get(&node.id).copied().unwrap_or(0),
        None => node.features,
    };
    let readers = step.state.nodes().filter(|node| node.reads_log());
    if let Some(old) = readers.min_by_key(|node| features(node)).filter(|node| features(node) < level) {
        return Err(Refusal::TooOld { host: old.hostname.clone(), features: features(old), needed: level });
    }
    let Some(cluster) = &mut step.state.tables.cluster else { return Err(Refusal::NoCluster) };
    if cluster.feature_level >= level {
        return Ok(Reply::Done);
    }
    Arc::make_mut(cluster).feature_level = level;
    step.events.push(Event::DefaultsChanged);
    if let Some(settled) = settled {
        settle(step, settled);
    }
    Ok(Reply::Done)
}

/// Also revisions: those of before may differ from manager to manager.
fn settle(step: &mut Step<'_>, settled: &Settled) {
    if let Some(cluster) = &mut step.state.tables.cluster {
        Arc::make_mut(cluster).enter(Lineage { epoch: settled.epoch, past: settled.past.clone() });
    }
    let nodes: Vec<Node> = step.state.nodes().cloned().collect();
    for mut node in nodes {
        node.features = settled.features.get(&node.id).copied().unwrap_or(0);
        node.revision = step.index;
        node::put(step, node);
    }
}

/// `ingress` as Docker makes it: of the cluster, not for attachments.
fn ingress_spec() -> Result<NetworkSpec, Refusal> {
    Ok(NetworkSpec {
        name: "ingress".parse::<DnsName>().map_err(|e| Refusal::Invalid(e.to_string()))?,
        driver: Driver::Overlay,
        attachable: false,
        internal: false,
        ipv6: false,
        encrypted: false,
        mtu: None,
        vni: None,
        ipam: [].into(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    })
}
