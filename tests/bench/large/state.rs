//! A state with 100,000 endpoints on a hundred networks and nodes. Knows commands and how Raft spells a state; must not
//! know what is measured.

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use std::net::IpAddr;
use swarm_model::{Availability, Driver, FEATURE_LEVEL, Id, IpamConfig, NetworkSpec, Role};
use swarm_state::{
    AdmitNode, Command, CreateEndpoints, CreateNetwork, Entry, NewEndpoint, Reply, Snapshot, State,
};

const NETWORKS: u32 = 100;
const PER_NETWORK: u32 = 1_000;
const PER_COMMAND: u32 = 25;

pub fn decode(bytes: &[u8]) -> Result<State> {
    let snapshot: Snapshot = rmp_serde::from_slice(bytes)?;
    State::from_snapshot(snapshot).map_err(|e| anyhow::anyhow!("{e}"))
}

pub fn encode(state: &State) -> Result<Vec<u8>> {
    Ok(rmp_serde::to_vec_named(&state.snapshot())?)
}

/// Adds them; answers the index of the last entry.
pub fn fill(state: &mut State, mut index: u64) -> Result<u64> {
    let mut apply = |command| -> Result<()> {
        index += 1;
        let now_ms = u64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_millis())?;
        match swarm_state::apply(state, index, &Entry { request: None, now_ms, command }).reply {
            Reply::Refused(refusal) => bail!("the state refused: {refusal}"),
            _ => Ok(()),
        }
    };
    for number in 0..NETWORKS {
        apply(Command::AdmitNode(node(number)?))?;
        apply(Command::CreateNetwork(network(number)?))?;
        for first in (0..PER_NETWORK).step_by(PER_COMMAND as usize) {
            let endpoints =
                (first..first + PER_COMMAND).map(|at| endpoint(number, at)).collect::<Result<_>>()?;
            apply(Command::CreateEndpoints(CreateEndpoints { node: id(1, number, 0), endpoints }))?;
        }
    }
    Ok(index)
}

/// Ids of different kinds never meet.
fn id<K>(kind: u8, number: u32, at: u32) -> Id<K> {
    let mut bytes = [kind; 16];
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..12].copy_from_slice(&at.to_be_bytes());
    Id::from_random(bytes)
}

fn node(number: u32) -> Result<AdmitNode> {
    let addr: IpAddr = format!("192.0.2.{}", number + 1).parse()?;
    Ok(AdmitNode {
        node: id(1, number, 0),
        hostname: format!("worker-{number}"),
        role: Role::Worker,
        availability: Availability::Active,
        labels: [].into(),
        addr,
        data_path_addr: addr,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURE_LEVEL,
    })
}

fn network(number: u32) -> Result<CreateNetwork> {
    let (high, low) = (number * 4 / 256, number * 4 % 256);
    let subnet: IpNet = format!("172.{}.{low}.0/22", 24 + high).parse().context("a subnet")?;
    let ipam = IpamConfig { subnet: Some(subnet), gateway: None, ip_range: None, aux_addresses: [].into() };
    let spec = NetworkSpec {
        name: format!("network-{number}").parse().map_err(|e| anyhow::anyhow!("{e}"))?,
        driver: Driver::Overlay,
        attachable: true,
        internal: true,
        ipv6: false,
        encrypted: false,
        mtu: None,
        vni: None,
        ipam: vec![ipam],
        options: [].into(),
        labels: [].into(),
    };
    Ok(CreateNetwork { id: id(2, number, 0), spec, avoid: Vec::new() })
}

fn endpoint(number: u32, at: u32) -> Result<NewEndpoint> {
    Ok(NewEndpoint {
        id: id(3, number, at),
        network: id(2, number, 0),
        sandbox: id(4, number, at),
        name: format!("endpoint-{number}-{at}").parse().map_err(|e| anyhow::anyhow!("{e}"))?,
        aliases: Vec::new(),
        ip: None,
        mac: None,
    })
}
