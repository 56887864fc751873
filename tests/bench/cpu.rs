//! Processor time of processes. Knows `/proc`; must not know whose it is.

use anyhow::{Context, Result};
use std::fs;

/// A clock tick of `/proc/PID/stat`, ms.
const TICK_MS: f64 = 10.0;

/// Of a process so far, ms.
pub fn of(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(") ").next().context("no fields")?;
    let times: Vec<f64> = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    Ok(times.iter().sum::<f64>() * TICK_MS)
}

/// Of this process so far, ms.
pub fn own() -> Result<f64> {
    of(i32::try_from(std::process::id())?)
}
