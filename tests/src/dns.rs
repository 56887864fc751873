//! Asking names inside a sandbox (`dig`), and a name server of our own on the wire to be forwarded to.
//! Knows just enough of RFC 1035 to answer one question.

use crate::sandbox::Sandbox;
use crate::space::Space;
use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What `dig` understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dig {
    /// NOERROR, NXDOMAIN, SERVFAIL…
    pub status: String,
    pub flags: Vec<String>,
    /// The data of the answer section's records, sorted.
    pub answers: Vec<String>,
    /// Their times to live, seconds.
    pub ttls: Vec<u32>,
    pub text: String,
}

impl Sandbox<'_> {
    /// `dig` in the sandbox against 127.0.0.11; `words` as `+tcp name AAAA`, or `-t AAAA -q name`
    /// where the name might be taken for a type.
    pub fn dig(&self, words: &str) -> Result<Dig> {
        let text = self.sh(&format!("dig @127.0.0.11 +tries=1 +time=4 {words}"))?.ok()?;
        parse(&text).with_context(|| text.clone())
    }

    /// The addresses of a name; empty if it has none.
    pub fn resolves(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.dig(&format!("-t A -q {name}"))?.answers)
    }
}

fn parse(text: &str) -> Result<Dig> {
    let word_after = |mark: &str, end: &[char]| {
        let rest = text.split_once(mark)?.1;
        Some(rest.split(end).next().unwrap_or_default().trim().to_owned())
    };
    let status = word_after("status:", &[',']).context("no status")?;
    let flags = word_after("flags:", &[';']).context("no flags")?;
    let section = text.split_once(";; ANSWER SECTION:\n").map_or("", |(_, rest)| rest);
    let records: Vec<Vec<&str>> =
        section.lines().take_while(|l| !l.is_empty()).map(|l| l.split_whitespace().collect()).collect();
    let mut answers: Vec<String> = records.iter().map(|r| r.get(4..).unwrap_or_default().join(" ")).collect();
    answers.sort();
    let ttls = records.iter().filter_map(|r| r.get(1)?.parse().ok()).collect();
    let flags = flags.split_whitespace().map(str::to_owned).collect();
    Ok(Dig { status, flags, answers, ttls, text: text.to_owned() })
}

/// How the server of ours answers a name (lower case, no final dot).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Address(Ipv4Addr),
    NxDomain,
    ServFail,
}

/// A name server on the wire; ends when dropped.
pub struct Upstream {
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub fn start(net: &Path, address: &str, says: fn(&str) -> Says) -> Result<Self> {
        let bind = format!("{address}:53");
        let socket = Space::in_net(net, move || Ok(UdpSocket::bind(bind)?))?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, end) = (asked.clone(), stop.clone());
        let thread = std::thread::spawn(move || serve(&socket, says, &log, &end));
        Ok(Self { asked, stop, thread: Some(thread) })
    }

    /// The names asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, says: fn(&str) -> Says, log: &Mutex<Vec<String>>, end: &AtomicBool) {
    let mut buffer = [0; 1500];
    while !end.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if let Some((name, question_end)) = question(&buffer[..length]) {
            log.lock().push(name.clone());
            let reply = answer(&buffer[..question_end], says(&name));
            // Nobody waits for an answer that cannot be sent.
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// The name asked for and where the question ends.
fn question(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
    message.get(at..at + 4)?;
    Some((labels.join("."), at + 4))
}

fn answer(question: &[u8], says: Says) -> Vec<u8> {
    let (code, records) = match says {
        Says::Address(_) => (0, 1),
        Says::NxDomain => (3, 0),
        Says::ServFail => (2, 0),
    };
    let mut reply = question.to_vec();
    reply[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, records, 0, 0, 0, 0]);
    if let Says::Address(address) = says {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}
