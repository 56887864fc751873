//! Processes that cannot be mistaken for others. Knows: pidfds and start times. Must not know: what a process runs.
#![allow(unsafe_code)] // pidfd_open(2) and ioctl_nsfs(2) have no safe wrappers.

use crate::NsError;
use nix::libc;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process by number and start time (clock ticks since boot): its number may be given out again, both never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    pub pid: i32,
    pub start_ticks: u64,
}

/// A held process: its end is noticed, and its number cannot come to mean another one.
#[derive(Debug)]
pub struct Process {
    id: ProcessId,
    pidfd: OwnedFd,
}

impl Process {
    /// Holds the process that has this number now.
    pub fn open(pid: i32) -> Result<Self, NsError> {
        let pidfd = pidfd_open(pid)?;
        // Read after the pidfd is held: had the number been reused in between, the pidfd would say so below.
        let start_ticks = start_ticks(pid)?;
        let held = Self { id: ProcessId { pid, start_ticks }, pidfd };
        if held.has_exited() { Err(NsError::NoSuchProcess { pid }) } else { Ok(held) }
    }

    /// Holds a process known from before, if that very one still runs.
    pub fn reopen(id: ProcessId) -> Result<Self, NsError> {
        let held = Self::open(id.pid)?;
        if held.id == id { Ok(held) } else { Err(NsError::OtherProcess { pid: id.pid }) }
    }

    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// True once it has ended, reaped or not.
    pub fn has_exited(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Returns when the process has ended. Needs a tokio runtime.
    pub async fn exited(&self) -> io::Result<()> {
        // SAFETY: the descriptor is borrowed from `self`, so it stays open, and the same one, until the watch is dropped.
        let watched = unsafe { AsyncFd::register_with_interest(self.pidfd.as_fd(), Interest::READABLE) };
        watched.map_err(|e| io::Error::other(e.to_string()))?.readable().await.map(drop)
    }

    /// Sends a signal to this very process; that it has ended already is fine.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> io::Result<()> {
        let (fd, number) = (self.pidfd.as_raw_fd(), signal as libc::c_int);
        // SAFETY: pidfd_send_signal(2) takes plain numbers and a null siginfo; the descriptor is open.
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, fd, number, std::ptr::null::<libc::siginfo_t>(), 0)
        };
        match io::Error::last_os_error() {
            _ if sent == 0 => Ok(()),
            e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            e => Err(e),
        }
    }
}

fn pidfd_open(pid: i32) -> Result<OwnedFd, NsError> {
    if pid <= 0 {
        return Err(NsError::NoSuchProcess { pid });
    }
    // SAFETY: pidfd_open(2) takes two plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd >= 0 {
        // SAFETY: the kernel has just handed out this descriptor and nothing else owns it.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // EINVAL: the number is a thread's, not a process's.
        Some(libc::ESRCH | libc::EINVAL) => Err(NsError::NoSuchProcess { pid }),
        _ => Err(NsError::system(format!("watch process {pid}"), error)),
    }
}

/// Field 22 of `/proc/<pid>/stat` (proc_pid_stat(5)). The command in field 2 may hold spaces and parentheses, so
/// counting begins after the last `)`.
fn start_ticks(pid: i32) -> Result<u64, NsError> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| NsError::NoSuchProcess { pid })?;
    let field = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19));
    field.and_then(|ticks| ticks.parse().ok()).ok_or_else(|| {
        NsError::system(
            format!("read the start time of process {pid}"),
            io::Error::from(io::ErrorKind::InvalidData),
        )
    })
}

/// `NS_GET_NSTYPE` of linux/nsfs.h: `_IO(0xb7, 0x3)`.
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// The `CLONE_NEW…` flag of the kind of namespace behind an nsfs file.
pub(crate) fn namespace_type(file: &File) -> Option<i32> {
    // SAFETY: this ioctl takes no argument and the descriptor is open.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    (kind >= 0).then_some(kind)
}
