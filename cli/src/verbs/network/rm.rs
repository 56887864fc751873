//! `network rm`.

use crate::args::network::NetworkRmArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: NetworkRmArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let mut several = Several::default();
    for reference in &args.networks {
        if several.is_hopeless() {
            break;
        }
        match remove(&client, reference).await {
            Err(CliError::NotFound(_)) if args.force => {}
            result => {
                if several.keep(result).is_some() {
                    print(&format!("{reference}\n"))?;
                }
            }
        }
    }
    several.finish()
}

async fn remove(client: &Client, reference: &str) -> Result<(), CliError> {
    let request = v1::RemoveNetworkRequest { reference: reference.to_owned(), request_id: request_id()? };
    call(client.control().remove_network(request)).await.map(drop)
}
