//! Backup and restore: B5, and what is refused.

use crate::code;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swarm_tests::{Host, Setup, World, create, decides, eventually, scenario, view};

const NETWORKS: usize = 100;
/// Each on ten networks, so that there are a thousand endpoints.
const SANDBOXES: usize = 100;
const EACH_ON: usize = 10;

/// Every host of a world sees the world's folder.
fn files(w: &World) -> Result<(PathBuf, PathBuf)> {
    let secret = w.dir().join("passphrase");
    std::fs::write(&secret, "correct horse battery\n")?;
    Ok((secret, w.dir().join("swarm.backup")))
}

fn backup(host: &Host, w: &World, flags: &str) -> Result<swarm_tests::Output> {
    let (secret, file) = files(w)?;
    host.ctl(&format!("backup {flags} --passphrase-file {} {}", secret.display(), file.display()))
}

fn restore(host: &Host, w: &World) -> Result<swarm_tests::Output> {
    let (secret, file) = files(w)?;
    host.ctl(&format!("restore --passphrase-file {} {}", secret.display(), file.display()))
}

fn ids(host: &Host) -> Result<BTreeSet<String>> {
    Ok(host.nodes()?.into_iter().map(|n| n.id).collect())
}

fn names(host: &Host) -> Result<BTreeSet<String>> {
    let listed = host.ctl("network ls -f scope=swarm --format {{.Name}}")?.ok()?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Found by a breaker: it said yes, and its manager could change nothing.
#[test]
fn f08_a_disk_that_is_too_small_is_told_before_and_nothing_is_left() {
    scenario(Setup::hosts(2), |w| {
        let (h1, h2) = (w.host(1), w.host(2));
        let dir = h2.state_dir();
        let dir = dir.display();
        h2.sh(&format!(
            "truncate -s 64M /run/disk && mkfs.ext4 -q /run/disk && mkdir -p {dir} && mount -o loop /run/disk {dir}"
        ))?
        .ok()?;
        w.form_first(1, &[])?;
        create(h1, "kept")?;
        backup(h1, w, "")?.ok()?;
        h1.kill()?;
        h2.start()?;
        let refused = restore(h2, w)?;
        refused.refused_naming(
            &[code::FAILED],
            &["not enough room", "MiB there to begin", "Nothing was changed"],
        )?;
        let left = h2.sh(&format!("ls -d {dir}/raft* {dir}/certificates 2>/dev/null; true"))?.ok()?;
        ensure!(left.is_empty(), "it left {left}");
        h2.stop()?;
        h2.sh(&format!("umount {dir}"))?.ok()?;
        h2.start()?;
        restore(h2, w)?.ok()?;
        ensure!(names(h2)?.contains("kept"));
        Ok(())
    });
}

/// What networks say of themselves and of their endpoints: ids, subnets, VNIs, addresses, MACs.
fn networks(host: &Host, names: &[String]) -> Result<BTreeMap<String, Value>> {
    let asked = format!("network inspect -v --format json {}", names.join(" "));
    let shown = view::lines(&host.ctl(&asked)?.ok()?)?;
    let named = |mut network: Value| {
        let name = view::text(&network, "name").context("a network without a name")?;
        // Which nodes are up is not the backup's to say.
        network.as_object_mut().context("no object")?.remove("Peers");
        Ok((name, network))
    };
    shown.into_iter().map(named).collect()
}

/// A hundred networks with ten endpoints each, all on the worker: it is the managers that are tested here.
fn fill(w: &World) -> Result<Vec<String>> {
    let made: Vec<String> = (0..NETWORKS).map(|i| format!("n{i}")).collect();
    made.iter().try_for_each(|name| create(w.host(1), name))?;
    for i in 0..SANDBOXES {
        let first = (i * EACH_ON) % NETWORKS;
        let on: String = (first..first + EACH_ON).map(|n| format!(" --network n{n}")).collect();
        w.host(4).ctl(&format!("run -d --name s{i}{on} -- sleep 1000"))?.ok()?;
    }
    w.settled(4)?;
    Ok(made)
}

/// Creates w0, w1, … until told to stop; answers how many were acknowledged.
fn write_on(host: &Host, stop: &AtomicBool) -> Result<usize> {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        create(host, &format!("w{done}"))?;
        done += 1;
    }
    Ok(done)
}

#[test]
fn b5_a_backup_taken_under_load_is_the_cluster_again_elsewhere() {
    scenario(Setup::hosts(6).alone(), |w| {
        w.form_first(4, &["manager", "manager", "worker"])?;
        let (h1, h2, h5) = (w.host(1), w.host(2), w.host(5));
        let made = fill(w)?;
        let (nodes, before) = eventually("it is read", || Ok((ids(h1)?, networks(h1, &made)?)))?;
        let endpoints = before.values().map(endpoints_in).sum::<usize>();
        ensure!(endpoints == SANDBOXES * EACH_ON, "{endpoints} endpoints");
        let tokens = eventually("tokens", || Ok([h1.token("worker")?, h1.token("manager")?]))?;
        create(h1, "acknowledged")?;
        let stop = AtomicBool::new(false);
        let (took, written) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_on(h1, &stop));
            let running = eventually("writes go on", || {
                ensure!(names(h1)?.contains("w2"));
                Ok(())
            });
            let taken = running.and_then(|()| backup(h2, w, ""));
            stop.store(true, Ordering::Relaxed);
            let written = writer.join().unwrap_or_else(|p| std::panic::resume_unwind(p));
            Ok::<_, anyhow::Error>((taken?, written?))
        })?;
        println!("{took} with {written} writes beside it");
        took.ok()?;
        let (_, file) = files(w)?;
        ensure!(std::fs::metadata(&file)?.mode() & 0o777 == 0o600);
        let all = names(h1)?;
        for host in &w.hosts()[..4] {
            host.kill()?;
        }
        h5.start()?;
        let restored = restore(h5, w)?;
        ensure!(restored.stderr.is_empty(), "nobody is there to be warned of: {restored}");
        println!("restored in {:?}", restored.took);
        let said = restored.ok()?;
        ensure!(said.contains(&tokens[0]) && said.contains("10.88.0.5:2377"), "{said}");
        is_what_it_was(h5, &nodes, &before)?;
        ensure!([h5.token("worker")?, h5.token("manager")?] == tokens, "other tokens");
        one_moment(&names(h5)?, &all, written)?;
        goes_on(w, &before)
    });
}

fn endpoints_in(network: &Value) -> usize {
    let shown = network.get("Endpoints").or_else(|| network.get("Containers"));
    shown.map_or(0, |e| e.as_array().map_or_else(|| e.as_object().map_or(0, |o| o.len()), Vec::len))
}

/// The same nodes and one more, which is the only manager; the same networks, endpoints and addresses.
fn is_what_it_was(host: &Host, nodes: &BTreeSet<String>, before: &BTreeMap<String, Value>) -> Result<()> {
    let rows = host.nodes()?;
    let own = rows.iter().find(|n| n.own).context("this node is not listed")?;
    ensure!(!nodes.contains(&own.id) && own.manager == "Leader", "{own:?}");
    ensure!(rows.iter().filter(|n| !n.manager.is_empty()).count() == 1, "{rows:?}");
    let others: BTreeSet<String> = rows.iter().filter(|n| !n.own).map(|n| n.id.clone()).collect();
    ensure!(others == *nodes, "other nodes than before: {rows:?}");
    for name in ["h1", "h2", "h3"] {
        ensure!(rows.iter().any(|n| n.hostname == name && n.status == "Down"), "{name} is up? {rows:?}");
    }
    let now = networks(host, &before.keys().cloned().collect::<Vec<_>>())?;
    for (name, network) in before {
        ensure!(now.get(name) == Some(network), "{name} was {network}, is {:?}", now.get(name));
    }
    Ok(())
}

/// Of the writes beside the backup it holds a beginning without gaps, and what was acknowledged before it wholly.
fn one_moment(restored: &BTreeSet<String>, all: &BTreeSet<String>, written: usize) -> Result<()> {
    ensure!(restored.contains("acknowledged") && restored.is_subset(all), "{restored:?}");
    let held = (0..written).take_while(|i| restored.contains(&format!("w{i}"))).count();
    let counted = restored.iter().filter(|name| name.starts_with('w')).count();
    ensure!(held == counted, "a gap: {restored:?}");
    ensure!((3..=written).contains(&held), "{held} of {written} writes are in it");
    println!("{held} of {written} writes beside it are in the backup");
    Ok(())
}

/// It writes, places what does not collide, and takes new members by the old token.
fn goes_on(w: &World, before: &BTreeMap<String, Value>) -> Result<()> {
    let (h5, h6) = (w.host(5), w.host(6));
    create(h5, "later")?;
    let new = h5.run("new", "--network n0")?.ip()?.to_string();
    let taken = before.values().flat_map(view::texts).any(|text| text.split('/').next() == Some(&new));
    ensure!(!taken, "{new} belongs to an endpoint of before");
    h6.start()?;
    h6.ctl(&format!("join --token {} {}:2377", h5.token("worker")?, h5.ip))?.ok()?;
    eventually("h6 is ready", || {
        ensure!(h5.nodes()?.iter().any(|n| n.hostname == "h6" && n.status == "Ready"));
        Ok(())
    })?;
    let (a, b) = (h5.run("a", "--network later")?, h6.run("b", "--network later")?);
    swarm_tests::sandbox::all_ping(&[&a, &b])?;
    h5.restart()?;
    decides("it leads after a restart", h5, "after_restart")
}

#[test]
fn b5_what_is_not_a_good_backup_changes_nothing() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(2, &["worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h3.start()?;
        backup(h2, w, "")?.refused_naming(&[code::UNAVAILABLE], &["not a manager"])?;
        let (secret, file) = files(w)?;
        std::fs::write(&secret, "short\n")?;
        let short = format!("backup --passphrase-file {} {}", secret.display(), file.display());
        h1.ctl(&short)?.refused_naming(&[code::FAILED], &["passphrase"])?;
        ensure!(!file.exists(), "nothing is left of a backup that was refused");
        backup(h1, w, "")?.ok()?;
        backup(h1, w, "")?.refused_naming(&[code::FAILED], &["--force"])?;
        backup(h1, w, "--force")?.ok()?;
        restore(h1, w)?.refused_naming(&[code::FAILED], &["already"])?;
        let good = std::fs::read(&file)?;
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for (bytes, fact) in [
            (b"not a backup at all".to_vec(), "no backup"),
            (Vec::new(), "no backup"),
            (good[..good.len() - 7].to_vec(), "cut short"),
            (flipped, "damaged"),
        ] {
            std::fs::write(&file, bytes)?;
            restore(h3, w)?.refused_naming(&[code::FAILED], &[fact, "nothing was changed"])?;
            h3.is_outside()?;
        }
        // Without an end, and found out by how it begins.
        for (endless, fact) in [("/dev/zero", "no backup"), ("/dev/urandom", "no backup")] {
            let said = h3.ctl(&format!("restore --passphrase-file {} {endless}", secret.display()))?;
            ensure!(said.took < Duration::from_secs(5), "{said}");
            said.refused_naming(&[code::FAILED], &[fact, "nothing was changed"])?;
        }
        std::fs::write(&file, &good)?;
        std::fs::write(&secret, "incorrect horse battery\n")?;
        h3.ctl(&format!("restore --passphrase-file {} {}", secret.display(), file.display()))?
            .refused_naming(&[code::REFUSED], &["passphrase", "nothing was changed"])?;
        h3.is_outside()?;
        // The old cluster lives: it works, and says so.
        let restored = restore(h3, w)?;
        ensure!(restored.stderr.contains("h1 (10.88.0.1:2377)"), "{restored}");
        ensure!(restored.took < Duration::from_secs(20), "{restored}");
        restored.ok()?;
        create(h3, "there")?;
        create(h1, "here").context("the cluster it was taken from goes on")
    });
}
