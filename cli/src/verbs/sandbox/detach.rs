//! `detach`: the opposite of `attach`.

use crate::args::sandbox::DetachArgs;
use crate::client::{Client, call};
use crate::error::CliError;
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: DetachArgs) -> Result<(), CliError> {
    let client = Client::connect(socket).await?;
    let request = v1::DetachRequest { reference: args.sandbox, network: String::new() };
    call(client.local().detach(request)).await.map(drop)
}
