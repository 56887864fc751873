//! When the cluster may use commands that came with a newer release: once every manager knows them.
//! Knows: feature levels on record and as managers say them. Must not know: what the commands do.

use crate::recovery;
use crate::seat::Seat;
use std::collections::{BTreeMap, BTreeSet};
use swarm_model::{Kin, Lineage, Node, NodeId};
use swarm_raft::Status;
use swarm_state::{Command, Settled, State};

/// Proposes the level when there is a higher one to rise to.
pub async fn raise(seat: &Seat, status: &Status) {
    if seat.applied.read(|state| state.cluster().is_none_or(|cluster| cluster.feature_level >= seat.features))
    {
        return;
    }
    let heard: BTreeSet<NodeId> = status
        .voters
        .iter()
        .filter(|(id, _)| status.heard.contains(id))
        .filter_map(|(_, member)| member.node.parse().ok())
        .collect();
    let me = seat.me().node;
    let mut said = vec![Said { node: me, lineage: Lineage::default(), features: seat.features }];
    // A record may be wrong either way: a manager that was too old until now has dropped what it did not know.
    for (peer, survey) in recovery::those(seat, |node| node != me && heard.contains(&node)).await {
        said.push(Said {
            node: peer.node,
            lineage: recovery::lineage_of(&survey),
            features: survey.features,
        });
    }
    let Some((level, settled)) = seat.applied.read(|state| rise(state, &said, seat.features)) else { return };
    match seat.propose_own(Command::SetFeatureLevel { level, settled: Some(settled) }).await {
        Ok(_) => tracing::info!(level, "every manager knows the commands of this feature level"),
        Err(e) => tracing::debug!(level, reason = %e, "the feature level was not raised yet"),
    }
}

/// What a manager says of itself.
#[derive(Debug, Clone)]
pub struct Said {
    pub node: NodeId,
    pub lineage: Lineage,
    /// 0: too old to say.
    pub features: u32,
}

/// The level to rise to, with what is to be everybody's there. `own`: what this manager knows. Who is on the way into
/// Raft counts already: the log will hold what it has to read.
pub fn rise(state: &State, said: &[Said], own: u32) -> Option<(u32, Settled)> {
    let cluster = state.cluster()?;
    let said_of: BTreeMap<NodeId, u32> =
        said.iter().filter(|said| said.features > 0).map(|said| (said.node, said.features)).collect();
    let features = |node: &Node| said_of.get(&node.id).copied().unwrap_or(node.features);
    let level = state.nodes().filter(|node| node.reads_log()).map(features).min()?.min(own);
    let later = |latest: Lineage, said: &Said| match latest.sees(&said.lineage) {
        Kin::Later => said.lineage.clone(),
        Kin::Same | Kin::Past | Kin::Apart => latest,
    };
    let Lineage { epoch, past } = said.iter().fold(cluster.lineage(), later);
    let features = state.nodes().map(|node| (node.id, features(node))).collect();
    (cluster.feature_level < level).then_some((level, Settled { epoch, features, past }))
}

/// `h3 (level 1)` of every manager that is in the way of a command of this level; `said`: what managers say themselves.
pub fn too_old(state: &State, said: &BTreeMap<NodeId, u32>, needed: u32) -> String {
    let features = |node: &Node| said.get(&node.id).copied().unwrap_or(node.features).max(1);
    let old = state.nodes().filter(|node| node.reads_log() && features(node) < needed);
    let named: Vec<String> =
        old.map(|node| format!("{} (level {})", node.hostname, features(node))).collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader::testing::{node_id, of_level};

    fn said(number: u8, features: u32) -> Said {
        Said { node: node_id(number), lineage: Lineage::default(), features }
    }

    #[test]
    fn f36_the_level_rises_when_every_voter_knows_it_and_not_before() {
        let state = of_level(1, &[(1, 2), (2, 2), (3, 1)]);
        assert_eq!(rise(&state, &[said(1, 2)], 2), None);
        assert_eq!(too_old(&state, &BTreeMap::new(), 2), "n3 (level 1)");
        assert_eq!(too_old(&state, &[(node_id(3), 2)].into(), 2), "");
        // Told after an upgrade, before it has registered again.
        let (level, settled) = rise(&state, &[said(1, 2), said(3, 2)], 2).unwrap();
        assert_eq!((level, settled.features[&node_id(3)]), (2, 2));
        // On record as newer than it is: rolled back, and not registered again yet.
        let state = of_level(1, &[(1, 2), (2, 2), (3, 2)]);
        assert_eq!(rise(&state, &[said(1, 2), said(2, 1)], 2), None);
        assert!(rise(&state, &[said(1, 2), said(2, 0)], 2).is_some(), "0 is said by who cannot say");
        assert_eq!(rise(&state, &[said(1, 2)], 1), None, "this manager does not know it");
        assert_eq!(rise(&of_level(2, &[(1, 2)]), &[], 2), None);
    }

    #[test]
    fn f36_with_the_level_everybody_has_what_the_newest_knows() {
        let state = of_level(1, &[(1, 0), (2, 2)]);
        let later = Said { lineage: Lineage::default().follow(7), ..said(2, 2) };
        let (_, settled) = rise(&state, &[said(1, 2), later], 2).unwrap();
        assert_eq!((settled.epoch.number(), settled.past.len()), (1, 1));
        assert_eq!(settled.features.into_values().collect::<Vec<_>>(), [2, 2]);
    }
}
