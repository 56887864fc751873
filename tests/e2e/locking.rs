//! Autolock: S59, S60, S62, S64, S65, and what lies on a locked manager's disk.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use swarm_tests::run::Output;
use swarm_tests::{Host, Setup, World, eventually, sandbox, scenario, view};

/// Sentences of `update`, `init` and `unlock-key` hold the key on a line of its own.
fn key_in(said: &str) -> Result<String> {
    let key = said.lines().map(str::trim).find(|line| line.starts_with("SWMKEY-1-"));
    Ok(key.with_context(|| format!("no key in {said}"))?.to_owned())
}

fn try_key(host: &Host, key: &str) -> Result<Output> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(file, "{key}")?;
    host.ctl(&format!("unlock --key-file {}", file.path().display()))
}

fn unlock(host: &Host, key: &str) -> Result<()> {
    try_key(host, key)?.ok().map(drop)
}

/// All daemons run, and the first is the manager of a cluster that locks.
fn begin(w: &World) -> Result<String> {
    w.hosts().iter().try_for_each(Host::start)?;
    w.host(1).ctl("init --autolock")?.ok()
}

fn state(host: &Host) -> Result<String> {
    view::text(&host.info()?, "LocalNodeState").context("info tells no state")
}

fn is_locked(host: &Host) -> Result<()> {
    let state = state(host)?;
    ensure!(state == "locked", "{} is {state}", host.name);
    Ok(())
}

fn writes(host: &Host, name: &str) -> Result<()> {
    host.ctl(&format!("network create --attachable {name}"))?.ok().map(drop)
}

fn keys(host: &Host) -> Result<Vec<u8>> {
    Ok(std::fs::read(host.state_dir().join("raft.key"))?)
}

fn locks(host: &Host) -> Result<()> {
    eventually("its files are sealed", || {
        ensure!(keys(host)?.starts_with(b"SWMLOCK1"));
        Ok(())
    })
}

/// It follows what the cluster has decided meanwhile.
fn changed(host: &Host, before: &[u8]) -> Result<()> {
    eventually("its keys are sealed anew", || {
        ensure!(keys(host)? != before);
        Ok(())
    })
}

#[test]
fn s59_a_locked_manager_says_so_until_it_gets_the_right_key() {
    scenario(Setup::hosts(2), |w| {
        let (h1, h2) = (w.host(1), w.host(2));
        let key = key_in(&begin(w)?)?;
        ensure!(h1.ctl("unlock-key -q")?.ok()? == key);
        h1.ctl("unlock")?.refused_naming(&[code::FAILED], &["not locked"])?;
        h2.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("worker")?))?.ok()?;
        writes(h1, "my_net")?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        sandbox::all_ping(&[&a, &b])?;
        h1.restart()?;
        is_locked(h1)?;
        for words in [
            "node ls",
            "network create x",
            "network ls",
            "join-token worker",
            "unlock-key",
            "update --autolock=false",
            "run --network my_net -- true",
            "rejoin 10.88.0.2:2377",
            "init --force-new-cluster",
        ] {
            let codes = [code::UNAVAILABLE, code::RUN_FAILED];
            h1.ctl(words)?.refused_naming(&codes, &["locked", "swarmctl unlock"])?;
        }
        // What is there goes on, its names as well.
        sandbox::all_ping(&[&a, &b])?;
        ensure!(h1.ctl("ps")?.ok()?.contains('a'));
        let another = format!("SWMKEY-1-{}", "A".repeat(43));
        try_key(h1, &another)?.refused_naming(&[code::REFUSED], &["not the key"])?;
        try_key(h1, "SWMKEY-1-short")?.refused_naming(&[code::REFUSED], &["no unlock key"])?;
        is_locked(h1)?;
        unlock(h1, &key)?;
        eventually("it decides again", || writes(h1, "again"))?;
        w.settled(2)?;
        sandbox::all_ping(&[&a, &b])?;
        ensure!(h1.ctl("unlock-key -q")?.ok()? == key);
        h1.ctl("update --autolock=false")?.ok()?;
        h1.ctl("unlock-key")?.refused_naming(&[code::FAILED], &["not locked"])?;
        h1.restart()?;
        eventually("it decides without a key", || writes(h1, "open"))
    });
}

#[test]
fn s60_a_manager_that_was_away_locks_once_it_has_caught_up() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        h3.kill()?;
        let key = key_in(&h1.ctl("update --autolock=true")?.ok()?)?;
        ensure!(key_in(&h1.ctl("update --autolock=true")?.ok()?)? == key, "on again changes nothing");
        h3.start()?;
        ensure!(state(h3)? == "active");
        locks(h3)?;
        h3.restart()?;
        is_locked(h3)?;
        writes(h1, "without_h3")?;
        unlock(h3, &key)?;
        eventually("it serves again", || writes(h3, "with_h3"))
    });
}

#[test]
fn s62_after_a_rotation_the_new_key_unlocks_and_who_was_away_needs_the_old_one_once() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        let old = key_in(&h1.ctl("update --autolock=true")?.ok()?)?;
        [h1, h2, h3].into_iter().try_for_each(locks)?;
        h3.kill()?;
        let before = keys(h2)?;
        let new = key_in(&h1.ctl("unlock-key --rotate")?.ok()?)?;
        ensure!(new != old);
        changed(h2, &before)?;
        h2.restart()?;
        try_key(h2, &old)?.refused_naming(&[code::REFUSED], &["not the key"])?;
        unlock(h2, &new)?;
        let before = keys(h3)?;
        h3.start()?;
        unlock(h3, &old)?;
        changed(h3, &before)?;
        h3.restart()?;
        unlock(h3, &new)?;
        eventually("it sees the others", || h3.ctl("node ls")?.ok())?;
        writes(h3, "together")
    });
}

#[allow(clippy::disallowed_methods)] // nothing is waited for: the moment of the kill is what is tried
fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// The keys that were shown while `words` ran, during which the daemon was killed after so long.
fn killed_during(host: &Host, words: &str, after: Duration) -> Result<Vec<String>> {
    let said = std::thread::scope(|scope| -> Result<String> {
        let asking = scope.spawn(|| host.ctl(words));
        pass(after);
        host.kill()?;
        Ok(asking.join().expect("the command's thread panicked")?.stdout)
    })?;
    host.start()?;
    Ok(key_in(&said).into_iter().collect())
}

/// Found by a breaker: one that was never shown was the only one that opened.
#[test]
fn f16_a_kill_at_any_moment_leaves_files_that_a_key_opens_which_was_shown() {
    scenario(Setup::hosts(1).alone(), |w| {
        let host = w.host(1);
        host.start()?;
        host.ctl("init")?.ok()?;
        let (mut shown, mut locked) = (Vec::new(), 0);
        for ms in [2, 4, 6, 8, 10, 12, 15, 20, 30, 60] {
            let words = if shown.is_empty() { "update --autolock=true" } else { "unlock-key --rotate" };
            shown.extend(killed_during(host, words, Duration::from_millis(ms))?);
            if state(host)? == "locked" {
                locked += 1;
                let opens = |key: &String| Ok(try_key(host, key)?.code == 0);
                let opened: Vec<bool> = shown.iter().map(opens).collect::<Result<_>>()?;
                ensure!(opened.contains(&true), "{ms} ms: none of {} keys opens", shown.len());
            }
            eventually("it decides", || writes(host, &format!("after{ms}")))?;
            // What counts now; without a lock the next round makes one.
            shown = host.ctl("unlock-key -q")?.ok().into_iter().collect();
        }
        ensure!(locked > 0, "no round was late enough to lock");
        Ok(())
    });
}

#[test]
fn s64_a_locked_manager_leaves_by_force_only_and_takes_its_state_along() {
    scenario(Setup::hosts(1).alone(), |w| {
        let h1 = w.host(1);
        begin(w)?;
        writes(h1, "my_net")?;
        h1.run("a", "--network my_net")?;
        h1.restart()?;
        h1.ctl("leave")?.refused_naming(&[code::FAILED], &["locked", "--force"])?;
        is_locked(h1)?;
        h1.ctl("leave --force")?.ok()?;
        h1.is_outside()?;
        h1.ctl("init")?.ok().map(drop)
    });
}

#[test]
fn s65_the_keys_change_under_writes_and_nothing_is_lost() {
    scenario(Setup::hosts(1).alone(), |w| {
        let h1 = w.host(1);
        begin(w)?;
        let rotate = || -> Result<String> {
            let mut key = String::new();
            for _ in 0..3 {
                key = key_in(&h1.ctl("unlock-key --rotate")?.ok()?)?;
            }
            Ok(key)
        };
        let load = || (0..60).try_for_each(|n| writes(h1, &format!("net{n}")));
        let key = std::thread::scope(|scope| {
            let load = scope.spawn(load);
            let key = rotate();
            load.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(key)
        })?;
        h1.kill()?;
        h1.start()?;
        unlock(h1, &key)?;
        eventually("every network is there", || {
            let listed = h1.ctl("network ls -q")?.ok()?;
            let count = listed.lines().count();
            ensure!(count >= 60, "{count} are listed");
            Ok(())
        })
    });
}

/// Every byte of every file below `dir`.
fn files(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push((path.display().to_string(), std::fs::read(&path)?)),
        }
    }
    Ok(found)
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|found| found == secret.as_bytes())
}

#[test]
fn a_locked_managers_disk_yields_no_secret() {
    scenario(Setup::hosts(2), |w| {
        let (h1, h2) = (w.host(1), w.host(2));
        let key = key_in(&begin(w)?)?;
        let secret = |token: String| token.rsplit('-').next().unwrap_or_default().to_owned();
        let secrets = [
            secret(h1.token("worker")?),
            secret(h1.token("manager")?),
            key.clone(),
            "PRIVATE KEY-----\nM".into(),
        ];
        h2.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("manager")?))?.ok()?;
        locks(h2)?;
        for host in [h1, h2] {
            host.stop()?;
            let all = files(&host.state_dir())?;
            ensure!(all.len() > 4, "{} files only", all.len());
            for (name, bytes) in &all {
                for secret in &secrets {
                    ensure!(!holds(bytes, secret), "{name} of {} holds {secret}", host.name);
                }
            }
        }
        // That such a search finds something: without the lock the node's key lies open.
        h1.start()?;
        h2.start()?;
        unlock(h1, &key)?;
        unlock(h2, &key)?;
        eventually("they decide", || h1.ctl("update --autolock=false")?.ok())?;
        eventually("the node's key lies open", || {
            let bytes = std::fs::read(h1.state_dir().join("certificates/swarm-node.key"))?;
            ensure!(holds(&bytes, &secrets[3]));
            Ok(())
        })
    });
}

#[test]
fn who_is_promoted_locks_and_who_is_demoted_does_not() {
    scenario(Setup::hosts(3), |w| {
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        let key = key_in(&begin(w)?)?;
        for host in [h2, h3] {
            host.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("worker")?))?.ok()?;
        }
        h2.restart()?;
        ensure!(state(h2)? == "active", "a worker has nothing to lock");
        h1.ctl("node promote h2 h3")?.ok()?;
        [h2, h3].into_iter().try_for_each(locks)?;
        h2.restart()?;
        is_locked(h2)?;
        unlock(h2, &key)?;
        eventually("it serves", || writes(h2, "by_h2"))?;
        h1.ctl("node demote h2")?.ok()?;
        eventually("it is a worker", || {
            let role = view::text(&h2.info()?, "role");
            ensure!(role.as_deref() == Some("worker") && !h2.state_dir().join("raft.key").exists());
            Ok(())
        })?;
        h2.restart()?;
        ensure!(state(h2)? == "active");
        w.settled(3)
    });
}
