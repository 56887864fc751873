//! `rm`: a sandbox goes, and its endpoints with it.

use crate::args::sandbox::RmArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: RmArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let mut several = Several::default();
    for reference in args.sandboxes {
        let request = v1::RemoveSandboxRequest { reference: reference.clone(), force: args.force };
        if several.keep(call(client.local()?.remove_sandbox(request)).await).is_some() {
            print(&format!("{reference}\n"))?;
        }
    }
    several.finish()
}
