//! `network inspect`: the cluster's networks from a manager, this host's own ones from any node.

use crate::args::network::NetworkInspectArgs;
use crate::client::{Client, call};
use crate::error::CliError;
use crate::render::{Printer, network::NetworkObject};
use crate::verbs::{Several, print};
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: NetworkInspectArgs) -> Result<(), CliError> {
    let printer = Printer::<NetworkObject>::inspect(&args.output, false)?;
    let client = Client::connect(socket).await?;
    let (mut found, mut several) = (Vec::new(), Several::default());
    for reference in args.networks {
        if several.is_hopeless() {
            break;
        }
        found.extend(several.keep(get(&client, reference, args.verbose).await));
    }
    print(&printer.objects(&found)?)?;
    several.finish()
}

async fn get(client: &Client, reference: String, verbose: bool) -> Result<NetworkObject, CliError> {
    let (mut control, mut local) = (client.control(), client.local());
    let request = v1::GetNetworkRequest { reference: reference.clone() };
    let (network, info) =
        tokio::join!(call(control.get_network(request)), call(local.info(v1::InfoRequest {})));
    match network {
        Ok(answer) if verbose => Ok(NetworkObject::of_cluster(answer, None)),
        Ok(answer) => Ok(NetworkObject::of_cluster(answer, Some(&info?.node))),
        Err(error @ (CliError::NotFound(_) | CliError::Unavailable(_))) => {
            of_host(client, &reference).await.ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// A network that exists on this host alone, by its id or name.
async fn of_host(client: &Client, reference: &str) -> Option<NetworkObject> {
    let answer = call(client.local().list_local_networks(v1::ListLocalNetworksRequest {})).await.ok()?;
    let meant = |network: &v1::LocalNetwork| {
        network.network.is_none() && (network.id == reference || network.name == reference)
    };
    answer.networks.into_iter().find(meant).map(NetworkObject::of_host)
}
