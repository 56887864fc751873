//! Running a program with a deadline and catching what it says. Knows processes, not what they are for.

use crate::poll::{pause, within};
use anyhow::{Context, Result, bail};
use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Marks every process started here; nothing carrying a world's mark may outlive it.
pub const MARK: &str = "SWARM_TESTS_WORLD";
/// Longer than any single command of the contract may take (a join gives up after 20 s).
pub const COMMAND_LIMIT: Duration = Duration::from_secs(45);

/// What a program answered. `code` is 128 + n after signal n, as a shell would say.
#[derive(Debug, Clone)]
pub struct Output {
    pub line: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, code, stdout, stderr, took } = self;
        write!(f, "`{line}` → {code} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

impl Output {
    /// Standard output without the last newline, if the program succeeded.
    pub fn ok(self) -> Result<String> {
        if self.code != 0 {
            bail!("expected success: {self}");
        }
        Ok(self.stdout.trim_end().to_owned())
    }

    /// Nothing, if the program failed, whatever it said.
    pub fn fails(self) -> Result<()> {
        if self.code == 0 {
            bail!("expected failure: {self}");
        }
        Ok(())
    }

    /// The messages, lower case, if the program ended with one of `codes` and said something on stderr.
    pub fn refused(self, codes: &[i32]) -> Result<String> {
        if !codes.contains(&self.code) {
            bail!("expected exit code {codes:?}: {self}");
        }
        if self.stderr.trim().is_empty() {
            bail!("expected a message on stderr: {self}");
        }
        for framing in ["grpc", "tonic", "status:", "Status {", "panicked"] {
            if self.stderr.contains(framing) {
                bail!("the message shows its machinery ({framing:?}): {self}");
            }
        }
        Ok(self.stderr.to_lowercase())
    }

    /// As `refused`, and the message names each of `facts` (compared without case).
    pub fn refused_naming(self, codes: &[i32], facts: &[&str]) -> Result<String> {
        let shown = self.to_string();
        let said = self.refused(codes)?;
        match facts.iter().find(|fact| !said.contains(&fact.to_lowercase())) {
            Some(fact) => bail!("expected the message to name {fact:?}: {shown}"),
            None => Ok(said),
        }
    }
}

/// Runs `command` to its end, at most `limit`; a program still running then is killed and is an error.
pub fn run(mut command: Command, limit: Duration) -> Result<Output> {
    let line = line_of(&command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let code = wait(&mut child, limit).with_context(|| format!("`{line}`"))?;
    let took = begun.elapsed();
    let text = |from: Receiver<String>| {
        from.recv_timeout(Duration::from_secs(5))
            .with_context(|| format!("`{line}` ended, its output is held open"))
    };
    Ok(Output { code, stdout: text(stdout)?, stderr: text(stderr)?, took, line })
}

/// The exit code, polled for at most `limit`; kills the child otherwise.
pub fn wait(child: &mut Child, limit: Duration) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("still running after {limit:?}");
        }
        pause(Duration::from_millis(if begun.elapsed() < Duration::from_millis(100) { 1 } else { 5 }));
    }
}

/// Waits for a process that is not our child to be gone.
pub fn wait_gone(pid: i32, limit: Duration) -> Result<()> {
    within(limit, &format!("process {pid} ends"), || {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => bail!("still there"),
            _ => Ok(()),
        }
    })
    .map(drop)
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before a read error is still worth showing.
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
