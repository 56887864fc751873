//! `swarmd`: one process per host, worker always, manager while its role says so.
//! Knows how the parts are wired; must not know any rule of the cluster.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod address;
mod args;
mod claim;
mod control;
mod copies;
mod daemon;
mod door;
mod host;
mod info;
mod init;
mod join;
mod leave;
mod local;
mod local_audit;
mod lock;
mod log;
mod member;
mod metrics;
mod networks;
mod privileges;
mod ready;
mod recover;
mod rejoin;
mod remembered;
mod renewal;
mod restore;
mod role;
mod running;
mod secrecy;
mod serving;
mod socket;
mod state_dir;
mod whereabouts;

use clap::Parser;
use daemon::Daemon;
use std::process::ExitCode;
use std::sync::Arc;
use swarm_proto::MAX_MESSAGE_BYTES;
use swarm_proto::v1::control_server::ControlServer;
use swarm_proto::v1::local_server::LocalServer;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// As the command-line parser ends.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let said = |error: anyhow::Error| eprintln!("swarmd: {error:#}");
    let typed = args::Args::parse().resolve().and_then(|config| {
        let filter = log::filter(&config.log_level)?;
        Ok((config, filter))
    });
    let done = match typed {
        Ok((config, filter)) => start(config, filter),
        Err(error) => {
            said(error);
            return ExitCode::from(USAGE);
        }
    };
    done.map_or_else(
        |error| {
            said(error);
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn start(config: args::Config, filter: EnvFilter) -> anyhow::Result<()> {
    secrecy::keep()?;
    privileges::check()?;
    log::start(config.log_format, filter)?;
    let claim = claim::Claim::take(&config.state_dir, &config.run_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("swarmd").build()?;
    let outcome = runtime.block_on(run(config));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    drop(claim);
    outcome
}

async fn run(config: args::Config) -> anyhow::Result<()> {
    let socket = socket::bind(&config.run_dir)?;
    let path = socket::path(&config.run_dir);
    let metrics = metrics::bind(config.metrics_addr).await?;
    let daemon = Arc::new(Daemon::new(config));
    daemon::resume(&daemon).await?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(socket, daemon.clone(), stop.clone()));
    let measured = tokio::spawn(metrics::serve(metrics, daemon.clone()));
    let watchdog = tokio::spawn(ready::feed_watchdog());
    ready::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), socket = %path.display(), "ready");

    let outcome = tokio::select! {
        signal = asked_to_stop() => signal.map(|name| tracing::info!(signal = name, "stopping")),
        reason = daemon.broken() => Err(anyhow::anyhow!(reason)),
    };
    ready::stopping();
    watchdog.abort();
    measured.abort();
    daemon.shutdown().await;
    stop.cancel();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), serving).await;
    let _ = std::fs::remove_file(path);
    outcome
}

async fn serve(socket: UnixListener, daemon: Arc<Daemon>, stop: CancellationToken) {
    let local = LocalServer::new(local::LocalService(daemon.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES * 16);
    let control = ControlServer::new(control::Gate(daemon))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES * 16);
    let served = swarm_identity::local_server()
        .add_service(local)
        .add_service(control)
        .serve_with_incoming_shutdown(door::guests(socket, door::BOUNDS), stop.cancelled())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the local socket is no longer served");
    }
}

async fn asked_to_stop() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    Ok(name)
}
