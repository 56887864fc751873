//! `node ps`.

use super::resolve;
use crate::args::node::NodePsArgs;
use crate::client::{Client, Target, any_age, call, look};
use crate::error::CliError;
use crate::render::{Printer, node::EndpointRow, sort::natural};
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, mut args: NodePsArgs) -> Result<(), CliError> {
    let printer = Printer::<EndpointRow>::list(&args.output)?;
    let client = Client::connect(target).await?;
    if args.nodes.is_empty() {
        args.nodes.push("self".into());
    }
    let networks = call(client.control().list_networks(v1::ListNetworksRequest {})).await;
    let networks = networks.map_err(|error| with_way_out(error, &args.nodes))?.networks;
    let (mut rows, mut several) = (Vec::new(), Several::default());
    for reference in &args.nodes {
        if several.is_hopeless() {
            break;
        }
        if let Some(answer) = several.keep(get(&client, reference).await) {
            let host = answer.node.map(|node| node.hostname).unwrap_or_default();
            let of_node = answer.endpoints.into_iter();
            rows.extend(of_node.map(|endpoint| EndpointRow::new(endpoint, &host, &networks)));
        }
    }
    rows.sort_by(|a, b| natural(&a.node, &b.node).then_with(|| natural(&a.name, &b.name)));
    rows.dedup_by(|a, b| a.id == b.id);
    print(&printer.rows(&rows, false)?)?;
    several.finish()
}

/// Of this host itself, its own daemon knows what a manager would say.
fn with_way_out(error: CliError, nodes: &[String]) -> CliError {
    match error {
        CliError::Unavailable(said) if nodes.iter().all(|node| node == "self") => {
            CliError::Unavailable(format!("{said}; `swarmctl ps` lists what runs on this host"))
        }
        other => other,
    }
}

async fn get(client: &Client, reference: &str) -> Result<v1::GetNodeResponse, CliError> {
    let reference = resolve(client, reference).await?;
    look(client.control().get_node(any_age(v1::GetNodeRequest { reference }))).await
}
