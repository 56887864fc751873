//! When the faults are over: writes again within their time, and then everything must fit together: managers among each
//! other, records and hosts, addresses, numbers, logs. Knows I4, I9, I10, I12, I19 and I20.

use crate::caller::{Caller, Outcome};
use crate::work::{LIMIT, Site, addresses, labels, networks};
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};
use swarm_proto::v1;
use swarm_tests::{Host, World, within};
use tokio::runtime::Runtime;

/// I19: steady state so long after faults end.
const STEADY: Duration = Duration::from_secs(15);
/// A client's number for what is read at the end.
const READER: u32 = 1_000;

/// One manager's records.
#[derive(Debug, Clone, PartialEq)]
struct Records {
    applied: u64,
    nodes: Vec<v1::Node>,
    networks: Vec<v1::Network>,
    endpoints: Vec<v1::Endpoint>,
}

/// Every manager takes a write, at once. Answers how long the slowest needed.
pub fn writes_again(runtime: &Runtime, site: &Site) -> Result<Duration> {
    let begun = Instant::now();
    for manager in &site.managers {
        let name = format!("after-{}", manager.host);
        let left = STEADY.saturating_sub(begun.elapsed());
        let write = || {
            let spec = v1::NetworkSpec {
                name: name.clone(),
                driver: v1::Driver::Overlay.into(),
                ..Default::default()
            };
            let request = v1::CreateNetworkRequest { spec: Some(spec), request_id: String::new() };
            let create = manager.control(LIMIT, |mut api| async move { api.create_network(request).await });
            match runtime.block_on(create) {
                Outcome::Answer(_) => Ok(()),
                // An earlier try was done after all.
                Outcome::Refused(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
                other => bail!("{other:?}"),
            }
        };
        within(left, &format!("h{} takes a write (I19)", manager.host), write)?;
    }
    Ok(begun.elapsed())
}

/// What clients left attached goes, then the workers hold nothing but `kept`.
pub fn detach_all(runtime: &Runtime, site: &Site, kept: &[String]) -> Result<()> {
    for worker in &site.workers {
        within(STEADY, &format!("h{} detaches everything (I19)", worker.host), || {
            let left: Vec<String> =
                sandboxes(runtime, worker)?.into_iter().filter(|n| !kept.contains(n)).collect();
            for name in &left {
                runtime.block_on(addresses::detach(worker, name));
            }
            ensure!(left.is_empty(), "still there: {left:?}");
            Ok(())
        })?;
    }
    Ok(())
}

fn sandboxes(runtime: &Runtime, worker: &Caller) -> Result<Vec<String>> {
    let request = v1::ListSandboxesRequest { all: true };
    match runtime.block_on(worker.local(LIMIT, |mut api| async move { api.list_sandboxes(request).await })) {
        Outcome::Answer(listed) => Ok(listed.sandboxes.into_iter().map(|sandbox| sandbox.name).collect()),
        other => bail!("h{} does not list its sandboxes: {other:?}", worker.host),
    }
}

/// Every name and address is read once more at every manager, into the history: what was acknowledged must be there.
pub fn read_all(runtime: &Runtime, site: &Site, hosts: &[Host]) -> Result<()> {
    let hosts: Vec<String> = hosts.iter().map(|host| host.name.clone()).collect();
    for (n, manager) in site.managers.iter().enumerate() {
        let reader = READER + n as u32;
        let read = runtime.block_on(async {
            networks::look(site, reader, manager, &networks::all(site)).await
                && addresses::look(site, reader, manager, &addresses::all(site)).await
                && labels::look_at_all(site, reader, manager, &hosts).await
        });
        ensure!(read, "h{} does not answer reads after the faults (I19)", manager.host);
    }
    Ok(())
}

/// All managers have the same records, which fit together, and whose endpoints on the workers are `kept`.
pub fn agree(runtime: &Runtime, site: &Site, kept: &[String]) -> Result<()> {
    let look = || {
        let records =
            site.managers.iter().map(|manager| records(runtime, manager)).collect::<Result<Vec<_>>>()?;
        let [first, others @ ..] = &records[..] else { bail!("no managers") };
        for (manager, other) in site.managers.iter().skip(1).zip(others) {
            ensure!(first == other, "managers differ (I4): {}", difference(first, other, manager.host));
        }
        let held: BTreeSet<&str> = first.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
        ensure!(
            held == kept.iter().map(|name| &**name).collect(),
            "endpoints left (I9): {held:?}, expected {kept:?}"
        );
        let silent: Vec<_> = first.nodes.iter().filter(|node| !is_ready(node)).collect();
        ensure!(silent.is_empty(), "not ready (I19): {silent:?}");
        Ok(records)
    };
    let (records, _) = within(STEADY, "the managers agree", look)?;
    fits(records.first().context("no managers")?)
}

fn is_ready(node: &v1::Node) -> bool {
    node.status.as_ref().is_some_and(|status| status.state() == v1::NodeState::Ready)
}

fn records(runtime: &Runtime, manager: &Caller) -> Result<Records> {
    let answers = async {
        let cluster =
            manager.control(LIMIT, |mut api| async move { api.get_cluster(v1::GetClusterRequest {}).await });
        let nodes =
            manager.control(LIMIT, |mut api| async move { api.list_nodes(v1::ListNodesRequest {}).await });
        let networks = manager
            .control(LIMIT, |mut api| async move { api.list_networks(v1::ListNetworksRequest {}).await });
        let endpoints = manager
            .control(LIMIT, |mut api| async move { api.list_endpoints(v1::ListEndpointsRequest {}).await });
        (nodes.await, networks.await, endpoints.await, cluster.await)
    };
    let (
        Outcome::Answer(nodes),
        Outcome::Answer(networks),
        Outcome::Answer(endpoints),
        Outcome::Answer(cluster),
    ) = runtime.block_on(answers)
    else {
        bail!("h{} does not list its records", manager.host)
    };
    let (mut nodes, mut networks, mut endpoints) = (nodes.nodes, networks.networks, endpoints.endpoints);
    for node in &mut nodes {
        // What is whoever answers' own view.
        node.liveness = None;
        if let Some(manager) = &mut node.manager {
            manager.reachability = 0;
        }
    }
    nodes.sort_by(|a, b| a.id.cmp(&b.id));
    networks.sort_by(|a, b| a.id.cmp(&b.id));
    endpoints.sort_by(|a, b| a.id.cmp(&b.id));
    let applied = cluster.quorum.unwrap_or_default().applied;
    Ok(Records { applied, nodes, networks, endpoints })
}

fn difference(one: &Records, other: &Records, host: usize) -> String {
    fn first<T: PartialEq + Debug>(what: &str, one: &[T], other: &[T]) -> Option<String> {
        let longest = one.len().max(other.len());
        let at = (0..longest).find(|at| one.get(*at) != other.get(*at))?;
        Some(format!("{what}: {:?} and {:?}", one.get(at), other.get(at)))
    }
    let found = first("nodes", &one.nodes, &other.nodes)
        .or_else(|| first("networks", &one.networks, &other.networks))
        .or_else(|| first("endpoints", &one.endpoints, &other.endpoints));
    let found = found.unwrap_or_else(|| format!("applied: {} and {}", one.applied, other.applied));
    format!("the first and h{host}: {found}")
}

/// What must be unique is (I9, I10).
fn fits(records: &Records) -> Result<()> {
    unique("VNI (I10)", records.networks.iter().map(|network| (network.vni, network.id.clone())))?;
    unique(
        "network name",
        records.networks.iter().filter_map(|n| Some((n.spec.as_ref()?.name.clone(), n.id.clone()))),
    )?;
    unique(
        "address on a network (I9)",
        records.endpoints.iter().flat_map(|endpoint| {
            endpoint.addresses.iter().map(|a| ((endpoint.network.clone(), a.clone()), endpoint.id.clone()))
        }),
    )?;
    unique(
        "MAC on a network (I9)",
        records
            .endpoints
            .iter()
            .map(|endpoint| ((endpoint.network.clone(), endpoint.mac.clone()), endpoint.id.clone())),
    )
}

fn unique<K: Hash + Ord + Debug>(what: &str, pairs: impl Iterator<Item = (K, String)>) -> Result<()> {
    let mut held: BTreeMap<K, String> = BTreeMap::new();
    for (key, id) in pairs {
        if let Some(other) = held.get(&key) {
            bail!("one {what} twice: {key:?} has {other} and {id}");
        }
        held.insert(key, id);
    }
    Ok(())
}

/// No daemon panicked (I20).
pub fn logs_are_calm(world: &World) -> Result<()> {
    for host in world.hosts() {
        let log = host.log();
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            bail!("{} panicked (I20): {line}", host.name);
        }
    }
    Ok(())
}
