//! `network ls`: what this node sees, on any node.

use crate::args::network::NetworkLsArgs;
use crate::client::{Client, Target, any_age, call, look};
use crate::error::CliError;
use crate::render::{Printer, network::NetworkRow, sort::natural, words};
use crate::verbs::{filter, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NetworkLsArgs) -> Result<(), CliError> {
    filter::check(&args.filters, &filter::NETWORK_KEYS)?;
    let printer = Printer::<NetworkRow>::list(&args.output)?;
    let client = Client::connect(target).await?;
    let rows = networks(&client).await?.into_iter().map(NetworkRow::new);
    let mut rows: Vec<_> = rows.filter(|row| filter::network(row, &args.filters)).collect();
    rows.sort_by(|a, b| natural(&a.name, &b.name).then_with(|| a.id.cmp(&b.id)));
    print(&printer.rows(&rows, args.no_trunc)?)
}

/// From outside, the cluster's; on a host, that host's own ones too.
async fn networks(client: &Client) -> Result<Vec<v1::LocalNetwork>, CliError> {
    if client.manager().is_none() {
        let request = any_age(v1::ListLocalNetworksRequest {});
        return Ok(look(client.local()?.list_local_networks(request)).await?.networks);
    }
    let answer = call(client.control().list_networks(v1::ListNetworksRequest {})).await?;
    Ok(answer.networks.into_iter().map(of_cluster).collect())
}

fn of_cluster(network: v1::Network) -> v1::LocalNetwork {
    let spec = network.spec.clone().unwrap_or_default();
    let driver = words::driver(spec.driver).to_owned();
    v1::LocalNetwork {
        id: network.id.clone(),
        name: spec.name,
        driver,
        scope: "swarm".into(),
        network: Some(network),
    }
}
