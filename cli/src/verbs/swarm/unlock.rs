//! `unlock`: opens a locked manager.

use crate::args::swarm::UnlockArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::verbs::secret::{self, UNLOCK_KEY};
use swarm_proto::v1;

pub async fn run(target: &Target, args: UnlockArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let info = call(client.local()?.info(v1::InfoRequest {})).await?;
    // Before anybody is asked for a key in vain.
    if info.state() != v1::MembershipState::Locked {
        return Err(CliError::Failed("this node is not locked".into()));
    }
    let key = secret::given(&UNLOCK_KEY, args.key_file.as_deref()).await?;
    call(client.local()?.unlock(v1::UnlockRequest { key })).await.map(drop)
}
