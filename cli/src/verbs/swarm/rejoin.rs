//! `rejoin`: where this member finds another one, after addresses changed everywhere.

use crate::args::swarm::RejoinArgs;
use crate::client::{Client, Target, call_as_typed};
use crate::error::CliError;
use crate::verbs::{print, say};
use swarm_proto::v1;

pub async fn run(target: &Target, args: RejoinArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let request = v1::RejoinRequest {
        advertise_addr: args.advertise_addr.unwrap_or_default(),
        remote_addrs: args.managers,
    };
    let found = call_as_typed(client.local()?.rejoin(request)).await?;
    let manager = if found.hostname.is_empty() { &found.manager } else { &found.hostname };
    print(&format!(
        "Manager {manager} answers at {}; this node is found at {}.\n",
        found.addr, found.advertise_addr
    ))?;
    if !found.quorum {
        say(
            "the managers cannot decide yet: run 'swarmctl rejoin' on the others too, with the address of one that answers",
        );
    }
    Ok(())
}
