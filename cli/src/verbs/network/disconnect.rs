//! `network disconnect`: one network less for a sandbox.

use crate::args::network::DisconnectArgs;
use crate::client::{Client, call};
use crate::error::CliError;
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: DisconnectArgs) -> Result<(), CliError> {
    let client = Client::connect(socket).await?;
    let request = v1::DisconnectRequest { target: args.target, network: args.network, force: args.force };
    call(client.local().disconnect_network(request)).await.map(drop)
}
