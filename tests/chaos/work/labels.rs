//! Labels of nodes, written and compared-and-set by revision, at any manager. A node's label is a place; what a revision
//! stood for is known from the read that told it.

use super::{Client, LIMIT, Site};
use crate::caller::{Caller, Outcome};
use crate::work::networks::done;
use std::collections::BTreeMap;
use std::sync::Arc;
use swarm_proto::v1;
use swarm_tests::linear::{Answer, Op};

const LABEL: &str = "chaos";

/// `nodes`: their host names.
pub async fn run(site: Arc<Site>, mut client: Client, nodes: Vec<String>) {
    while !site.is_over() {
        let node = nodes[client.rng.below(nodes.len())].clone();
        let manager = site.any_manager(&mut client.rng).clone();
        match client.rng.below(100) {
            0..20 => set(&site, &mut client, &node, None).await,
            chance => {
                let seen = look(&site, client.number, &manager, &node).await;
                if let Some(seen) = seen.filter(|_| chance < 70) {
                    set(&site, &mut client, &node, Some(seen)).await;
                }
            }
        }
        client.rest().await;
    }
}

/// What a read told: the revision and the value at it.
struct Seen {
    revision: u64,
    value: Option<String>,
}

async fn set(site: &Site, client: &mut Client, node: &str, seen: Option<Seen>) {
    let (value, request_id) = (client.value(), client.request_id());
    let if_revision = seen.as_ref().map(|seen| seen.revision);
    let op = match seen {
        Some(seen) => Op::Swap { from: seen.value, to: value.clone() },
        None => Op::Write(value.clone()),
    };
    let ask = |manager: Caller| {
        let request = v1::UpdateNodeRequest {
            reference: node.to_owned(),
            labels_add: BTreeMap::from([(LABEL.to_owned(), value.clone())]),
            if_revision,
            request_id: request_id.clone(),
            ..v1::UpdateNodeRequest::default()
        };
        async move {
            let outcome =
                done(manager.control(LIMIT, |mut api| async move { api.update_node(request).await }).await);
            match outcome {
                // Its role may have changed since, and not its label.
                Outcome::Refused(_) if if_revision.is_some() && site.is_touched(node) => Outcome::NotDone,
                other => other,
            }
        }
    };
    client.change(site, (key(node), op), ask).await;
}

async fn look(site: &Site, client: u32, manager: &Caller, node: &str) -> Option<Seen> {
    let begun = site.recorder.now_us();
    let request = v1::GetNodeRequest { reference: node.to_owned() };
    let answer = manager.control(LIMIT, |mut api| async move { api.get_node(request).await }).await;
    let Outcome::Answer(v1::GetNodeResponse { node: Some(shown), .. }) = answer else {
        site.recorder.count("read label, no answer");
        return None;
    };
    let value = shown.labels.get(LABEL).cloned();
    site.recorder.note(client, key(node), Op::Read, (begun, Some(Answer::Value(value.clone()))));
    site.recorder.count("read label");
    Some(Seen { revision: shown.revision, value })
}

/// Every node once more; false when one is not answered.
pub async fn look_at_all(site: &Site, client: u32, manager: &Caller, nodes: &[String]) -> bool {
    for node in nodes {
        if look(site, client, manager, node).await.is_none() {
            return false;
        }
    }
    true
}

fn key(node: &str) -> String {
    format!("label of {node}")
}
