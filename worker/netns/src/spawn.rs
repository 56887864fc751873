//! Starting a command in namespaces of its own. Knows: what the child must do before it becomes the command, and
//! how its failure comes back. Must not know: what a sandbox is.
#![allow(unsafe_code)] // Work between fork and exec needs `pre_exec`.

use crate::steps::{Report, Step, Steps};
use crate::{NetNs, NsError};
use nix::errno::Errno;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A file shown over another one inside the command's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// As seen by the process `SpawnSpec::viewpoint`.
    pub source: PathBuf,
    /// Must exist.
    pub target: PathBuf,
}

/// A command to be started in a network namespace, with mount and UTS namespaces of its own.
#[derive(Debug, Clone)]
pub struct SpawnSpec {
    /// The process whose mount namespace `netns` and the binds' sources are paths of, and whose file system the
    /// command sees.
    pub viewpoint: i32,
    pub netns: PathBuf,
    pub hostname: Option<String>,
    pub binds: Vec<BindMount>,
    /// The program (looked up in `PATH` unless it has a `/`) and its arguments.
    pub command: Vec<OsString>,
    /// Added to the caller's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// In a session of its own, nobody's child, with `/dev/null` as its standard streams.
    pub detached: bool,
}

/// A command that runs.
#[derive(Debug)]
pub struct Spawned {
    pub pid: i32,
    /// To wait for; `None` when detached.
    pub child: Option<Child>,
}

/// Why a command does not run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("no command was given")]
    NoCommand,
    #[error("{}: command not found", program.display())]
    NotFound { program: PathBuf },
    #[error("{}: cannot be executed: {source}", program.display())]
    NotExecutable { program: PathBuf, source: io::Error },
    #[error("could not {step}: {source}")]
    Step { step: String, source: io::Error },
    #[error(transparent)]
    Namespace(#[from] NsError),
    #[error("could not start a process: {0}")]
    Fork(io::Error),
}

impl SpawnError {
    /// The exit code a shell, and Docker, would give: 127 not found, 126 not executable, otherwise 125.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::NoCommand | Self::Step { .. } | Self::Namespace(_) | Self::Fork(_) => 125,
        }
    }
}

/// Starts the command; when this returns it has been executed, not just forked.
pub fn spawn_in(spec: &SpawnSpec) -> Result<Spawned, SpawnError> {
    let root = PathBuf::from(format!("/proc/{}/root", spec.viewpoint));
    let relative = spec.netns.strip_prefix("/").unwrap_or(&spec.netns);
    let netns = NetNs::open(&root.join(relative))?;
    let binds = spec.binds.iter().map(|b| Ok((c_string(&b.source)?, c_string(&b.target)?)));
    let steps = Steps {
        mount_ns: foreign_mounts(spec.viewpoint)?,
        uts_ns: None,
        netns,
        isolate: true,
        binds: binds.collect::<Result<_, SpawnError>>()?,
        hostname: spec.hostname.as_deref().map(OsString::from),
        cwd: cwd()?,
        detached: spec.detached,
    };
    start(&spec.command, &spec.env, steps)
}

/// The mount namespace of `pid` when it is not the caller's own.
fn foreign_mounts(pid: i32) -> Result<Option<File>, SpawnError> {
    let open = |path: String| {
        File::open(&path).map_err(|e| SpawnError::Step { step: format!("open {path}"), source: e })
    };
    let (theirs, ours) = (open(format!("/proc/{pid}/ns/mnt"))?, open("/proc/self/ns/mnt".into())?);
    match (theirs.metadata(), ours.metadata()) {
        (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()) => Ok(None),
        _ => Ok(Some(theirs)),
    }
}

pub(crate) fn cwd() -> Result<CString, SpawnError> {
    c_string(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")))
}

fn c_string(path: &Path) -> Result<CString, SpawnError> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|e| SpawnError::Step { step: format!("use the path {}", path.display()), source: e.into() })
}

/// Forks, does `steps` in the child, executes the command there, and says how it went.
pub(crate) fn start(
    command: &[OsString],
    env: &[(OsString, OsString)],
    steps: Steps,
) -> Result<Spawned, SpawnError> {
    let (program, args) = command.split_first().ok_or(SpawnError::NoCommand)?;
    let detached = steps.detached;
    let mut child = Command::new(program);
    child.args(args).envs(env.iter().map(|(k, v)| (k, v)));
    if detached {
        child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let (reader, writer) = io::pipe().map_err(SpawnError::Fork)?;
    let labels: Vec<_> = steps.binds.iter().map(|(_, target)| target.clone()).collect();
    let enter = move || {
        steps.take(&writer).map_err(|(step, errno)| {
            crate::steps::report(&writer, Report::Failed(step, errno));
            io::Error::from(errno)
        })
    };
    // SAFETY: between fork and exec only async-signal-safe calls may be made: `Steps::take` and `report` make
    // system calls on values prepared above, and neither allocate nor lock.
    unsafe { child.pre_exec(enter) };
    let spawned = child.spawn();
    // The closure owns the pipe's writing end: with it gone, the pipe ends when the child has executed or died.
    drop(child);
    let report = crate::steps::read_report(reader);
    match (spawned, report) {
        (Ok(mut first), Some(Report::Pid(pid))) if detached => {
            first.wait().map_err(SpawnError::Fork)?;
            Ok(Spawned { pid, child: None })
        }
        (Ok(_), _) if detached => {
            Err(SpawnError::Fork(io::Error::other("the command's process did not report")))
        }
        (Ok(child), _) => Ok(Spawned { pid: child.id().cast_signed(), child: Some(child) }),
        (Err(e), Some(Report::Failed(step, _))) => Err(failed(step, &labels, e)),
        (Err(e), _) => Err(not_executed(program.into(), e)),
    }
}

fn failed(step: Step, binds: &[CString], source: io::Error) -> SpawnError {
    let step = match step {
        Step::Bind(nth) => match binds.get(usize::from(nth)) {
            Some(target) => format!("mount the sandbox's file over {}", target.to_string_lossy()),
            None => "mount the sandbox's files".into(),
        },
        other => other.describe().into(),
    };
    SpawnError::Step { step, source }
}

fn not_executed(program: PathBuf, source: io::Error) -> SpawnError {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR) => SpawnError::NotFound { program },
        Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) | None => {
            SpawnError::Fork(source)
        }
        Some(_) => SpawnError::NotExecutable { program, source },
    }
}
