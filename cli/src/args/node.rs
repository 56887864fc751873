//! `node …` as typed.

use super::output::{InspectOutput, ListOutput};
use super::values::{label, reference};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the nodes of the cluster
    #[command(visible_alias = "list")]
    Ls(NodeLsArgs),
    /// Show nodes in full
    Inspect(NodeInspectArgs),
}

#[derive(Debug, Args)]
pub struct NodeLsArgs {
    /// Show only nodes with id=, name=, role=, label= or membership= (may be repeated)
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = label)]
    pub filters: Vec<(String, String)>,
    #[command(flatten)]
    pub output: ListOutput,
}

#[derive(Debug, Args)]
pub struct NodeInspectArgs {
    /// Show for people instead of JSON
    #[arg(long, conflicts_with_all = ["format", "quiet"])]
    pub pretty: bool,
    #[command(flatten)]
    pub output: InspectOutput,
    /// Names or ids; `self` is this node
    #[arg(value_name = "NODE", required = true, value_parser = reference)]
    pub nodes: Vec<String>,
}
