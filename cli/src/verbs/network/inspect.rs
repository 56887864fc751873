//! `network inspect`: the cluster's networks from a manager, this host's own ones from any node.

use crate::args::network::NetworkInspectArgs;
use crate::client::{Client, Target, any_age, call, look};
use crate::error::CliError;
use crate::render::{Printer, network::NetworkObject};
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NetworkInspectArgs) -> Result<(), CliError> {
    let printer = Printer::<NetworkObject>::inspect(&args.output, false)?;
    let client = Client::connect(target).await?;
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
    let mut control = client.control();
    let request = v1::GetNetworkRequest { reference: reference.clone() };
    if client.manager().is_some() {
        let answer = call(control.get_network(request)).await?;
        return Ok(NetworkObject::of_cluster(answer, None));
    }
    let mut local = client.local()?;
    let (network, info) =
        tokio::join!(look(control.get_network(any_age(request))), call(local.info(v1::InfoRequest {})));
    if may_be_of_host(&network, &reference) {
        match among(here(client).await, &reference) {
            Meant::Own(own) => return Ok(NetworkObject::of_host(*own)),
            Meant::Known(known) if matches!(network, Err(CliError::Unavailable(_))) => {
                let endpoints = endpoints_here(client, &known.id, &info?.node).await?;
                let answer =
                    v1::GetNetworkResponse { network: known.network, endpoints, ..Default::default() };
                return Ok(NetworkObject::of_cluster(answer, None));
            }
            Meant::Known(_) => {}
            Meant::Several(matches) => return Err(ambiguous(&reference, matches)),
            Meant::Other => {}
        }
    }
    let tunnels = info.as_ref().map(|info| info.tunnels.clone()).unwrap_or_default();
    let seen_from = if verbose { None } else { Some(info?.node) };
    network.map(|answer| NetworkObject::of_cluster(answer, seen_from.as_deref()).with_tunnels(&tunnels))
}

/// Managers do not know the networks of this host alone: one of those may be meant unless the cluster has a network of
/// exactly this id or name.
fn may_be_of_host(answer: &Result<v1::GetNetworkResponse, CliError>, reference: &str) -> bool {
    match answer {
        Ok(answer) => {
            let network = answer.network.as_ref();
            let name = network.and_then(|n| n.spec.as_ref()).map(|spec| spec.name.as_str());
            !is_exactly(network.map_or("", |n| &n.id), name.unwrap_or_default(), reference)
        }
        Err(error) => matches!(error, CliError::NotFound(_) | CliError::Unavailable(_)),
    }
}

fn is_exactly(id: &str, name: &str, reference: &str) -> bool {
    id == reference || name.eq_ignore_ascii_case(reference)
}

async fn here(client: &Client) -> Vec<v1::LocalNetwork> {
    let Ok(mut local) = client.local() else { return Vec::new() };
    let answer = call(local.list_local_networks(v1::ListLocalNetworksRequest {})).await;
    answer.map(|answer| answer.networks).unwrap_or_default()
}

/// This host's own endpoints there: the others a worker knows for its names and its kernel only.
async fn endpoints_here(client: &Client, network: &str, node: &str) -> Result<Vec<v1::Endpoint>, CliError> {
    let listed = call(client.local()?.list_sandboxes(v1::ListSandboxesRequest::default())).await?;
    let of_sandbox = |sandbox: v1::Sandbox| {
        let v1::Sandbox { id, name, endpoints, .. } = sandbox;
        let here = endpoints.into_iter().filter(|endpoint| endpoint.network == network);
        here.map(|here| v1::Endpoint {
            id: here.id,
            network: here.network,
            node: node.to_owned(),
            sandbox: id.clone(),
            name: name.clone(),
            aliases: here.aliases,
            addresses: here.addresses,
            mac: here.mac,
            ..v1::Endpoint::default()
        })
        .collect::<Vec<_>>()
    };
    Ok(listed.sandboxes.into_iter().flat_map(of_sandbox).collect())
}

/// What a reference means on this host.
#[derive(Debug, PartialEq)]
enum Meant {
    /// A network of this host alone.
    Own(Box<v1::LocalNetwork>),
    Several(usize),
    /// One of the cluster's that this host knows, as of its last assignment.
    Known(Box<v1::LocalNetwork>),
    Other,
}

/// By full id, exact name, or unique prefix of an id, in this order.
fn among(networks: Vec<v1::LocalNetwork>, reference: &str) -> Meant {
    let exact = |n: &v1::LocalNetwork| is_exactly(&n.id, &n.name, reference);
    let begins = |n: &v1::LocalNetwork| n.id.starts_with(reference);
    let (exact, others): (Vec<_>, Vec<_>) = networks.into_iter().partition(exact);
    let matching = if exact.is_empty() { others.into_iter().filter(begins).collect() } else { exact };
    match matching.len() {
        0 | 1 => match matching.into_iter().next() {
            None => Meant::Other,
            Some(own) if own.network.is_none() => Meant::Own(Box::new(own)),
            Some(known) => Meant::Known(Box::new(known)),
        },
        several => Meant::Several(several),
    }
}

fn ambiguous(reference: &str, matches: usize) -> CliError {
    CliError::NotFound(format!("network {reference} is ambiguous ({matches} matches): use the full id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(id: &str, name: &str, of_cluster: bool) -> v1::LocalNetwork {
        let network = of_cluster.then(v1::Network::default);
        v1::LocalNetwork { id: id.into(), name: name.into(), network, ..v1::LocalNetwork::default() }
    }

    #[test]
    fn the_host_s_own_networks_are_meant_by_id_name_and_unique_prefix() {
        let all = || {
            vec![
                network("aa1", "bridge", false),
                network("ab1", "host", false),
                network("ab2", "web", true),
                network("none7", "db", true),
                network("ac1", "none", false),
            ]
        };
        for (reference, expected) in [
            ("ab1", Some("host")),
            ("bridge", Some("bridge")),
            ("aa", Some("bridge")),
            // A name wins over another one's prefix.
            ("none", Some("none")),
            ("ab2", None),
            ("web", None),
            ("nope", None),
        ] {
            let expected = expected.map(str::to_owned);
            let own = match among(all(), reference) {
                Meant::Own(own) => Some(own.name),
                Meant::Several(_) | Meant::Known(_) | Meant::Other => None,
            };
            assert_eq!(own, expected, "{reference}");
        }
        assert_eq!(among(all(), "ab"), Meant::Several(2));
        assert_eq!(among(all(), "a"), Meant::Several(4));
    }
}
