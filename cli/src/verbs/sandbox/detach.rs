//! `detach`: the opposite of `attach`.

use crate::args::sandbox::DetachArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use swarm_proto::v1;

pub async fn run(target: &Target, args: DetachArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let request = v1::DetachRequest { reference: args.sandbox, network: String::new() };
    call(client.local()?.detach(request)).await.map(drop)
}
