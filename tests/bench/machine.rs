//! The machine in words that tell nothing about whose it is. Knows /proc; must not know what is measured.

use anyhow::{Context, Result};
use std::fs;

/// Processor, cores, memory, kernel, and the peers' versions.
pub fn description() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let memory: f64 = field(&fs::read_to_string("/proc/meminfo")?, "MemTotal")
        .and_then(|total| total.split_whitespace().next()?.parse().ok())
        .context("no MemTotal in /proc/meminfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let virtual_machine = if cpuinfo.contains(" hypervisor") { ", a virtual machine" } else { "" };
    Ok(format!(
        "{cores} cores ({model}){virtual_machine}, {:.0} GiB of memory, Linux {kernel}. Release build (thin LTO). {}, {}.",
        memory / 1024.0 / 1024.0,
        crate::peers::docker::version()?,
        crate::peers::etcd::version()?
    ))
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':').map(str::trim))
}
