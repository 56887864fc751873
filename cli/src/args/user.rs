//! `user …` as typed.

use super::output::ListOutput;
use super::values::{duration_ms, reference};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user, and the file with which it speaks to managers from outside
    Create(UserCreateArgs),
    /// List the users
    #[command(visible_alias = "list")]
    Ls(UserLsArgs),
    /// Remove users: every manager refuses them at once
    #[command(visible_alias = "remove")]
    Rm(UserRmArgs),
}

#[derive(Debug, Args)]
pub struct UserCreateArgs {
    /// What it may do: viewers look; operators also change networks and nodes' availability and labels; admins do everything
    #[arg(long, value_enum)]
    pub role: UserRoleArg,
    /// How long its certificate is valid, 1m to 10 years [default: as those of nodes]
    #[arg(long, value_name = "DUR", value_parser = duration_ms)]
    pub expiry: Option<u64>,
    /// Where its identity is written; - is standard output [default: NAME.swarm-identity in this folder]
    #[arg(short, long, value_name = "FILE|-")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(short, long)]
    pub force: bool,
    /// Its name: letters, digits and . _ @ -
    #[arg(value_name = "NAME", value_parser = reference)]
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UserRoleArg {
    Viewer,
    Operator,
    Admin,
}

#[derive(Debug, Args)]
pub struct UserLsArgs {
    #[command(flatten)]
    pub output: ListOutput,
}

#[derive(Debug, Args)]
pub struct UserRmArgs {
    /// Names or ids
    #[arg(value_name = "USER", required = true, value_parser = reference)]
    pub users: Vec<String>,
}
