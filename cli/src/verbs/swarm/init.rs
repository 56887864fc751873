//! `init`: a new cluster of one manager.

use super::join_command;
use super::unlock_key::instructions;
use crate::args::swarm::InitArgs;
use crate::client::{Client, Target, call_as_typed};
use crate::error::CliError;
use crate::verbs::{print, say};
use swarm_model::{ClusterSettings, check_labels};
use swarm_proto::v1;

pub async fn run(target: &Target, args: InitArgs) -> Result<(), CliError> {
    let recovering = args.force_new_cluster;
    let request = request(args)?;
    let client = Client::connect(target).await?;
    let answer = call_as_typed(client.local()?.init(request)).await?;
    answer.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    let lock = match answer.unlock_key.as_str() {
        "" => String::new(),
        key => format!("\n{}", instructions(key)),
    };
    print(&(if recovering { recovered(&answer) } else { welcome(&answer) } + &lock))
}

fn recovered(answer: &v1::InitResponse) -> String {
    format!(
        "Swarm recovered: current node ({}) is its only manager now, with all nodes, networks and tokens it knew.\n\n\
         Former managers become workers when they reach it; to make one a manager again, run 'swarmctl node promote'.\n\
         To add a worker to this swarm, run the following command:\n\n{}",
        answer.node,
        join_command(&answer.join_token_worker, &answer.advertise_addr),
    )
}

fn welcome(answer: &v1::InitResponse) -> String {
    format!(
        "Swarm initialized: current node ({}) is now a manager.\n\n\
         To add a worker to this swarm, run the following command:\n\n{}\n\
         To add a manager to this swarm, run 'swarmctl join-token manager' and follow the instructions.\n",
        answer.node,
        join_command(&answer.join_token_worker, &answer.advertise_addr),
    )
}

fn request(args: InitArgs) -> Result<v1::InitRequest, CliError> {
    check(&args)?;
    let addresses = args.addresses;
    Ok(v1::InitRequest {
        advertise_addr: addresses.advertise_addr.unwrap_or_default(),
        listen_addr: addresses.listen_addr.unwrap_or_default(),
        data_path_addr: addresses.data_path_addr.unwrap_or_default(),
        data_path_port: args.data_path_port.unwrap_or(0).into(),
        default_addr_pools: args.default_addr_pools.iter().map(ToString::to_string).collect(),
        subnet_prefix: args.default_addr_pool_mask_length.unwrap_or(0).into(),
        availability: v1::Availability::from(addresses.availability).into(),
        cert_expiry_ms: args.cert_expiry.unwrap_or(0),
        heartbeat_ms: args.dispatcher_heartbeat.unwrap_or(0),
        snapshot_interval: args.snapshot_interval.unwrap_or(0),
        max_snapshots: args.max_snapshots.unwrap_or(0),
        labels: addresses.labels.into_iter().collect(),
        force_new_cluster: args.force_new_cluster,
        autolock: args.autolock,
    })
}

/// The daemon judges by the same rules; here a typed zero, which means "not set" on the wire, is still a zero.
fn check(args: &InitArgs) -> Result<(), CliError> {
    let defaults = super::default_settings();
    let settings = ClusterSettings {
        default_addr_pools: match args.default_addr_pools.as_slice() {
            [] => defaults.default_addr_pools.clone(),
            given => given.to_vec(),
        },
        subnet_prefix: args.default_addr_pool_mask_length.unwrap_or(defaults.subnet_prefix),
        data_path_port: args.data_path_port.unwrap_or(defaults.data_path_port),
        cert_expiry_ms: args.cert_expiry.unwrap_or(defaults.cert_expiry_ms),
        heartbeat_ms: args.dispatcher_heartbeat.unwrap_or(defaults.heartbeat_ms),
        snapshot_interval: args.snapshot_interval.unwrap_or(defaults.snapshot_interval),
        max_snapshots: args.max_snapshots.unwrap_or(defaults.max_snapshots),
        ..defaults
    };
    settings.check_asked().map_err(|e| CliError::Usage(e.to_string()))?;
    let labels = args.addresses.labels.iter().cloned().collect();
    check_labels(&labels).map_err(|e| CliError::Usage(e.to_string()))
}
