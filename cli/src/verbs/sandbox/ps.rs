//! `ps`.

use crate::args::sandbox::PsArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::render::{Printer, sandbox::SandboxRow, sort::natural};
use crate::verbs::{print, say};
use swarm_proto::v1;

pub async fn run(target: &Target, args: PsArgs) -> Result<(), CliError> {
    let printer = Printer::<SandboxRow>::list(&args.output)?;
    let client = Client::connect(target).await?;
    let answer = call(client.local()?.list_sandboxes(v1::ListSandboxesRequest { all: args.all })).await?;
    answer.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    let mut rows: Vec<_> = answer.sandboxes.into_iter().map(SandboxRow::new).collect();
    rows.sort_by(|a, b| natural(&a.name, &b.name).then_with(|| a.id.cmp(&b.id)));
    print(&printer.rows(&rows, args.no_trunc)?)
}
