//! `update`: settings of the cluster.

use super::unlock_key::{self, set_lock};
use crate::args::swarm::UpdateArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::print;
use swarm_model::SettingsChange;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UpdateArgs) -> Result<(), CliError> {
    super::check(&SettingsChange {
        cert_expiry_ms: args.cert_expiry,
        cert_grace_ms: args.cert_grace,
        heartbeat_ms: args.dispatcher_heartbeat,
    })?;
    let client = Client::connect(target).await?;
    change(&client, &args).await?;
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

/// What is a number. Asked for on its own: it needs no answer but that it is done.
async fn change(client: &Client, args: &UpdateArgs) -> Result<(), CliError> {
    let UpdateArgs { cert_expiry, cert_grace, dispatcher_heartbeat, .. } = args;
    if [cert_expiry, cert_grace, dispatcher_heartbeat].iter().all(|setting| setting.is_none()) {
        return Ok(());
    }
    let request = v1::UpdateClusterRequest {
        cert_expiry_ms: *cert_expiry,
        cert_grace_ms: *cert_grace,
        heartbeat_ms: *dispatcher_heartbeat,
        request_id: request_id()?,
    };
    call(client.control().update_cluster(request)).await.map(drop)
}
