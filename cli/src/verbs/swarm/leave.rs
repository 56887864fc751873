//! `leave`: this host is a member no more, or stops trying to become one.

use crate::args::swarm::LeaveArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::verbs::print;
use swarm_proto::v1;

pub async fn run(target: &Target, args: LeaveArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    call(client.local()?.leave(v1::LeaveRequest { force: args.force })).await?;
    print("Node left the swarm.\n")
}
