//! Runs `nft -f -`. Knows: how to start it in a namespace and how long to wait. Must not know: what the rules
//! say.

use super::KernelError;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);
const MOST_WORDS: usize = 4096;

/// Loads `text` in the calling thread's namespace, all of it or nothing.
pub fn load(text: &str) -> Result<(), KernelError> {
    let wrong = |reason: String| KernelError::Rules { reason };
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| wrong(format!("nft does not start: {e}; install the package nftables")))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let said = listen(&mut child);
    let ended = child.wait().map_err(|e| wrong(format!("nft was lost: {e}")))?;
    match (said, written) {
        (Some(_), _) if ended.success() => Ok(()),
        (None, _) => Err(wrong(format!("nft did not end within {} s", DEADLINE.as_secs()))),
        (Some(words), Some(Ok(()))) => Err(wrong(first_line(&words))),
        (Some(words), _) => Err(wrong(format!("nft did not read its rules: {}", first_line(&words)))),
    }
}

/// What nft says until it ends; `None` when it did not in time, and was killed.
fn listen(child: &mut Child) -> Option<String> {
    let mut stderr = child.stderr.take()?;
    let (mut words, mut buffer, deadline) = (Vec::new(), [0; 1024], Instant::now() + DEADLINE);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || poll(&mut watched, timeout).unwrap_or_default() == 0 {
            let _ = child.kill();
            return None;
        }
        match stderr.read(&mut buffer) {
            Ok(0) | Err(_) => return Some(String::from_utf8_lossy(&words).into_owned()),
            Ok(got) if words.len() < MOST_WORDS => {
                words.extend_from_slice(buffer.get(..got).unwrap_or_default())
            }
            Ok(_) => {}
        }
    }
}

fn first_line(words: &str) -> String {
    words
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("nft failed without a word")
        .trim()
        .to_owned()
}
