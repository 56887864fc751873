//! `ca`: the root CA, shown or replaced.

use super::progress::Progress;
use crate::args::cluster::CaArgs;
use crate::client::Target;
use crate::client::{Client, call, request_id};
use crate::error::CliError;
use crate::verbs::{print, swarm};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use swarm_model::SettingsChange;
use swarm_proto::v1;

/// Certificates and keys are a few KiB.
const MOST_BYTES: u64 = 64 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub async fn run(target: &Target, args: CaArgs) -> Result<(), CliError> {
    swarm::check(&SettingsChange { cert_expiry_ms: args.cert_expiry, ..SettingsChange::default() })?;
    let client = Client::connect(target).await?;
    if args.rotate {
        let request = v1::RotateRootRequest {
            ca_cert: args.ca_cert.as_deref().map(read).transpose()?.unwrap_or_default(),
            ca_key: args.ca_key.as_deref().map(read).transpose()?.unwrap_or_default(),
            cert_expiry_ms: args.cert_expiry,
            request_id: request_id()?,
        };
        call(client.control().rotate_root(request)).await?;
        if args.detach {
            return Ok(());
        }
        follow(&client, args.quiet).await?;
    }
    let cluster = look(&client).await?.cluster.unwrap_or_default();
    print(&cluster.root_ca_cert)
}

async fn look(client: &Client) -> Result<v1::GetClusterResponse, CliError> {
    call(client.control().get_cluster(v1::GetClusterRequest {})).await
}

/// Until the old root is gone, or nothing moves any more.
async fn follow(client: &Client, quiet: bool) -> Result<(), CliError> {
    let mut progress = Progress::new(quiet);
    loop {
        match look(client).await?.rotation {
            None => {
                progress.done();
                return Ok(());
            }
            Some(rotation) => progress.show(&rotation)?,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
    read.map_err(|e| CliError::Failed(format!("cannot read {}: {e}", path.display())))?;
    match text.trim().is_empty() {
        true => Err(CliError::Failed(format!("{} is empty: PEM is expected", path.display()))),
        false => Ok(text),
    }
}
