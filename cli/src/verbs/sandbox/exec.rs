//! `exec`: a further command where a sandbox's own runs.

use super::foreground::attend;
use super::run::binds;
use super::signals::Signals;
use super::{environment, not_started};
use crate::args::sandbox::ExecArgs;
use crate::client::{Client, Target, call};
use crate::error::CliError;
use swarm_netns::{ExecSpec, SpawnSpec, Spawned, exec_in, spawn_in};
use swarm_proto::v1;

pub async fn run(target: &Target, args: ExecArgs) -> Result<(), CliError> {
    let client = Client::connect(target).await?;
    let request = v1::GetSandboxRequest { reference: args.sandbox.clone() };
    let sandbox = call(client.local()?.get_sandbox(request)).await?.sandbox.unwrap_or_default();
    let mut signals = Signals::take()?;
    match enter(args, &sandbox)?.child {
        Some(child) => attend(child, &mut signals).await,
        None => Ok(()),
    }
}

/// The namespaces of the sandbox's command, or, for a namespace attached by hand, that one and its names.
fn enter(args: ExecArgs, sandbox: &v1::Sandbox) -> Result<Spawned, CliError> {
    let kind = v1::SandboxKind::try_from(sandbox.kind);
    let (command, env) = (args.command, environment(args.env));
    if kind == Ok(v1::SandboxKind::Attached) && !sandbox.netns.is_empty() {
        let spec = SpawnSpec {
            viewpoint: sandbox.daemon_pid,
            netns: sandbox.netns.clone().into(),
            hostname: None,
            binds: binds(sandbox),
            command,
            env,
            detached: false,
        };
        return spawn_in(&spec).map_err(not_started);
    }
    if sandbox.pid == 0 {
        let name = &sandbox.name;
        return Err(CliError::Failed(format!("sandbox {name} does not run: see swarmctl ps -a")));
    }
    exec_in(&ExecSpec { pid: sandbox.pid, start_ticks: None, command, env }).map_err(not_started)
}
