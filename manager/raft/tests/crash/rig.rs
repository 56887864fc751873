//! Randomness with a seed, the number of rounds, and a child process whose promises are collected.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;

pub const DIR: &str = "CRASH_CHILD_DIR";
pub const SEED: &str = "CRASH_CHILD_SEED";

/// splitmix64: enough to choose times and sizes.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// The seed of this run, printed so that it can be repeated.
pub fn seed(test: &str) -> Random {
    let fresh = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = std::env::var("CRASH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(fresh);
    println!("{test}: CRASH_SEED={seed}");
    Random(seed)
}

/// How many rounds of a kind to run.
pub fn rounds(short: u64) -> u64 {
    std::env::var("CRASH_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(short)
}

/// A process running one of the child tests of this binary, and the lines beginning with `@` it has printed.
pub struct Victim {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Victim {
    pub fn start(child: &str, dir: &Path, seed: u64) -> Self {
        Self::start_with(Command::new(std::env::current_exe().unwrap()), child, dir, seed)
    }

    /// Like `start`, under a command that runs what its arguments say.
    pub fn start_under(wrapper: &[&str], child: &str, dir: &Path, seed: u64) -> Self {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(std::env::current_exe().unwrap());
        Self::start_with(command, child, dir, seed)
    }

    fn start_with(mut command: Command, child: &str, dir: &Path, seed: u64) -> Self {
        let mut process = command
            .args(["--exact", child, "--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .env(SEED, seed.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sink, stdout) = (lines.clone(), process.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(at) = line.find('@') {
                    sink.lock().push(line[at + 1..].to_owned());
                }
            }
        });
        Self { process, lines, reader }
    }

    /// Waits until so much time has passed, or the child has ended.
    pub fn run_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        wait(Duration::from_secs(600), || {
            Instant::now() >= until || self.process.try_wait().unwrap().is_some()
        });
    }

    pub fn wait_for(&mut self, what: &str) {
        let seen = || self.lines.lock().iter().any(|line| line.starts_with(what));
        assert!(wait(Duration::from_secs(60), seen), "the child never printed {what}");
    }

    /// Stops every thread of the child where it is, and returns what it had promised by then.
    pub fn freeze(&self) -> Vec<String> {
        let pid = nix::unistd::Pid::from_raw(self.process.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::SIGSTOP).unwrap();
        let stat = format!("/proc/{pid}/stat");
        let stopped =
            || std::fs::read_to_string(&stat).is_ok_and(|s| s.contains(") T ") || s.contains(") Z "));
        assert!(wait(Duration::from_secs(10), stopped), "the child did not stop");
        // What it printed is in the pipe; the reader has it all once nothing more comes for a while.
        let mut seen = (usize::MAX, Instant::now());
        wait(Duration::from_secs(10), || {
            let now = self.lines.lock().len();
            if now != seen.0 {
                seen = (now, Instant::now());
            }
            seen.1.elapsed() > Duration::from_millis(30)
        });
        self.lines.lock().clone()
    }

    /// The child's own id, which it prints first; a wrapper's is another.
    fn pid(&self) -> Pid {
        let lines = self.lines.lock();
        let said = lines.iter().find_map(|line| line.strip_prefix("pid ")?.parse().ok());
        Pid::from_raw(said.unwrap_or(self.process.id() as i32))
    }

    /// kill -9, and everything it had promised.
    pub fn kill(mut self) -> Vec<String> {
        // It may have ended by itself.
        let _ = kill(self.pid(), Signal::SIGKILL);
        self.process.kill().unwrap();
        self.end().1
    }

    /// Waits for the child to end by itself.
    pub fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let status = self.process.wait().unwrap();
        assert!(wait(Duration::from_secs(10), || self.reader.is_finished()));
        (status, self.lines.lock().clone())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Polls a condition; false if it did not hold in time.
#[allow(clippy::disallowed_methods)] // Another process gives no event to wait for.
pub fn wait(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
