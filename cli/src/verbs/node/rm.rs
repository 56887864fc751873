//! `node rm`.

use crate::args::node::NodeRmArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NodeRmArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let mut several = Several::default();
    for reference in &args.nodes {
        if several.is_hopeless() {
            break;
        }
        if several.keep(remove(&client, reference, args.force).await).is_some() {
            print(&format!("{reference}\n"))?;
        }
    }
    several.finish()
}

async fn remove(client: &Client, reference: &str, force: bool) -> Result<(), CliError> {
    let reference = super::resolve(client, reference).await?;
    let request = v1::RemoveNodeRequest { reference, force, request_id: request_id()? };
    call(client.control().remove_node(request)).await.map(drop)
}
