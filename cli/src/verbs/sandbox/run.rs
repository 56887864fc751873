//! `run`: the daemon makes the namespaces, this program starts the command in them and is its parent.

use super::foreground::attend;
use super::signals::Signals;
use super::{environment, not_started};
use crate::args::sandbox::RunArgs;
use crate::client::{Client, RUN_DEADLINE, Target, within};
use crate::error::CliError;
use crate::verbs::print;
use nix::sys::signal::Signal;
use std::time::Duration;
use swarm_netns::{BindMount, Process, SpawnSpec, Spawned, spawn_in};
use swarm_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use v1::run_event::Event;
use v1::run_step::Step;

/// How long the daemon may take to release the endpoints of a command that has ended; it goes on without us.
const RELEASE_DEADLINE: Duration = Duration::from_secs(5);

pub async fn run(target: &Target, args: RunArgs) -> Result<(), CliError> {
    start(target, args).await.map_err(CliError::not_started)
}

async fn start(target: &Target, args: RunArgs) -> Result<(), CliError> {
    let mut signals = Signals::take()?;
    let mut talk = tokio::select! {
        talk = Talk::begin(target, create(&args)) => talk?,
        // The stream ends with this program, and the daemon takes everything back.
        signal = signals.next() => return Err(interrupted(signal)),
    };
    let id = talk.sandbox.id.clone();
    let spawned = spawn_in(&spawn_spec(args, &talk.sandbox)).map_err(not_started)?;
    talk.started(spawned.pid).await.inspect_err(|_| kill(spawned.pid))?;
    match spawned {
        Spawned { child: Some(child), .. } => {
            let ended = attend(child, &mut signals).await;
            talk.released().await;
            ended
        }
        Spawned { child: None, .. } => print(&format!("{id}\n")),
    }
}

/// The conversation with the daemon about one sandbox.
struct Talk {
    steps: mpsc::Sender<v1::RunStep>,
    events: Streaming<v1::RunEvent>,
    sandbox: v1::Sandbox,
}

impl Talk {
    async fn begin(target: &Target, create: v1::RunCreate) -> Result<Self, CliError> {
        let client = Client::connect(target).await?;
        // Two steps are all that is ever said, so sending never waits.
        let (steps, outgoing) = mpsc::channel(2);
        say(&steps, Step::Create(create))?;
        let answer = within(RUN_DEADLINE, client.local()?.run(ReceiverStream::new(outgoing))).await?;
        let mut events = answer.into_inner();
        match next(&mut events).await? {
            Some(Event::Ready(sandbox)) => Ok(Self { steps, events, sandbox }),
            Some(Event::Running(_)) | None => Err(out_of_turn()),
        }
    }

    /// Says that the command runs, and waits until the daemon watches it.
    async fn started(&mut self, pid: i32) -> Result<(), CliError> {
        say(&self.steps, Step::Started(v1::RunStarted { pid }))?;
        match next(&mut self.events).await? {
            Some(Event::Running(_)) => Ok(()),
            Some(Event::Ready(_)) | None => Err(out_of_turn()),
        }
    }

    /// The daemon ends the stream when the sandbox is gone: whoever types the next command finds its name and address
    /// free.
    async fn released(mut self) {
        let _ = tokio::time::timeout(RELEASE_DEADLINE, self.events.message()).await;
    }
}

fn say(steps: &mpsc::Sender<v1::RunStep>, step: Step) -> Result<(), CliError> {
    steps.try_send(v1::RunStep { step: Some(step) }).map_err(|_| out_of_turn())
}

async fn next(events: &mut Streaming<v1::RunEvent>) -> Result<Option<Event>, CliError> {
    Ok(within(RUN_DEADLINE, events.message()).await?.and_then(|event| event.event))
}

fn out_of_turn() -> CliError {
    CliError::Unavailable("swarmd ended the conversation early: its log may say why".into())
}

fn interrupted(signal: Signal) -> CliError {
    let code = u8::try_from(128 + signal as i32).unwrap_or(crate::error::exit::RUN_FAILED);
    CliError::NotStarted { code, message: format!("stopped by {signal} before the command started") }
}

/// A command that the daemon does not know of would run without its network for ever.
fn kill(pid: i32) {
    if let Ok(process) = Process::open(pid) {
        let _ = process.signal(Signal::SIGKILL);
    }
}

fn create(args: &RunArgs) -> v1::RunCreate {
    let mut attachments: Vec<_> = args
        .networks
        .iter()
        .map(|network| v1::Attachment { network: network.clone(), ..v1::Attachment::default() })
        .collect();
    if let Some(first) = attachments.first_mut() {
        first.ip = args.ip.map(|ip| ip.to_string()).unwrap_or_default();
        first.aliases = args.aliases.iter().map(ToString::to_string).collect();
    }
    v1::RunCreate {
        name: args.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        attachments,
        hostname: args.hostname.clone().unwrap_or_default(),
        command: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        detached: args.detach,
    }
}

fn spawn_spec(args: RunArgs, sandbox: &v1::Sandbox) -> SpawnSpec {
    SpawnSpec {
        viewpoint: sandbox.daemon_pid,
        netns: sandbox.netns.clone().into(),
        hostname: (!sandbox.hostname.is_empty()).then(|| sandbox.hostname.clone()),
        binds: binds(sandbox),
        command: args.command,
        env: environment(args.env),
        detached: args.detach,
    }
}

/// The sandbox's own files over those of the host.
pub fn binds(sandbox: &v1::Sandbox) -> Vec<BindMount> {
    [(&sandbox.resolv_conf, "/etc/resolv.conf"), (&sandbox.hosts, "/etc/hosts")]
        .into_iter()
        .filter(|(source, _)| !source.is_empty())
        .map(|(source, target)| BindMount { source: source.into(), target: target.into() })
        .collect()
}
