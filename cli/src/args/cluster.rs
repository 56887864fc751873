//! `ca` as typed.

use super::values::duration_ms;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct CaArgs {
    /// Replace the root CA, and the certificate of every node with it
    #[arg(long)]
    pub rotate: bool,
    /// Validity of the new node certificates
    #[arg(long, value_name = "DUR", value_parser = duration_ms, requires = "rotate")]
    pub cert_expiry: Option<u64>,
    /// The new root CA's certificate (PEM) [default: a new one is made]
    #[arg(long, value_name = "FILE", requires_all = ["rotate", "ca_key"])]
    pub ca_cert: Option<PathBuf>,
    /// The new root CA's key (PEM, PKCS#8, ECDSA P-256)
    #[arg(long, value_name = "FILE", requires_all = ["rotate", "ca_cert"])]
    pub ca_key: Option<PathBuf>,
    /// Do not wait until every node has a new certificate
    #[arg(short, long, requires = "rotate")]
    pub detach: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}
