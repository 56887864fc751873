//! Rules for the cluster's settings and for the replacement of its root CA: begin, hear of each node, end. Certificates are
//! text here; whether they are any good was judged by whoever proposed them.

use super::cluster::MAX_PEM_BYTES;
use super::size::check_text;
use super::{Step, access};
use crate::{Event, Refusal, Reply, RotateRoot};
use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use swarm_model::{Cluster, NodeId, RootRotation, SettingsChange};

pub fn update_settings(step: &mut Step<'_>, change: &SettingsChange) -> Result<Reply, Refusal> {
    let settings = change.on(&cluster(step)?.settings);
    settings.check().map_err(|e| Refusal::Invalid(e.to_string()))?;
    change_cluster(step, |cluster| cluster.settings = settings)
}

/// Takes the place of a rotation that is under way: its root never was the only one, so nobody depends on it.
pub fn rotate(step: &mut Step<'_>, asked: &RotateRoot) -> Result<Reply, Refusal> {
    let now = cluster(step)?;
    if now.root_ca_cert != asked.replaces {
        return Err(Refusal::RootReplaced);
    }
    if now.root_ca_cert == asked.root_ca_cert {
        return Err(Refusal::SameRoot);
    }
    check_text("the root certificate", &asked.root_ca_cert, MAX_PEM_BYTES)?;
    check_text("the root key", &asked.root_ca_key, MAX_PEM_BYTES)?;
    check_text("the cross certificate", &asked.cross_cert, MAX_PEM_BYTES)?;
    let change = SettingsChange { cert_expiry_ms: asked.cert_expiry_ms, ..SettingsChange::default() };
    let settings = change.on(&now.settings);
    settings.check().map_err(|e| Refusal::Invalid(e.to_string()))?;
    if let Some(number) = now.rotation.as_ref().map(|rotation| rotation.number) {
        access::abandon(step, number);
    }
    let rotation = RootRotation {
        number: step.index,
        started_ms: step.wall_ms,
        root_ca_cert: asked.root_ca_cert.clone(),
        root_ca_key: asked.root_ca_key.clone(),
        cross_cert: asked.cross_cert.clone(),
        renewed: BTreeSet::new(),
    };
    change_cluster(step, |cluster| (cluster.settings, cluster.rotation) = (settings, Some(rotation)))
}

pub fn note_renewed(step: &mut Step<'_>, node: NodeId, number: u64) -> Result<Reply, Refusal> {
    if step.state.node(&node).is_none() {
        return Err(Refusal::NodeNotFound(node.to_string()));
    }
    under_way(step, number)?;
    let Some(cluster) = &mut step.state.tables.cluster else { return Err(Refusal::NoCluster) };
    if let Some(rotation) = &mut Arc::make_mut(cluster).rotation {
        rotation.renewed.insert(node);
    }
    // For those who look at how far it is; no session has to be told.
    step.events.push(Event::NodeChanged(node));
    Ok(Reply::Done)
}

/// The old root goes, once nobody needs it.
pub fn finish(step: &mut Step<'_>, number: u64) -> Result<Reply, Refusal> {
    under_way(step, number)?;
    let behind: Vec<_> = step.state.not_renewed().map(|node| node.hostname.clone()).collect();
    if !behind.is_empty() {
        return Err(Refusal::NotRenewed(behind));
    }
    access::outdate(step, number);
    change_cluster(step, |cluster| {
        if let Some(mut rotation) = cluster.rotation.take() {
            // What is exchanged for the new one is wiped with the rotation.
            core::mem::swap(&mut cluster.root_ca_cert, &mut rotation.root_ca_cert);
            core::mem::swap(&mut cluster.root_ca_key, &mut rotation.root_ca_key);
        }
    })
}

fn under_way(step: &Step<'_>, number: u64) -> Result<(), Refusal> {
    match &cluster(step)?.rotation {
        Some(rotation) if rotation.number == number => Ok(()),
        Some(_) | None => Err(Refusal::RotationOver),
    }
}

fn cluster<'a>(step: &'a Step<'_>) -> Result<&'a Cluster, Refusal> {
    step.state.cluster().ok_or(Refusal::NoCluster)
}

fn change_cluster(step: &mut Step<'_>, change: impl FnOnce(&mut Cluster)) -> Result<Reply, Refusal> {
    let Some(cluster) = &mut step.state.tables.cluster else { return Err(Refusal::NoCluster) };
    change(Arc::make_mut(cluster));
    step.events.push(Event::DefaultsChanged);
    Ok(Reply::Done)
}
