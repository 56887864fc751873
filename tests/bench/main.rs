//! `bench [ROW…]`: measures the product beside its peers and writes BENCHMARKS.md. Without arguments everything is
//! measured and the file written; with the names of rows only those are, and they are printed.
//! Knows which rows there are; must not know how any of them is measured.

mod attach;
mod client;
mod cpu;
mod crowd;
mod echo;
mod failover;
mod handshakes;
mod idle;
mod interrupt;
mod kernel_tables;
mod large;
mod lifecycle;
mod load;
mod machine;
mod names;
mod networks;
mod peers;
mod reasons;
mod report;
mod rig;
mod site;
mod stats;
mod stopwatch;
mod throughput;
mod writes;

use anyhow::{Context, Result, bail, ensure};
use report::Row;
use rig::Rig;
use std::process::ExitCode;
use std::time::Instant;

type Measure = fn(&Rig) -> Result<Vec<Row>>;

/// In the order they are measured and shown. What restarts the daemons comes first.
const ROWS: &[(&str, &str, Measure)] = &[
    ("lifecycle", "init, a worker's join, a manager's join", lifecycle::rows),
    ("failover", "a leader killed, a leader stopped, a promotion, a worker lost", failover::rows),
    ("handshakes", "full handshakes: what one costs, and ten thousand at once", handshakes::rows),
    ("writes", "committed writes per second beside etcd", writes::rows),
    ("cost", "processor time of committed writes beside etcd", writes::costs),
    ("large", "a restart and a snapshot with 100,000 endpoints", large::rows),
    ("idle", "memory, processor time and traffic of daemons that have nothing to do", idle::rows),
    ("network", "network create", networks::rows),
    ("attach", "attach: request, command, first packet", attach::rows),
    ("crowd", "200 attaches at once", crowd::rows),
    ("names", "a new name on the other hosts", names::rows),
    ("tcp", "TCP and round trips beside an overlay made by hand", throughput::rows),
    ("tables", "100,000 forwarding and as many neighbour entries", kernel_tables::rows),
];
/// What the peers need; in one place so that it is said before anything begins.
const PROGRAMS: &[&str] =
    &["dockerd", "docker", "etcd", "iperf3", "ethtool", "strace", "ip", "unshare", "nsenter"];
const FILE: &str = "BENCHMARKS.md";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((word, rest)) if word == stopwatch::WORD => stopwatch::inside(rest),
        Some((word, _)) if word == "--help" || word == "-h" => usage(),
        _ => bench(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        if interrupt::asked() { ExitCode::from(130) } else { ExitCode::FAILURE }
    })
}

fn usage() -> Result<ExitCode> {
    println!("bench [ROW…]   without a row: all of them, and {FILE} is written\n");
    ROWS.iter().for_each(|(name, what, _)| println!("  {name:<10} {what}"));
    Ok(ExitCode::SUCCESS)
}

fn bench(wanted: &[String]) -> Result<ExitCode> {
    ready(wanted)?;
    interrupt::watch()?;
    let begun = Instant::now();
    let rows = measure(wanted)?;
    println!("{}", report::table(&rows));
    if wanted.is_empty() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let file = std::path::Path::new(root).join(FILE);
        std::fs::write(&file, report::document(&machine::description()?, &rows))?;
        eprintln!("bench: {FILE} written, after {:.0} s", begun.elapsed().as_secs_f64());
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what is missing before anything is made.
fn ready(wanted: &[String]) -> Result<()> {
    let known = |name: &String| ROWS.iter().any(|(row, ..)| row == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        bail!("no row is called {unknown:?}: `bench --help` names them");
    }
    ensure!(nix::unistd::geteuid().is_root(), "namespaces and engines need root: run it as root");
    let path = std::env::var_os("PATH").context("PATH is not set")?;
    let found = |name: &&&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(|name| !found(name)).copied().collect();
    ensure!(missing.is_empty(), "not installed: {}; `make bench-packages` installs them", missing.join(", "));
    for name in ["swarmd", "swarmctl"] {
        swarm_tests::host::binary(name)?;
    }
    Ok(())
}

fn measure(wanted: &[String]) -> Result<Vec<Row>> {
    let rig = Rig::new()?;
    let mut all = Vec::new();
    for (name, what, rows) in
        ROWS.iter().filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|w| w == name))
    {
        let begun = Instant::now();
        interrupt::check()?;
        let rows = rows(&rig).with_context(|| format!("measuring {name}"))?;
        eprintln!("bench: {what}, {:.0} s\n{}\n", begun.elapsed().as_secs_f64(), report::table(&rows));
        all.extend(rows);
    }
    Ok(all)
}
