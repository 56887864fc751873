//! `node ls`.

use crate::args::node::NodeLsArgs;
use crate::client::{Client, Target, any_age, call, look};
use crate::error::CliError;
use crate::render::{Printer, node::NodeRow, sort::natural};
use crate::verbs::{filter, print, say};
use std::collections::BTreeMap;
use swarm_proto::v1;

pub async fn run(target: &Target, args: NodeLsArgs) -> Result<(), CliError> {
    filter::check(&args.filters, &filter::NODE_KEYS)?;
    filter::check_node_values(&args.filters)?;
    let printer = Printer::<NodeRow>::list(&args.output)?;
    let client = Client::connect(target).await?;
    let mut control = client.control();
    let (nodes, own) =
        tokio::try_join!(look(control.list_nodes(any_age(v1::ListNodesRequest {}))), own(&client))?;
    shared_addresses(&nodes.nodes).iter().for_each(|warning| say(warning));
    if !args.output.quiet {
        nodes.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    }
    let rows = nodes.nodes.into_iter().map(|node| NodeRow::new(node, &own));
    let mut rows: Vec<_> = rows.filter(|row| filter::node(row, &args.filters)).collect();
    rows.sort_by(|a, b| natural(&a.hostname, &b.hostname).then_with(|| a.id.cmp(&b.id)));
    print(&printer.rows(&rows, true)?)
}

/// The node that is asked; from outside it is not told.
async fn own(client: &Client) -> Result<String, CliError> {
    match client.manager() {
        Some(_) => Ok(String::new()),
        None => Ok(call(client.local()?.info(v1::InfoRequest {})).await?.node),
    }
}

/// A warning for each data-path address that several nodes which are up say they have.
fn shared_addresses(nodes: &[v1::Node]) -> Vec<String> {
    let up = |node: &&v1::Node| {
        let state = node.status.as_ref().map(v1::NodeStatus::state);
        state == Some(v1::NodeState::Ready) && !node.data_path_addr.is_empty()
    };
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes.iter().filter(up) {
        owners.entry(&node.data_path_addr).or_default().push(&node.hostname);
    }
    owners.retain(|_, owners| owners.len() > 1);
    let warning = |(address, mut owners): (&str, Vec<&str>)| {
        owners.sort_by(|a, b| natural(a, b));
        format!(
            "warning: nodes {} advertise the same data-path address {address}, and traffic to one of them goes to another: \
             let all but one leave and join again, each with its own --data-path-addr",
            owners.join(", ")
        )
    };
    owners.into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(hostname: &str, address: &str, state: v1::NodeState) -> v1::Node {
        v1::Node {
            hostname: hostname.into(),
            data_path_addr: address.into(),
            status: Some(v1::NodeStatus { state: state.into(), ..v1::NodeStatus::default() }),
            ..v1::Node::default()
        }
    }

    #[test]
    fn nodes_that_are_up_with_one_address_are_named() {
        use v1::NodeState::{Down, Ready};
        let mut nodes = vec![
            node("n10", "192.0.2.1", Ready),
            node("n2", "192.0.2.1", Ready),
            node("n3", "192.0.2.3", Ready),
            node("n4", "192.0.2.3", Down),
        ];
        let warnings = shared_addresses(&nodes);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings.iter().all(|w| w.contains("n2, n10") && w.contains("192.0.2.1")), "{warnings:?}");
        nodes.remove(0);
        assert!(shared_addresses(&nodes).is_empty());
    }
}
