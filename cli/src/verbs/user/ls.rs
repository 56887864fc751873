//! `user ls`.

use crate::args::user::UserLsArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::render::{Printer, access::UserRow};
use crate::verbs::print;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UserLsArgs) -> Result<(), CliError> {
    let printer = Printer::<UserRow>::list(&args.output)?;
    let client = Client::connect(target).await?;
    let answer = call(client.control().list_users(v1::ListUsersRequest {})).await?;
    let rows: Vec<_> = answer.users.into_iter().map(UserRow::new).collect();
    print(&printer.rows(&rows, true)?)
}
