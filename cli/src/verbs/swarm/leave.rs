//! `leave`: this host is a member no more, or stops trying to become one.

use crate::args::swarm::LeaveArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::render::words::some_of;
use crate::verbs::{print, say};
use swarm_proto::v1::{self, Farewell};

pub async fn run(target: &Target, args: LeaveArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let left = call(client.local()?.leave(v1::LeaveRequest { force: args.force })).await?;
    if left.farewell() == Farewell::NotTold {
        say(&format!(
            "warning: the cluster could not be told, and lists this node as Down until `swarmctl node rm` removes it: {}",
            left.reason
        ));
    }
    print(&format!("{}{}\n", ended(&left.sandboxes), sentence(left.farewell())))
}

fn ended(sandboxes: &[String]) -> String {
    match sandboxes {
        [] => String::new(),
        [one] => format!("Ended 1 sandbox: {one}\n"),
        more => format!("Ended {} sandboxes: {}\n", more.len(), some_of(more)),
    }
}

fn sentence(farewell: Farewell) -> &'static str {
    match farewell {
        Farewell::Unspecified | Farewell::Told | Farewell::NotTold => "Node left the swarm.",
        Farewell::RemovedBefore => "Node left the swarm, which had removed it before.",
        Farewell::JoinCancelled => "The attempt to join was cancelled: this host is part of no swarm.",
        Farewell::NotOurs => {
            "Another host runs under this node's identity: only the files here were removed, and that node stays in the swarm."
        }
    }
}
