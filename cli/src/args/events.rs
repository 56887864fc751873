//! `events` as typed.

use super::output::{Format, format};
use super::values::label;
use clap::Args;

#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Show only events with type= (node, network, endpoint, cluster), event=, id=, name=, node= or network= (may be repeated)
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = label)]
    pub filters: Vec<(String, String)>,
    /// json (one object per line) or a template of {{.Field}}s
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Option<Format>,
}
