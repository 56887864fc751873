//! Subnets, gateways, pools: S85, S89, S90, and what must be refused.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Host, Setup, eventually, scenario, view};

/// Names of the cluster's networks as listed.
fn listed(host: &Host) -> Result<BTreeSet<String>> {
    let text = host.ctl("network ls")?.ok()?;
    let rows = view::table(&text, &["NETWORK ID", "NAME", "DRIVER", "SCOPE"])?;
    Ok(rows.into_iter().filter_map(|r| r.into_iter().nth(1)).collect())
}

fn subnet_of(host: &Host, network: &str) -> Result<String> {
    let texts = view::texts(&host.network(network)?);
    texts
        .into_iter()
        .find(|t| t.contains('/') && t.starts_with(|c: char| c.is_ascii_digit()))
        .context("no subnet")
}

#[test]
fn s85_ipam_options_come_back_unchanged() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["manager"])?;
        let h1 = w.host(1);
        h1.ctl(
            "network create --attachable --subnet 10.60.0.0/24 --gateway 10.60.0.254 --ip-range 10.60.0.128/25 \
             --aux-address router=10.60.0.200 --opt mtu=1400 --label team=blue full",
        )?
        .ok()?;
        h1.ctl("network create plain")?.ok()?;
        for host in w.hosts() {
            let texts = view::texts(&swarm_tests::eventually("it is seen", || host.network("full"))?);
            for fact in ["10.60.0.0/24", "10.60.0.254", "10.60.0.128/25", "10.60.0.200", "1400", "blue"] {
                ensure!(texts.iter().any(|t| t == fact), "{fact} is missing in {texts:?}");
            }
            let plain = host.network("plain")?;
            ensure!(view::text(&plain, "name").as_deref() == Some("plain"), "{plain}");
            let label = view::text(&host.network("full")?, "team");
            ensure!(label.as_deref() == Some("blue"), "{label:?}");
        }
        let a = h1.run("a", "--network full")?;
        let last: u8 = a.ip()?.to_string().rsplit('.').next().context("no byte")?.parse()?;
        ensure!(last >= 128 && last != 200 && last != 254, "10.60.0.{last} is not from the range");
        ensure!(a.mtu("eth0")? == 1400, "the MTU asked for");
        Ok(())
    });
}

#[test]
fn s89_gateways_are_chosen_or_checked() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --subnet 10.61.0.0/24 --subnet 10.62.0.0/24 two")?.ok()?;
        let texts = view::texts(&h1.network("two")?);
        ensure!(
            texts.contains(&"10.61.0.1".to_owned()) && texts.contains(&"10.62.0.1".to_owned()),
            "{texts:?}"
        );
        let before = listed(h1)?;
        let outside = h1.ctl("network create --subnet 10.63.0.0/24 --gateway 10.64.0.1 bad")?;
        outside.refused_naming(&code::BAD_INPUT, &["10.64.0.1"])?;
        let broadcast = h1.ctl("network create --subnet 10.63.0.0/24 --gateway 10.63.0.255 bad")?;
        broadcast.refused_naming(&code::BAD_INPUT, &["10.63.0.255"])?;
        ensure!(listed(h1)? == before, "something was created");
        Ok(())
    });
}

#[test]
fn s90_two_subnets_are_filled_in_turn_and_reach_each_other() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable --subnet 10.65.0.0/29 --subnet 10.66.0.0/24 two")?.ok()?;
        let mut boxes = Vec::new();
        for i in 0..6 {
            let host = if i % 2 == 0 { h1 } else { h2 };
            boxes.push(host.run(&format!("b{i}"), "--network two")?);
        }
        for (i, one) in boxes.iter().enumerate() {
            let ip = one.ip()?.to_string();
            let expected = if i < 5 { "10.65.0." } else { "10.66.0." };
            ensure!(ip.starts_with(expected), "the {i}th got {ip}");
        }
        all_ping(&[&boxes[0], &boxes[1], &boxes[5]])
    });
}

#[test]
fn subnets_that_overlap_are_refused() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --subnet 10.70.0.0/24 taken")?.ok()?;
        h1.ctl("network create pooled")?.ok()?;
        let pooled = subnet_of(h1, "pooled")?;
        let before = listed(h1)?;
        let refused = [
            ("--subnet 10.71.0.0/24 --subnet 10.71.0.128/25".to_owned(), vec!["10.71.0.128/25", "overlap"]),
            ("--subnet 10.70.0.0/25".to_owned(), vec!["10.70.0.0/24", "overlap", "taken"]),
            (format!("--subnet {pooled}"), vec!["overlap", "pooled"]),
            ("--subnet 10.88.0.0/24".to_owned(), vec!["10.88.0.0/24", "overlap"]),
            ("--subnet 10.88.0.0/16".to_owned(), vec!["10.88.0.0/24", "overlap"]),
            ("--subnet 10.72.0.1/24".to_owned(), vec!["10.72.0.0/24"]),
            ("--subnet 10.0.0.0/8".to_owned(), vec!["10.0.0.0/8"]),
            ("--subnet 224.1.0.0/24".to_owned(), vec!["224.1.0.0/24"]),
            ("--subnet nonsense".to_owned(), vec!["nonsense"]),
        ];
        for (flags, facts) in refused {
            h1.ctl(&format!("network create {flags} bad"))?.refused_naming(&code::BAD_INPUT, &facts)?;
        }
        h1.ctl("network create taken")?.refused_naming(&[code::FAILED], &["taken", "exists"])?;
        ensure!(listed(h1)? == before, "something was created");
        Ok(())
    });
}

#[test]
fn default_pools_that_overlap_are_refused() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        for flags in [
            "--default-addr-pool 10.0.0.0/8 --default-addr-pool 10.1.0.0/16",
            "--default-addr-pool nonsense",
            "--default-addr-pool 10.20.0.0/24 --default-addr-pool-mask-length 16",
            "--default-addr-pool 10.20.0.0/16 --default-addr-pool-mask-length 33",
        ] {
            h1.ctl(&format!("init {flags}"))?.refused(&code::BAD_INPUT)?;
            h1.is_outside()?;
        }
        Ok(())
    });
}

#[test]
fn an_exhausted_pool_is_an_error_of_the_command() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        h1.ctl("init --default-addr-pool 10.200.0.0/22 --default-addr-pool-mask-length 24")?.ok()?;
        for i in 0..3 {
            h1.ctl(&format!("network create --attachable n{i}"))?.ok()?;
            ensure!(subnet_of(h1, &format!("n{i}"))?.starts_with("10.200."), "not from the pool");
        }
        let before = listed(h1)?;
        h1.ctl("network create one-too-many")?.refused_naming(&[code::FAILED], &["pool"])?;
        ensure!(listed(h1)? == before, "something was created");
        h1.ctl("network rm n1")?.ok()?;
        h1.ctl("network create again")?.ok()?;

        h1.ctl("network create --attachable --subnet 10.201.0.0/30 tiny")?.ok()?;
        let only = h1.run("only", "--network tiny")?;
        let full = h1.ctl("run -d --name second --network tiny -- sleep 100")?;
        full.refused_naming(&[code::RUN_FAILED], &["tiny", "address"])?;
        ensure!(h1.ctl("ps -q")?.ok()?.lines().count() == 1, "the refused one left something");
        only.remove()?;
        eventually("the address may be used again", || h1.run("third", "--network tiny").map(drop))
    });
}
