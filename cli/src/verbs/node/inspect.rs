//! `node inspect`.

use super::resolve;
use crate::args::node::NodeInspectArgs;
use crate::client::{Client, Target, any_age, look};
use crate::error::CliError;
use crate::render::{Printer, node::NodeObject};
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NodeInspectArgs) -> Result<(), CliError> {
    let printer = Printer::<NodeObject>::inspect(&args.output, args.pretty)?;
    let client = Client::connect(target).await?;
    let (mut found, mut several) = (Vec::new(), Several::default());
    for reference in args.nodes {
        if several.is_hopeless() {
            break;
        }
        found.extend(several.keep(get(&client, reference).await));
    }
    print(&printer.objects(&found)?)?;
    several.finish()
}

async fn get(client: &Client, reference: String) -> Result<NodeObject, CliError> {
    let reference = resolve(client, &reference).await?;
    let answer = look(client.control().get_node(any_age(v1::GetNodeRequest { reference }))).await?;
    Ok(NodeObject::new(answer.node.unwrap_or_default(), answer.endpoints))
}
