//! Nodes that know of each other without a manager: S97, S98, F14, F43, and what gossip may not do (I14, I15).

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;
use swarm_tests::capture::{Counter, nft};
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
        // S98: one that goes on from its files alone is known under its new life, and serves what it had.
        w.host(2).restart()?;
        within(VERDICT, "its names are answered, without a manager", || a.pings_name("b"))?;
        b.pings_name("a")?;
        within(VERDICT, "it knows who is not there", || takes_for_dead(w.host(2), &[&first, &last]))?;
        within(VERDICT, "it is there for others", || takes_for_dead(w.host(3), &[&first, &last]))?;
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
            let mut stream = TcpStream::connect((h2.ip.as_str(), 7946))?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            stream.write_all(&[&60_u32.to_be_bytes()[..], &[7; 60]].concat())?;
            let read = stream.read(&mut [0; 100]);
            ensure!(matches!(read, Ok(0)), "a stranger on a stream was answered: {read:?}");
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

/// What `node ls` says of a host at one manager: gossip, session, and whether there is a round trip.
fn signs(at: &Host, of: &Host) -> Result<(String, String, bool)> {
    let listed = at.ctl("node ls --format json")?.ok()?;
    let rows = view::lines(&listed)?;
    let row = rows.iter().find(|row| view::text(row, "hostname").as_deref() == Some(of.name.as_str()));
    let row = row.with_context(|| format!("{} is not listed: {listed}", of.name))?;
    let word = |key: &str| view::text(row, key).unwrap_or_default();
    Ok((word("gossip"), word("session"), !word("round_trip").is_empty()))
}

fn shows(at: &Host, of: &Host, expected: (&str, &str, bool)) -> Result<()> {
    let found = signs(at, of)?;
    let found = (found.0.as_str(), found.1.as_str(), found.2);
    ensure!(found == expected, "{} says of {}: {found:?}, expected {expected:?}", at.name, of.name);
    Ok(())
}

#[test]
fn every_manager_shows_who_is_there_by_gossip_and_by_session() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        for at in [h1, h2] {
            eventually("it has heard of itself and of the worker", || {
                shows(at, at, ("self", "held", false))?;
                shows(at, h3, ("alive", "held", true))
            })?;
        }
        let pretty = h1.ctl("node inspect --pretty h3")?.ok()?;
        ensure!(["Liveness:", "Round trip:", "Session with:"].iter().all(|w| pretty.contains(w)), "{pretty}");
        h3.kill()?;
        for at in [h1, h2] {
            within(VERDICT, "it is gone for both", || shows(at, h3, ("down", "none", false)))?;
        }
        h3.start()?;
        within(VERDICT, "it is back for both", || {
            shows(h1, h3, ("alive", "held", true))?;
            shows(h2, h3, ("alive", "held", true))
        })
        .map(drop)
    });
}

/// F14: datagrams to one node are lost, streams are not; it says on those that it is there, and nothing is decided.
#[test]
fn f14_who_hears_no_datagram_of_gossip_is_not_taken_for_dead() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["worker", "worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        for host in w.hosts() {
            eventually("gossip is at rest", || doubts_nobody(host))?;
        }
        let net = w.wire.net();
        let rule = format!("ip daddr {} udp dport 7946", h3.ip);
        let lost = Counter::on_bridge(&net, &rule)?;
        nft(
            &net,
            &format!(
                "add table bridge deaf; add chain bridge deaf c {{ type filter hook forward priority -200; }}; \
                 add rule bridge deaf c {rule} drop"
            ),
        )?;
        let before = lost.packets()?;
        let mut died = None;
        within(VERDICT, "enough was lost", || {
            for host in w.hosts() {
                died = died.take().or(takes_for_dead(host, &[]).err());
            }
            let now = lost.packets()?;
            ensure!(now >= before + 40, "{} datagrams", now - before);
            Ok(())
        })?;
        died.map_or(Ok(()), Err)?;
        let status: Vec<String> = h1.nodes()?.into_iter().map(|node| node.status).collect();
        ensure!(status == ["Ready", "Ready", "Ready"], "{status:?}");
        nft(&net, "delete table bridge deaf")?;
        for host in w.hosts() {
            within(VERDICT, "nobody is doubted", || doubts_nobody(host))?;
        }
        let gone = id(h3)?;
        h3.kill()?;
        within(VERDICT, "who is dead is found to be", || takes_for_dead(h2, &[&gone])).map(drop)
    });
}
