//! `node update`.

use super::resolve;
use crate::args::node::NodeUpdateArgs;
use crate::args::swarm::AvailabilityArg;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{print, say};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NodeUpdateArgs) -> Result<(), CliError> {
    if args.changes_nothing() {
        return Err(CliError::Usage(
            "nothing to change was given: use --availability, --label-add, --label-rm or --role".into(),
        ));
    }
    let client = Client::connect(target).await?;
    let request = v1::UpdateNodeRequest {
        reference: resolve(&client, &args.node).await?,
        role: args.role.map_or(v1::Role::Unspecified, Into::into).into(),
        availability: args.availability.map_or(v1::Availability::Unspecified, Into::into).into(),
        labels_add: args.label_add.into_iter().collect(),
        labels_remove: args.label_rm,
        if_revision: args.if_revision,
        request_id: request_id()?,
    };
    let answer = call(client.control().update_node(request)).await?;
    print(&format!("{}\n", args.node))?;
    if args.availability.is_some_and(|availability| availability != AvailabilityArg::Active) {
        warn_of_those_left(&answer.endpoints);
    }
    Ok(())
}

/// Nobody moves what is on the node: its owner should know what still is.
fn warn_of_those_left(endpoints: &[v1::Endpoint]) {
    if endpoints.is_empty() {
        return;
    }
    let mut names: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    say(&format!("warning: still on this node, and reachable there: {}", names.join(", ")));
}
