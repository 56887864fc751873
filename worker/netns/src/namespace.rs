//! A handle on one network namespace. Knows: how to make, open, name and enter one. Must not know: what it is for.

use crate::NsError;
use crate::mounts;
use crate::process::namespace_type;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Which namespace it is, whatever name it goes by: device and inode of its nsfs file. Unique among those that
/// exist; a number may be used again once a namespace is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NsId {
    pub dev: u64,
    pub ino: u64,
}

/// Keeps a network namespace open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NetNs {
    file: Arc<File>,
    id: NsId,
}

/// Magic number of nsfs (`NSFS_MAGIC` in linux/magic.h): the file system all kinds of namespaces are files of.
const NSFS_MAGIC: i64 = 0x6e73_6673;

impl NetNs {
    /// Makes a fresh namespace, its loopback up, and names it by a bind mount at `path`, whose folder must exist.
    /// What a crash left there, a file or a mount, is covered; [`crate::remove`] takes all of it away.
    pub fn create(path: &Path) -> Result<Self, NsError> {
        let fresh = on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| NsError::system("make a network namespace", e))?;
            crate::set_loopback_up().map_err(|e| NsError::system("set the loopback interface up", e))?;
            Self::current()
        })??;
        fresh.bind_at(path)?;
        Ok(fresh)
    }

    /// Opens the namespace named by `path`.
    pub fn open(path: &Path) -> Result<Self, NsError> {
        let file = File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => NsError::NoSuchNetNs { path: path.to_owned() },
            _ => NsError::system(format!("open the network namespace at {}", path.display()), e),
        })?;
        Self::from_file(file, path)
    }

    /// The namespace process `pid` is in. The caller guards against reuse of the number (see [`crate::Process`]).
    pub fn of_pid(pid: i32) -> Result<Self, NsError> {
        Self::open(Path::new(&format!("/proc/{pid}/ns/net"))).map_err(|e| match e {
            NsError::NoSuchNetNs { .. } => NsError::NoSuchProcess { pid },
            other => other,
        })
    }

    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, NsError> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    fn from_file(file: File, path: &Path) -> Result<Self, NsError> {
        let not_one = || NsError::NotANetNs { path: path.to_owned() };
        let seen = |e: io::Error| NsError::system(format!("look at {}", path.display()), e);
        let kind = nix::sys::statfs::fstatfs(&file).map_err(|e| seen(e.into()))?.filesystem_type();
        if kind.0 != NSFS_MAGIC || namespace_type(&file) != Some(nix::libc::CLONE_NEWNET) {
            return Err(not_one());
        }
        let meta = file.metadata().map_err(seen)?;
        Ok(Self { file: Arc::new(file), id: NsId { dev: meta.dev(), ino: meta.ino() } })
    }

    /// Which namespace it is.
    pub fn id(&self) -> NsId {
        self.id
    }

    /// Names this namespace by a bind mount at `path` as well, so that it outlives its processes.
    pub fn bind_at(&self, path: &Path) -> Result<(), NsError> {
        mounts::bind_file(&format!("/proc/self/fd/{}", self.file.as_raw_fd()), path)
    }

    /// Runs `act` on a short-lived thread inside this namespace and waits for it. Sockets it opens stay in this
    /// namespace for ever and may be used from any thread.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T, NsError> {
        on_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .map_err(|e| NsError::system("enter a network namespace", e))?;
            Ok(act())
        })?
    }

    /// As [`NetNs::run`], without blocking the runtime; `act` runs inside the runtime's context, so that it may
    /// register tokio sockets.
    pub async fn run_async<T, F>(&self, act: F) -> Result<T, NsError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let (namespace, runtime) = (self.file.clone(), tokio::runtime::Handle::current());
        let enter = move || {
            let _context = runtime.enter();
            let entered = setns(&namespace, CloneFlags::CLONE_NEWNET)
                .map_err(|e| NsError::system("enter a network namespace", e));
            // Nobody waits any more when the asker was cancelled.
            let _ = answer.send(entered.map(|()| act()));
        };
        thread().spawn(enter).map_err(|e| NsError::system("start a thread", e))?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for NetNs {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn thread() -> std::thread::Builder {
    std::thread::Builder::new().name("netns".into()).stack_size(256 * 1024)
}

fn on_thread<T: Send>(act: impl FnOnce() -> T + Send) -> Result<T, NsError> {
    std::thread::scope(|scope| {
        let running = thread().spawn_scoped(scope, act).map_err(|e| NsError::system("start a thread", e))?;
        running.join().map_err(|_| ended())
    })
}

fn ended() -> NsError {
    NsError::system("finish the work inside a network namespace", io::Error::other("its thread ended early"))
}
