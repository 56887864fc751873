//! `network ls`: what this node sees, on any node.

use crate::args::network::NetworkLsArgs;
use crate::client::{Client, any_age, look};
use crate::error::CliError;
use crate::render::{Printer, network::NetworkRow, sort::natural};
use crate::verbs::{filter, print};
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: NetworkLsArgs) -> Result<(), CliError> {
    filter::check(&args.filters, &filter::NETWORK_KEYS)?;
    let printer = Printer::<NetworkRow>::list(&args.output)?;
    let client = Client::connect(socket).await?;
    let answer = look(client.local().list_local_networks(any_age(v1::ListLocalNetworksRequest {}))).await?;
    let rows = answer.networks.into_iter().map(NetworkRow::new);
    let mut rows: Vec<_> = rows.filter(|row| filter::network(row, &args.filters)).collect();
    rows.sort_by(|a, b| natural(&a.name, &b.name).then_with(|| a.id.cmp(&b.id)));
    print(&printer.rows(&rows, args.no_trunc)?)
}
