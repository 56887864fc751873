//! Raft's snapshots on the disk of a manager, as the settings say. What is in them is the managers' own tests' business.

use crate::code;
use anyhow::{Context, Result, ensure};
use swarm_tests::{Host, Setup, eventually, scenario};

/// So many entries at least.
fn write(host: &Host, count: u32) -> Result<()> {
    (0..count).try_for_each(|n| host.ctl(&format!("node update --label-add n={n} h1"))?.ok().map(drop))
}

/// File names in order: they begin with the number of the last entry that is in them.
fn snapshots(host: &Host) -> Result<Vec<String>> {
    let files = host.state_dir().join("raft/snapshots").read_dir()?;
    let names = files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.retain(|name| name.ends_with(".snapshot"));
    names.sort();
    Ok(names)
}

/// Another is made by the time of `count` writes.
fn makes_another(host: &Host, count: u32) -> Result<Vec<String>> {
    let before = snapshots(host)?;
    write(host, count)?;
    eventually("another snapshot", || {
        let now = snapshots(host)?;
        ensure!(now.last() > before.last(), "still {now:?}");
        Ok(now)
    })
}

#[test]
fn snapshots_keep_to_the_settings_over_restarts_and_changes() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        h1.ctl("init --snapshot-interval 20 --max-snapshots 1")?.ok()?;
        makes_another(h1, 25)?;
        makes_another(h1, 25)?;
        ensure!(makes_another(h1, 25)?.len() == 2, "one older one is kept: {:?}", snapshots(h1)?);
        // Found by reading: the settings were forgotten with the first restart.
        h1.restart()?;
        ensure!(makes_another(h1, 25)?.len() == 2, "one older one is kept: {:?}", snapshots(h1)?);
        h1.ctl("update --snapshot-interval 0")?.refused_naming(&[code::USAGE], &["snapshot interval"])?;
        h1.ctl("update --snapshot-interval 10 --max-snapshots 0")?.ok()?;
        ensure!(makes_another(h1, 15)?.len() == 1, "none is kept any more: {:?}", snapshots(h1)?);
        h1.ctl("update --snapshot-interval 5000")?.ok()?;
        let last = snapshots(h1)?;
        write(h1, 30)?;
        ensure!(snapshots(h1)? == last, "one was made too early: {:?}", snapshots(h1)?);
        let info = h1.info()?.to_string();
        let told = info.contains("\"SnapshotInterval\":5000").then_some(());
        told.with_context(|| format!("info does not tell the interval: {info}"))
    });
}
