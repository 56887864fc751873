//! Nodes that know of each other without a manager: S97, F43, and what gossip may not do (I14, I15).

use anyhow::{Context, Result, ensure};
use std::net::UdpSocket;
use std::time::Duration;
use swarm_tests::capture::Counter;
use swarm_tests::space::Space;
use swarm_tests::{Host, Setup, eventually, scenario, view, within};

/// A suspect has at least four seconds, more while few say the same, and this machine is slow.
const VERDICT: Duration = Duration::from_secs(90);

fn id(host: &Host) -> Result<String> {
    view::text(&host.info()?, "node_id").context("info names no node")
}

/// Node ids under one of info's keys.
fn listed(host: &Host, key: &str) -> Result<Vec<String>> {
    Ok(view::find(&host.info()?, key).map(view::texts).unwrap_or_default())
}

fn takes_for_dead(host: &Host, expected: &[&str]) -> Result<()> {
    let down = listed(host, "gossip_down")?;
    let same = down.len() == expected.len() && expected.iter().all(|id| down.iter().any(|d| d == id));
    ensure!(same, "{} takes for dead: {down:?}, expected {expected:?}", host.name);
    Ok(())
}

fn doubts_nobody(host: &Host) -> Result<()> {
    takes_for_dead(host, &[])?;
    let suspects = listed(host, "gossip_suspects")?;
    ensure!(suspects.is_empty(), "{} suspects {suspects:?}", host.name);
    Ok(())
}

fn dropped(host: &Host) -> Result<i64> {
    view::number(&host.info()?, "gossip_dropped").context("info counts no dropped frames")
}

#[test]
fn s97_without_managers_nodes_see_each_other_die_and_come_back() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["worker", "worker", "worker"])?;
        let (h1, h4) = (w.host(1), w.host(4));
        let (first, last) = (id(h1)?, id(h4)?);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (w.host(2).run("a", "--network my_net")?, w.host(3).run("b", "--network my_net")?);
        a.pings_name("b")?;
        for host in w.hosts() {
            eventually("gossip is at rest", || doubts_nobody(host))?;
        }
        h1.kill()?;
        h4.kill()?;
        for host in [w.host(2), w.host(3)] {
            within(VERDICT, "two of four are dead", || takes_for_dead(host, &[&first, &last]))?;
        }
        a.pings_name("b")?;
        b.pings_name("a")?;
        h4.start()?;
        for host in [w.host(2), w.host(3)] {
            within(VERDICT, "one is back, without a manager", || takes_for_dead(host, &[&first]))?;
        }
        within(VERDICT, "who is back knows who is not", || takes_for_dead(h4, &[&first]))?;
        h1.start()?;
        for host in w.hosts() {
            within(VERDICT, "all are back", || doubts_nobody(host))?;
        }
        a.pings_name("b")
    });
}

#[test]
fn f43_strangers_get_no_answer_and_old_keys_run_out() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        let gossip = Counter::on_bridge(&w.wire.net(), "udp dport 7946")?;
        let gossips = || {
            ensure!(gossip.packets()? >= 4, "too little gossip");
            Ok(())
        };
        eventually("they gossip", gossips)?;
        let before = dropped(h2)?;
        Space::in_net(&w.wire.net(), || {
            let stranger = UdpSocket::bind("10.88.0.253:0")?;
            stranger.set_nonblocking(true)?;
            for length in [0, 1, 40, 60, 300, 1400] {
                stranger.send_to(&vec![7; length], (h2.ip.as_str(), 7946))?;
            }
            let counted = || {
                ensure!(dropped(h2)? >= before + 6, "not all are");
                Ok(())
            };
            eventually("they are counted", counted)?;
            ensure!(stranger.recv(&mut [0; 2000]).is_err(), "a stranger was answered");
            Ok(())
        })?;
        ensure!(!h2.log().contains("10.88.0.253"), "strangers write into the log");
        h1.ctl("update --key-rotation 10s")?.ok()?;
        within(VERDICT, "the first key runs out", || {
            ensure!(h1.log().contains("generation=4"), "{}", h1.log_end(5));
            Ok(())
        })?;
        doubts_nobody(h1)?;
        doubts_nobody(h2)?;
        let status: Vec<String> = h1.nodes()?.into_iter().map(|node| node.status).collect();
        ensure!(status == ["Ready", "Ready"], "{status:?}");
        Ok(())
    });
}

/// Two that miss a node whose session is gone need not wait for its grace: forty seconds here.
#[test]
fn two_reports_and_a_missing_session_make_a_node_down() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h4) = (w.host(1), w.host(4));
        h1.ctl("update --dispatcher-heartbeat 20s")?.ok()?;
        for host in w.hosts() {
            eventually("gossip is at rest", || doubts_nobody(host))?;
        }
        let last = id(h4)?;
        h4.kill()?;
        within(Duration::from_secs(30), "it is down", || {
            let shown = h1.ctl(&format!("node inspect {last}"))?.ok()?;
            ensure!(shown.contains("other nodes have no answer from it"), "{shown}");
            Ok(())
        })?;
        h4.start()?;
        eventually("it is back", || w.settled(4))
    });
}
