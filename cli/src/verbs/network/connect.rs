//! `network connect`: one more network for a sandbox that exists.

use crate::args::network::ConnectArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use swarm_proto::v1;

pub async fn run(target: &Target, args: ConnectArgs) -> Result<(), CliError> {
    let attachment = v1::Attachment {
        network: args.network,
        ip: args.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        aliases: args.aliases.iter().map(ToString::to_string).collect(),
        ..v1::Attachment::default()
    };
    let client = Client::connect(target).await?;
    let request = v1::ConnectRequest { target: args.target, attachment: Some(attachment) };
    call(client.local()?.connect_network(request)).await.map(drop)
}
