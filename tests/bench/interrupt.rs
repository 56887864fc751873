//! Ctrl-C: what was asked to stop takes everything down with it. Knows the processes that hold namespaces; must not
//! know what runs in them.

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swarm_tests::poll::pause;
use swarm_tests::space::Space;

static HOLDERS: Mutex<Vec<i32>> = Mutex::new(Vec::new());
static STOP: AtomicBool = AtomicBool::new(false);
/// Time to take everything down in order. What hangs longer is left to the end of this process.
const GRACE: Duration = Duration::from_secs(20);

/// From now on a signal ends what runs in every space that was put under guard.
pub fn watch() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        });
        eprintln!("bench: stopping; everything it made is taken down");
        STOP.store(true, Ordering::Relaxed);
        for pid in HOLDERS.lock().drain(..) {
            // Process 1 of its namespace: all in there end with it, and whoever waits for them goes on.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        pause(GRACE);
        std::process::exit(130);
    });
    Ok(())
}

pub fn guard(space: &Space) {
    HOLDERS.lock().push(space.pid());
}

/// To be called before a space that is under guard is dropped: its process id may become somebody else's.
pub fn release(space: &Space) {
    HOLDERS.lock().retain(|pid| *pid != space.pid());
}

pub fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// An error once somebody asked to stop.
pub fn check() -> Result<()> {
    ensure!(!asked(), "stopped by a signal");
    Ok(())
}

/// Waits that long, or until somebody asks to stop.
pub fn idle(time: Duration) -> Result<()> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < time {
        check()?;
        pause(Duration::from_millis(100).min(time));
    }
    Ok(())
}
