//! No secret leaves the daemons but where it belongs: not into logs at their most talkative, and on disk into files of the
//! owner alone.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use swarm_tests::{Host, Setup, scenario};

const PASSPHRASE: &str = "a canary of a passphrase";

/// The middle line of a PEM or the whole of anything else: what a log would have to show to give it away.
fn keys_of(host: &Host) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let pem =
        fs::read_to_string(host.state_dir().join("certificates/swarm-node.key")).context("the node's key")?;
    keys.extend(pem.lines().nth(1).map(str::to_owned));
    Ok(keys)
}

fn secret_of(token: &str) -> String {
    token.rsplit('-').next().unwrap_or_default().to_owned()
}

#[test]
fn no_secret_stands_in_any_log() {
    scenario(Setup::hosts(2), |w| {
        let (h1, h2) = (w.host(1), w.host(2));
        for host in w.hosts() {
            host.start_with(&["--log-level", "trace"])?;
        }
        h1.ctl("init")?.ok()?;
        let mut canaries = vec![PASSPHRASE.to_owned()];
        let old = h1.token("manager")?;
        h1.ctl("join-token --rotate manager")?.ok()?;
        let tokens = [old.clone(), h1.token("manager")?, h1.token("worker")?];
        canaries.extend(tokens.iter().map(|token| secret_of(token)));
        h2.ctl(&format!("join --token {old} {}:2377", h1.ip))?.fails()?;
        h2.ctl(&format!("join --token {} {}:2377", tokens[1], h1.ip))?.ok()?;
        w.settled(2)?;
        h1.sh(&format!("printf '%s' '{PASSPHRASE}' > /run/passphrase"))?.ok()?;
        h2.sh(&format!("printf '%s' '{PASSPHRASE}' > /run/passphrase"))?.ok()?;
        h1.ctl("backup --passphrase-file /run/passphrase /run/backup")?.ok()?;
        for host in w.hosts() {
            canaries.extend(keys_of(host)?);
        }
        for host in w.hosts() {
            let log = host.log();
            ensure!(
                log.contains("TRACE") || log.contains("DEBUG"),
                "the log says little: {}",
                host.log_end(5)
            );
            for canary in &canaries {
                ensure!(canary.len() > 20, "{canary:?} proves nothing");
                ensure!(!log.contains(canary.as_str()), "{} logged {canary:?}", host.name);
            }
        }
        Ok(())
    });
}

/// The keys in a folder and below, each the owner's alone; how many there are.
fn keys_below(dir: &Path) -> Result<usize> {
    let mut keys = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            keys += keys_below(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "key") {
            let mode =
                |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.permissions().mode() & 0o777);
            ensure!(mode(&path)? == 0o600, "{} is {:o}", path.display(), mode(&path)?);
            let folder = path.parent().context("a folder")?;
            ensure!(mode(folder)? == 0o700, "{} is {:o}", folder.display(), mode(folder)?);
            keys += 1;
        }
    }
    Ok(keys)
}

#[test]
fn keys_are_the_owners_alone() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        let mode = fs::metadata(h1.state_dir())?.permissions().mode() & 0o777;
        ensure!(mode == 0o700, "the state folder is {mode:o}");
        let keys = keys_below(&h1.state_dir())?;
        ensure!(keys >= 2, "{keys} keys: the node's and the store's were expected");
        Ok(())
    });
}
