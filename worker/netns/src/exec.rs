//! Running a further command where a process already runs. Knows: the namespaces under `/proc/<pid>/ns`.
//! Must not know: what that process is.

use crate::spawn::{SpawnError, Spawned, cwd, start};
use crate::steps::Steps;
use crate::{NetNs, Process, ProcessId};
use std::ffi::OsString;
use std::fs::File;

/// A command to be run in the network, mount and UTS namespaces of a process.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    pub pid: i32,
    /// When known: refuses to enter another process that was given the same number.
    pub start_ticks: Option<u64>,
    pub command: Vec<OsString>,
    /// Added to the caller's own environment.
    pub env: Vec<(OsString, OsString)>,
}

/// Starts the command as a child of the caller; when this returns it has been executed.
pub fn exec_in(spec: &ExecSpec) -> Result<Spawned, SpawnError> {
    let held = match spec.start_ticks {
        Some(start_ticks) => Process::reopen(ProcessId { pid: spec.pid, start_ticks })?,
        None => Process::open(spec.pid)?,
    };
    let open = |kind: &str| {
        let path = format!("/proc/{}/ns/{kind}", spec.pid);
        File::open(&path).map_err(|e| SpawnError::Step { step: format!("open {path}"), source: e })
    };
    let steps = Steps {
        mount_ns: Some(open("mnt")?),
        uts_ns: Some(open("uts")?),
        netns: NetNs::of_pid(spec.pid)?,
        isolate: false,
        binds: Vec::new(),
        hostname: None,
        cwd: cwd()?,
        detached: false,
    };
    // The handles above are of the process meant only if it is still there now.
    if held.has_exited() {
        return Err(crate::NsError::NoSuchProcess { pid: spec.pid }.into());
    }
    start(&spec.command, &spec.env, steps)
}
