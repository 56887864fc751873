//! What a child does between fork and exec. Knows: system calls that are safe there; it must not allocate or lock.
//! Must not know: what comes before or after.
#![allow(unsafe_code)] // fork(2).

use crate::NetNs;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{ForkResult, chdir, fork, getpid, sethostname, setsid, write};
use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read};

/// Everything is prepared before the fork, so that the child only makes system calls.
pub(crate) struct Steps {
    pub mount_ns: Option<File>,
    pub uts_ns: Option<File>,
    pub netns: NetNs,
    /// New mount and UTS namespaces.
    pub isolate: bool,
    /// Source and target.
    pub binds: Vec<(CString, CString)>,
    pub hostname: Option<OsString>,
    pub cwd: CString,
    pub detached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    EnterMounts,
    EnterUts,
    Isolate,
    EnterNet,
    /// The nth of the binds.
    Bind(u8),
    Hostname,
    Detach,
}

impl Step {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::EnterMounts => "enter the mount namespace",
            Self::EnterUts => "enter the UTS namespace",
            Self::Isolate => "make mount and UTS namespaces (this needs root)",
            Self::EnterNet => "enter the network namespace (this needs root)",
            Self::Bind(_) => "mount the sandbox's files",
            Self::Hostname => "set the hostname",
            Self::Detach => "detach from the terminal",
        }
    }

    fn code(self) -> [u8; 2] {
        match self {
            Self::EnterMounts => [1, 0],
            Self::EnterUts => [2, 0],
            Self::Isolate => [3, 0],
            Self::EnterNet => [4, 0],
            Self::Bind(nth) => [5, nth],
            Self::Hostname => [6, 0],
            Self::Detach => [7, 0],
        }
    }

    fn from_code(code: [u8; 2]) -> Option<Self> {
        Some(match code {
            [1, _] => Self::EnterMounts,
            [2, _] => Self::EnterUts,
            [3, _] => Self::Isolate,
            [4, _] => Self::EnterNet,
            [5, nth] => Self::Bind(nth),
            [6, _] => Self::Hostname,
            [7, _] => Self::Detach,
            _ => return None,
        })
    }
}

impl Steps {
    pub(crate) fn take(&self, reports: &PipeWriter) -> Result<(), (Step, Errno)> {
        let failed = |step| move |errno| (step, errno);
        if let Some(mounts) = &self.mount_ns {
            setns(mounts, CloneFlags::CLONE_NEWNS).map_err(failed(Step::EnterMounts))?;
            // Entering leads to the root of that namespace; the same folder need not exist there.
            let _ = chdir(self.cwd.as_c_str());
        }
        if let Some(uts) = &self.uts_ns {
            setns(uts, CloneFlags::CLONE_NEWUTS).map_err(failed(Step::EnterUts))?;
        }
        if self.isolate {
            self.isolate().map_err(failed(Step::Isolate))?;
        }
        setns(&self.netns, CloneFlags::CLONE_NEWNET).map_err(failed(Step::EnterNet))?;
        for (nth, (source, target)) in self.binds.iter().enumerate() {
            let flags = MsFlags::MS_BIND;
            mount(Some(source.as_c_str()), target.as_c_str(), None::<&CStr>, flags, None::<&CStr>)
                .map_err(failed(Step::Bind(nth as u8)))?;
        }
        if let Some(hostname) = &self.hostname {
            sethostname(hostname).map_err(failed(Step::Hostname))?;
        }
        if self.detached { detach(reports).map_err(failed(Step::Detach)) } else { Ok(()) }
    }

    /// Mounts made from here on stay in here; what the host mounts or unmounts later still shows.
    fn isolate(&self) -> Result<(), Errno> {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
        let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        mount(None::<&CStr>, c"/", None::<&CStr>, flags, None::<&CStr>)
    }
}

/// Leaves the terminal's session and goes on as a grandchild, so that nobody has to reap the command.
fn detach(reports: &PipeWriter) -> Result<(), Errno> {
    setsid()?;
    // SAFETY: this process was forked a moment ago and has one thread; the child goes on with system calls only.
    match unsafe { fork() }? {
        // SAFETY: _exit(2) runs nothing of the parent program's.
        ForkResult::Parent { .. } => unsafe { nix::libc::_exit(0) },
        ForkResult::Child => {
            report(reports, Report::Pid(getpid().as_raw()));
            Ok(())
        }
    }
}

/// What the child tells the parent, in one write of six bytes.
pub(crate) enum Report {
    Failed(Step, Errno),
    Pid(i32),
}

pub(crate) fn report(pipe: &PipeWriter, report: Report) {
    let ([kind, nth], number) = match report {
        Report::Failed(step, errno) => (step.code(), errno as i32),
        Report::Pid(pid) => ([0, 0], pid),
    };
    let [a, b, c, d] = number.to_ne_bytes();
    // When even this fails there is nobody left to tell.
    let _ = write(pipe, &[kind, nth, a, b, c, d]);
}

/// The child's last report; reads until the child has executed or died. A failure after detaching comes second.
pub(crate) fn read_report(mut pipe: PipeReader) -> Option<Report> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).ok()?;
    let last = bytes.chunks_exact(6).next_back()?;
    let (kind, number) = last.split_first_chunk::<2>()?;
    let number = i32::from_ne_bytes(number.try_into().ok()?);
    match kind {
        [0, _] => Some(Report::Pid(number)),
        code => Some(Report::Failed(Step::from_code(*code)?, Errno::from_raw(number))),
    }
}
