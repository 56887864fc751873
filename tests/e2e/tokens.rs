//! Join tokens as operators use them: S9, B6, F22, F23.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use swarm_tests::{Host, Setup, eventually, scenario};

const MANAGER: &str = "10.88.0.1:2377";

/// A refused attempt to join, and what was said.
fn refused(host: &Host, token: &str) -> Result<String> {
    let said = host.ctl(&format!("join --token {token} {MANAGER}"))?.refused(&[code::REFUSED])?;
    host.is_outside()?;
    Ok(said)
}

#[test]
fn s9_after_a_rotation_the_old_token_admits_nobody_and_members_stay() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(2, &["worker"])?;
        let (h1, h3) = (w.host(1), w.host(3));
        let old = h1.token("worker")?;
        let new = h1.ctl("join-token --rotate -q worker")?.ok()?;
        h3.start()?;
        ensure!(refused(h3, &old)?.contains("not valid any more"));
        h3.ctl(&format!("join --token {new} {MANAGER}"))?.ok()?;
        w.settled(3)
    });
}

#[test]
fn b6_tokens_end_by_uses_time_and_revocation_each_with_its_own_error() {
    scenario(Setup::hosts(3), |w| {
        w.hosts().iter().try_for_each(Host::start)?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h1.ctl("init")?.ok()?;
        let make = |flags: &str| h1.ctl(&format!("join-token create -q --role worker {flags}"))?.ok();
        let once = make("--uses 1 --ttl 1h --label rack=r7")?;
        let started = Instant::now();
        let brief = make("--ttl 10s")?;
        let revoked = make("")?;
        h2.ctl(&format!("join --token {once} {MANAGER}"))?.ok()?;
        ensure!(h1.ctl("node inspect h2")?.ok()?.contains("r7"), "the token's label is not the node's");
        let ids = h1.ctl("join-token ls -q")?.ok()?;
        h1.ctl(&format!("join-token revoke {}", ids.lines().last().context("no token is listed")?))?.ok()?;
        eventually("the token expires", || {
            ensure!(started.elapsed() > Duration::from_secs(10), "not yet");
            Ok(())
        })?;
        let mut said = vec![refused(h3, &once)?, refused(h3, &brief)?, refused(h3, &revoked)?];
        ensure!(
            said[0].contains("used up") && said[1].contains("expired") && said[2].contains("revoked"),
            "{said:?}"
        );
        said.sort();
        said.dedup();
        ensure!(said.len() == 3);
        let table = h1.ctl("join-token ls")?.ok()?;
        ensure!(
            ["1 of 1", "h2", "Expired", "Revoked", "rack=r7"].iter().all(|w| table.contains(w)),
            "{table}"
        );
        // What is shown once is nowhere to be read again.
        let secret = once.rsplit('-').next().unwrap_or_default();
        ensure!(!table.contains(secret) && !h1.ctl("join-token ls --format json")?.ok()?.contains(secret));
        ensure!(h1.nodes()?.len() == 2, "a refused node is listed");
        Ok(())
    });
}
