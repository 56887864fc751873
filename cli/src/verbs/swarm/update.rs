//! `update`: settings of the cluster.

use super::unlock_key::{self, set_lock};
use crate::args::swarm::UpdateArgs;
use crate::client::Client;
use crate::error::CliError;
use crate::verbs::print;
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: UpdateArgs) -> Result<(), CliError> {
    let client = Client::connect(socket).await?;
    let key = match args.autolock {
        Some(true) => set_lock(&client, v1::Lock::On).await?,
        Some(false) => set_lock(&client, v1::Lock::Off).await?,
        None => String::new(),
    };
    let instructions = match key.as_str() {
        "" => String::new(),
        key => format!("\n{}", unlock_key::instructions(key)),
    };
    print(&format!("Swarm updated.\n{instructions}"))
}
