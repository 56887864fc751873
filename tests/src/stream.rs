//! Datagrams that never stop between two sandboxes: what the data plane loses while the control plane suffers.
//! Knows UDP; must not know faults.

use crate::poll::pause;
use crate::space::Space;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(10);
/// The last ones are still under way when the sender stops.
const LATE: Duration = Duration::from_millis(500);

pub struct Stream {
    name: String,
    over: Arc<AtomicBool>,
    sender: JoinHandle<Result<u64>>,
    receiver: JoinHandle<Result<BTreeSet<u64>>>,
}

impl Stream {
    /// From one network namespace to an address in another.
    pub fn start(name: &str, from: PathBuf, to: PathBuf, address: IpAddr) -> Result<Self> {
        let receiving = Space::in_net(&to, || Ok(UdpSocket::bind((address, 0))?))?;
        let target = receiving.local_addr()?;
        let sending = Space::in_net(&from, || Ok(UdpSocket::bind(("0.0.0.0", 0))?))?;
        receiving.set_read_timeout(Some(LATE))?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let sender = thread::spawn(move || {
            let mut sent = 0_u64;
            while !ended.load(Ordering::Relaxed) {
                sending
                    .send_to(&sent.to_be_bytes(), target)
                    .with_context(|| format!("sending to {target}"))?;
                sent += 1;
                pause(EVERY);
            }
            Ok(sent)
        });
        let ended = Arc::clone(&over);
        let receiver = thread::spawn(move || {
            let mut seen = BTreeSet::new();
            let mut number = [0; 8];
            loop {
                match receiving.recv(&mut number) {
                    Ok(_) => drop(seen.insert(u64::from_be_bytes(number))),
                    Err(_) if ended.load(Ordering::Relaxed) => return Ok(seen),
                    Err(_) => {}
                }
            }
        });
        Ok(Self { name: name.to_owned(), over, sender, receiver })
    }

    /// Ends it; how many were sent, all of which must have arrived.
    pub fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        let sent = ended(self.sender)?;
        let seen = ended(self.receiver)?;
        let lost: Vec<u64> = (0..sent).filter(|number| !seen.contains(number)).collect();
        let (first, last) =
            (lost.first().copied().unwrap_or_default(), lost.last().copied().unwrap_or_default());
        ensure!(
            lost.is_empty(),
            "{}: {} of {sent} datagrams were lost, from {:.1} to {:.1} s (I17)",
            self.name,
            lost.len(),
            first as f64 * EVERY.as_secs_f64(),
            last as f64 * EVERY.as_secs_f64()
        );
        Ok(sent)
    }
}

fn ended<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
