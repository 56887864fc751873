//! `network disconnect`: one network less for a sandbox.

use crate::args::network::DisconnectArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use swarm_proto::v1;

pub async fn run(target: &Target, args: DisconnectArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let request = v1::DisconnectRequest { target: args.target, network: args.network, force: args.force };
    call(client.local()?.disconnect_network(request)).await.map(drop)
}
