//! `unlock-key`: what unlocks managers after a restart.

use crate::args::swarm::UnlockKeyArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::print;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UnlockKeyArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let key = match args.rotate {
        true => set_lock(&client, v1::Lock::Rotate).await?,
        false => call(client.control().get_unlock_key(v1::GetUnlockKeyRequest {})).await?.key,
    };
    if key.is_empty() {
        return Err(CliError::Failed(
            "the managers are not locked: `swarmctl update --autolock=true` locks them and makes an unlock key".into(),
        ));
    }
    if args.quiet {
        return print(&format!("{key}\n"));
    }
    let rotated = if args.rotate { "Successfully rotated manager unlock key.\n\n" } else { "" };
    print(&format!("{rotated}{}", instructions(&key)))
}

pub async fn set_lock(client: &Client, lock: v1::Lock) -> Result<String, CliError> {
    let request = v1::SetLockRequest { lock: lock.into(), request_id: request_id()? };
    Ok(call(client.control().set_lock(request)).await?.key)
}

pub fn instructions(key: &str) -> String {
    format!(
        "To unlock a swarm manager after it restarts, run 'swarmctl unlock' there and provide the following key:\n\n    \
         {key}\n\nKeep it where it is safe: without it no manager starts again. 'swarmctl unlock-key' shows it while one \
         runs.\n"
    )
}
