//! `node ls`.

use crate::args::node::NodeLsArgs;
use crate::client::{Client, call};
use crate::error::CliError;
use crate::render::{Printer, node::NodeRow, sort::natural};
use crate::verbs::{filter, print};
use std::path::Path;
use swarm_proto::v1;

pub async fn run(socket: &Path, args: NodeLsArgs) -> Result<(), CliError> {
    filter::check(&args.filters, &filter::NODE_KEYS)?;
    let printer = Printer::<NodeRow>::list(&args.output)?;
    let client = Client::connect(socket).await?;
    let (mut control, mut local) = (client.control(), client.local());
    let (nodes, info) = tokio::try_join!(
        call(control.list_nodes(v1::ListNodesRequest {})),
        call(local.info(v1::InfoRequest {})),
    )?;
    let rows = nodes.nodes.into_iter().map(|node| NodeRow::new(node, &info.node));
    let mut rows: Vec<_> = rows.filter(|row| filter::node(row, &args.filters)).collect();
    rows.sort_by(|a, b| natural(&a.hostname, &b.hostname).then_with(|| a.id.cmp(&b.id)));
    print(&printer.rows(&rows, true)?)
}
