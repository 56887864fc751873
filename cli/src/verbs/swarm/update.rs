//! `update`: settings of the cluster.

use super::unlock_key::{self, set_lock};
use crate::args::swarm::UpdateArgs;
use crate::client::{Client, Target};
use crate::error::CliError;
use crate::verbs::print;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UpdateArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
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
