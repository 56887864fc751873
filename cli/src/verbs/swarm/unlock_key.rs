//! `unlock-key`: what unlocks managers after a restart.

use crate::args::swarm::UnlockKeyArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{print, say};
use swarm_identity::UnlockKey;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UnlockKeyArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let key = current(&client).await?;
    if key.is_empty() {
        return Err(CliError::Failed(
            "the managers are not locked: `swarmctl update --autolock=true` locks them and makes an unlock key \
             (a manager that was away when the lock was taken off still opens with the key of that time)"
                .into(),
        ));
    }
    match (args.rotate, args.quiet) {
        (false, true) => print(&format!("{key}\n")),
        (false, false) => print(&instructions(&key)),
        (true, quiet) => rotate(&client, quiet).await,
    }
}

async fn rotate(client: &Client, quiet: bool) -> Result<(), CliError> {
    let shown = |key: &str| match quiet {
        true => format!("{key}\n"),
        false => instructions(key),
    };
    lock_with(client, v1::Lock::Rotate, shown).await?;
    if quiet { Ok(()) } else { print("\nSuccessfully rotated manager unlock key.\n") }
}

/// The key in use; empty: there is no lock.
pub async fn current(client: &Client) -> Result<String, CliError> {
    Ok(call(client.control().get_unlock_key(v1::GetUnlockKeyRequest {})).await?.key)
}

/// Locks with a new key that is shown before any manager has it: whatever ends before the answer comes, nobody is left with
/// files that only a key opens which nobody has seen.
pub async fn lock_with(
    client: &Client,
    lock: v1::Lock,
    shown: impl Fn(&str) -> String,
) -> Result<(), CliError> {
    let offered = UnlockKey::generate().to_text();
    print(&shown(&offered))?;
    let request =
        v1::SetLockRequest { lock: lock.into(), request_id: request_id()?, key: offered.to_string() };
    match call(client.control().set_lock(request)).await {
        Ok(answer) if answer.key == *offered => Ok(()),
        // Somebody else was quicker, or a manager of an earlier version has made its own.
        Ok(answer) => {
            say("warning: the managers have another key than the one above: it is this one");
            print(&shown(&answer.key))
        }
        Err(error) => {
            say("note: whether the key above counts is unknown: keep it, and the one before it, until \
                 `swarmctl unlock-key` has shown which one it is");
            Err(error)
        }
    }
}

pub fn instructions(key: &str) -> String {
    format!(
        "To unlock a swarm manager after it restarts, run 'swarmctl unlock' there and provide the following key:\n\n    \
         {key}\n\nKeep it where it is safe: without it no manager starts again. 'swarmctl unlock-key' shows it while one \
         runs.\n"
    )
}
