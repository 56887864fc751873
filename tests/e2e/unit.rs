//! The daemon under the rights that its systemd unit leaves it, read from the unit itself: capabilities and the ban on new
//! privileges as they are; the system calls, namespaces and mappings it is left by watching what it does.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::process::Command;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Setup, World, eventually, scenario};

fn unit() -> Result<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/systemd/swarmd.service");
    std::fs::read_to_string(path).context(path)
}

/// `setpriv` with the unit's capabilities, as words before a command.
fn rights() -> Result<Vec<String>> {
    let unit = unit()?;
    let set: Vec<String> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .flat_map(str::split_whitespace)
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    ensure!(set.len() > 5, "the unit names {} capabilities", set.len());
    ensure!(unit.contains("\nNoNewPrivileges=yes\n"), "the unit allows new privileges");
    let set = format!("-all,{}", set.join(","));
    Ok(["setpriv", "--no-new-privs", "--inh-caps", "-all", "--bounding-set", &set]
        .map(str::to_owned)
        .to_vec())
}

/// What a daemon does in its life, from the first cluster to a restart.
fn works(w: &World) -> Result<()> {
    w.form(&["manager"])?;
    let (h1, h2) = (w.host(1), w.host(2));
    h1.ctl("network create --attachable my_net")?.ok()?;
    let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
    let c = h2.attach("c", "--network my_net")?;
    all_ping(&[&a, &b, &c])?;
    ensure!(a.exec("hostname")?.ok()? == "a", "exec enters the sandbox");
    // Servers in sandboxes change their user.
    let other = h1.ctl("run --network my_net -- setpriv --reuid 65534 --clear-groups id -u")?.ok()?;
    ensure!(other == "65534", "{other}");
    h1.restart()?;
    eventually("the restarted daemon is a member again", || w.settled(2))?;
    all_ping(&[&a, &b, &c])?;
    h1.ctl("rm -f a")?.ok()?;
    h2.ctl("node ls")?.ok().map(drop)
}

#[test]
fn the_daemon_does_all_its_work_with_the_rights_of_its_unit() {
    scenario(Setup::hosts(2), |w| {
        let rights = rights()?;
        let words: Vec<&str> = rights.iter().map(String::as_str).collect();
        w.hosts().iter().for_each(|host| host.start_under(&words));
        works(w)
    });
}

/// The unit's `SystemCallFilter=`, its groups resolved as systemd does.
fn allowed() -> Result<BTreeSet<String>> {
    let unit = unit()?;
    let given = unit.lines().find_map(|line| line.strip_prefix("SystemCallFilter=")).context("no filter")?;
    ensure!(!given.starts_with('~'), "the filter says what is forbidden, not what is allowed");
    let mut open: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    let mut calls = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !name.starts_with('@') {
            calls.insert(name);
            continue;
        }
        let told = Command::new("systemd-analyze").args(["--no-pager", "syscall-filter", &name]).output()?;
        ensure!(told.status.success(), "systemd does not know {name}");
        let lines = String::from_utf8(told.stdout)?;
        open.extend(lines.lines().skip(1).map(str::trim).filter(|l| !l.starts_with('#')).map(str::to_owned));
    }
    calls.remove("");
    ensure!(calls.len() > 100, "{} calls are allowed", calls.len());
    Ok(calls)
}

/// Looks at those calls alone that the unit forbids, by name or by what is asked of them.
#[test]
fn the_daemon_asks_for_nothing_that_its_unit_forbids() {
    scenario(Setup::hosts(2), |w| {
        let mut quiet = allowed()?;
        ["setns", "unshare", "mprotect", "pkey_mprotect"].iter().for_each(|name| _ = quiet.remove(*name));
        let names: Vec<String> = quiet.iter().map(|name| format!("?{name}")).collect();
        let filter = format!("trace=!{}", names.join(","));
        let logs: Vec<String> = w
            .hosts()
            .iter()
            .map(|host| w.dir().join(format!("calls-{}", host.name)).display().to_string())
            .collect();
        for (host, log) in w.hosts().iter().zip(&logs) {
            host.start_under(&[
                "strace",
                "-D",
                "-f",
                "-qqq",
                "--seccomp-bpf",
                "-A",
                "-o",
                log,
                "-e",
                &filter,
            ]);
        }
        works(w)?;
        for log in logs {
            let text = std::fs::read_to_string(&log)?;
            ensure!(text.contains("setns("), "nothing was seen: {text}");
            let fine = |line: &str| {
                let namespace = ["setns(", "unshare("].iter().any(|call| line.contains(call));
                let of_nets =
                    namespace && line.contains("CLONE_NEWNET") && line.matches("CLONE_").count() == 1;
                let mapping = line.contains("mprotect(");
                let plain = mapping && !(line.contains("PROT_WRITE") && line.contains("PROT_EXEC"));
                of_nets || plain || line.contains(" resumed>") || line.contains("+++") || line.contains("---")
            };
            let wrong: Vec<&str> = text.lines().filter(|line| !fine(line)).take(20).collect();
            ensure!(wrong.is_empty(), "the unit would forbid this: {wrong:#?}");
        }
        Ok(())
    });
}
