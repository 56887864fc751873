//! `user rm`.

use crate::args::user::UserRmArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::{Several, print};
use swarm_proto::v1;

pub async fn run(target: &Target, args: UserRmArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let mut several = Several::default();
    for reference in args.users {
        if several.is_hopeless() {
            break;
        }
        let request = v1::RemoveUserRequest { reference: reference.clone(), request_id: request_id()? };
        if several.keep(call(client.control().remove_user(request)).await).is_some() {
            print(&format!("{reference}\n"))?;
        }
    }
    several.finish()
}
