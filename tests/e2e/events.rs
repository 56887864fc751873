//! What people and their instruments hear of a cluster: `events`, and the metrics.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::process::Child;
use std::time::Duration;
use swarm_tests::{Host, Setup, World, eventually, poll::within, scenario};

/// Nodes are Down after a while, and what a node says of its trouble is written at most every ten seconds.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
const METRICS: &str = "127.0.0.1:9090";

/// A `swarmctl events` in the background, and what it has printed.
struct Watch {
    child: Child,
    file: std::path::PathBuf,
}

impl Watch {
    /// Returns once it hears something: this makes networks for it.
    fn start(w: &World, host: &Host, flags: &str) -> Result<Self> {
        let file = w.dir().join(format!("events-of-{}", host.name));
        let words: Vec<&str> = ["events"].into_iter().chain(flags.split_whitespace()).collect();
        let child = host.ctl_command(&words)?.stdout(File::create(&file)?).spawn()?;
        let watch = Self { child, file };
        let mut number = 0;
        eventually("the watch has begun", || {
            number += 1;
            w.host(1).ctl(&format!("network create probe{number}"))?.ok()?;
            ensure!(watch.text()?.contains("probe"), "nothing was heard");
            Ok(())
        })?;
        Ok(watch)
    }

    fn text(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.file)?)
    }

    /// Waits for a line with all of these in it.
    fn hears(&self, parts: &[&str]) -> Result<()> {
        let told = within(TOLD_WITHIN, &format!("{parts:?} is told"), || {
            let text = self.text()?;
            let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
            ensure!(found, "no line has {parts:?}:\n{text}");
            Ok(())
        });
        told.map(drop)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The values of one metric, one line each.
fn metric(host: &Host, name: &str) -> Result<Vec<String>> {
    let (ip, port) = METRICS.split_once(':').context("no port")?;
    let script = format!(
        "exec 3<>/dev/tcp/{ip}/{port}; printf 'GET /metrics HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; cat <&3"
    );
    let page = host.sh(&format!("bash -c \"{script}\""))?.ok()?;
    ensure!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    ensure!(!page.contains("SWMTKN") && !page.contains("PRIVATE"), "a secret is among the metrics");
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    Ok(lines.map(str::to_owned).collect())
}

fn measures(host: &Host, line: &str) -> Result<()> {
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    let lines = metric(host, name)?;
    ensure!(lines.iter().any(|found| found == line), "{} has {lines:?}, not {line}", host.name);
    Ok(())
}

fn form(w: &World) -> Result<()> {
    w.hosts().iter().try_for_each(|host| host.start_with(&["--metrics-addr", METRICS]))?;
    let h1 = w.host(1);
    h1.ctl("init")?.ok()?;
    for (host, role) in w.hosts().iter().skip(1).zip(["manager", "worker"]) {
        host.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token(role)?))?.ok()?;
    }
    w.settled(w.hosts().len())
}

#[test]
fn any_manager_tells_what_happens_in_the_cluster() {
    scenario(Setup::hosts(3), |w| {
        form(w)?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h3.ctl("events")?.refused_naming(&[code::UNAVAILABLE], &["not a manager"])?;
        let mut all = Watch::start(w, h2, "")?;
        let few = Watch::start(w, h1, "--format json -f type=network")?;
        h1.ctl("network create --attachable --subnet 10.77.0.0/24 my_net")?.ok()?;
        all.hears(&[" network create ", "name=my_net", "subnets=10.77.0.0/24"])?;
        let web = h3.run("web", "--network my_net")?;
        all.hears(&[" endpoint create ", "name=web", "network=my_net", "node=h3", "addresses=10.77.0."])?;
        web.remove()?;
        all.hears(&[" endpoint remove ", "name=web", "network=my_net", "node=h3", "addresses=10.77.0."])?;
        h1.ctl("network rm my_net")?.ok()?;
        all.hears(&[" network remove ", "name=my_net"])?;
        h1.ctl("node update --availability drain --label-add rack=a h3")?.ok()?;
        all.hears(&[" node update ", "name=h3", "availability.new=drain", "labels.new=rack=a"])?;
        h3.kill()?;
        all.hears(&[" node update ", "name=h3", "state.old=unknown", "state.new=down"])?;
        measures(h2, "swarmd_nodes{state=\"down\"} 1")?;
        h1.ctl("node rm h3")?.ok()?;
        all.hears(&[" node remove ", "name=h3"])?;
        few.hears(&["\"Type\":\"network\"", "\"Action\":\"remove\"", "my_net"])?;
        let few = few.text()?;
        ensure!(few.lines().all(|line| line.contains("\"Type\":\"network\"")), "{few}");
        // The manager that is asked stops: that is an end, and no silence.
        h2.stop()?;
        eventually("the watch ends", || {
            ensure!(all.child.try_wait()?.is_some(), "it goes on");
            Ok(())
        })
    });
}

#[test]
fn f20_a_certificate_that_cannot_be_renewed_is_told_by_event_metric_and_info() {
    scenario(Setup::hosts(3), |w| {
        form(w)?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        measures(h3, "swarmd_certificate_renewal_failing 0")?;
        measures(h3, "swarmd_membership{state=\"worker\"} 1")?;
        measures(h1, "swarmd_nodes{state=\"ready\"} 3")?;
        ensure!(metric(h3, "swarmd_raft_term")?.is_empty(), "a worker has no Raft");
        let watch = Watch::start(w, h2, "")?;
        let files = h3.state_dir().join("certificates").display().to_string();
        h3.sh(&format!("mount --bind {files} {files} && mount -o remount,ro,bind {files}"))?.ok()?;
        h1.ctl("ca --rotate -d")?.ok()?;
        watch.hears(&[" node trouble ", "name=h3", "certificate cannot be renewed"])?;
        measures(h3, "swarmd_certificate_renewal_failing 1")?;
        let failed = metric(h3, "swarmd_certificate_renewal_failures_total")?;
        ensure!(failed.iter().all(|line| !line.ends_with(" 0")), "{failed:?}");
        ensure!(h3.ctl("info")?.ok()?.contains("cannot be renewed"), "info says nothing");
        let shown = h1.ctl("node inspect --pretty h3")?.ok()?;
        ensure!(shown.contains("certificate cannot be renewed"), "{shown}");
        h3.sh(&format!("umount {files}"))?.ok()?;
        watch.hears(&[" node trouble-over ", "name=h3"])?;
        measures(h3, "swarmd_certificate_renewal_failing 0")?;
        eventually("it was renewed", || {
            let renewed = metric(h3, "swarmd_certificate_renewals_total")?;
            ensure!(renewed.iter().all(|line| !line.ends_with(" 0")), "{renewed:?}");
            Ok(())
        })
    });
}
