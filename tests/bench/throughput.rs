//! Rows: TCP and round trips between two hosts, over our overlay and over one made by hand.

use crate::echo::Echo;
use crate::interrupt;
use crate::peers::handmade;
use crate::report::Row;
use crate::rig::Rig;
use crate::site::{Site, Started};
use crate::stats::{Sample, in_turn, short};
use anyhow::{Context, Result, bail};
use swarm_tests::eventually;

const PAIRS: usize = 7;
const SECONDS: u32 = 2;
const ECHOES: usize = 4000;
const GOAL: f64 = 0.97;
/// The same for times.
const SLOWER: f64 = 1.03;
const BY_HAND: &str = "by hand";

/// Two overlays, each with two ends and an iperf3 server at the second.
pub struct Overlays<'r> {
    ours: [Site<'r>; 2],
    hand: [Site<'r>; 2],
    servers: Vec<Started>,
}

impl<'r> Overlays<'r> {
    pub fn build(rig: &'r Rig) -> Result<Self> {
        let [manager, worker, ..] = rig.cluster()? else { bail!("two hosts are needed") };
        manager.ctl("network create --attachable wire")?.ok()?;
        let mut ours = Vec::new();
        for host in [manager, worker] {
            let name = format!("end-{}", host.name);
            let end = host.attach(&name, "--network wire")?;
            ours.push(Site { host, netns: format!("/run/netns/{name}"), ip: end.ip()?.to_string() });
        }
        let mtu = manager.sh("ip -n end-h1 -o link show dev eth0")?.ok()?;
        let mtu = mtu.split_whitespace().skip_while(|w| *w != "mtu").nth(1).context("no mtu")?.parse()?;
        let hand = handmade::build(rig.bare(), mtu)?;
        let ours = <[Site<'r>; 2]>::try_from(ours).ok().context("two ends")?;
        let mut built = Self { ours, hand, servers: Vec::new() };
        for site in [&built.ours[1], &built.hand[1]] {
            built.servers.push(site.start("iperf3", &["-s"])?);
        }
        for ends in [&built.ours, &built.hand] {
            eventually("iperf3 listens", || ends[1].sh("ss -Hltn sport = :5201 | grep -q .")?.ok())?;
            eventually("the far end answers", || {
                ends[0].sh(&format!("ping -n -c 1 -W 1 {}", ends[1].ip))?.ok()
            })?;
        }
        Ok(built)
    }

    /// Segmentation offload off at all ends: every packet is paid for.
    fn without_offload(&self) -> Result<()> {
        let all = self.ours.iter().chain(&self.hand);
        all.map(|site| site.sh("ethtool -K eth0 tso off gso off gro off")?.ok()).try_for_each(|r| r.map(drop))
    }

    fn end(mut self) -> Result<()> {
        for server in &mut self.servers {
            server.end()?;
        }
        let [one, two] = self.ours;
        for site in [&one, &two] {
            site.host.ctl(&format!("detach end-{}", site.host.name))?.ok()?;
            site.host.sh(&format!("ip netns del end-{}", site.host.name))?.ok()?;
        }
        one.host.ctl("network rm wire")?.ok()?;
        for site in &self.hand {
            site.host.sh("ip netns del overlay; ip netns del end")?.ok()?;
        }
        Ok(())
    }
}

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let overlays = Overlays::build(rig)?;
    let mut rows = vec![round_trip(&overlays)?];
    rows.push(tcp("TCP, 1 stream", &overlays, 1)?);
    rows.push(tcp("TCP, 4 streams", &overlays, 4)?);
    overlays.without_offload()?;
    rows.push(tcp("TCP, 1 stream, without segmentation offload", &overlays, 1)?);
    overlays.end()?;
    Ok(rows)
}

fn tcp(what: &str, overlays: &Overlays<'_>, streams: u32) -> Result<Row> {
    let (mut ours, mut hand) = (Sample::default(), Sample::default());
    in_turn(
        PAIRS,
        |_| gigabits(&overlays.ours, streams).map(|speed| ours.push(speed)),
        |_| gigabits(&overlays.hand, streams).map(|speed| hand.push(speed)),
    )?;
    let ratio = ours.median() / hand.median();
    Ok(Row::new(what, ours.range("Gbit/s")).beside(BY_HAND, hand.range("Gbit/s"), ratio).ratio_at_least(GOAL))
}

/// What arrived at the far end.
fn gigabits(ends: &[Site<'_>; 2], streams: u32) -> Result<f64> {
    let [from, to] = ends;
    let said = from.sh(&format!("iperf3 -c {} -t {SECONDS} -O 0.3 -P {streams} -J", to.ip))?.ok()?;
    let report: serde_json::Value = serde_json::from_str(&said)?;
    let bits = report.pointer("/end/sum_received/bits_per_second").and_then(serde_json::Value::as_f64);
    Ok(bits.context("iperf3 reported no speed")? / 1e9)
}

fn round_trip(overlays: &Overlays<'_>) -> Result<Row> {
    let (mut ours, mut hand) = (Sample::default(), Sample::default());
    let mut medians = (Sample::default(), Sample::default());
    in_turn(
        PAIRS,
        |_| echoes(&overlays.ours, &mut ours, &mut medians.0),
        |_| echoes(&overlays.hand, &mut hand, &mut medians.1),
    )?;
    let ratio = medians.0.median() / medians.1.median();
    let tails = ours.quantile(0.99) / hand.quantile(0.99);
    let beside = format!("{}; of p99 {}", hand.tail("µs"), short(tails));
    let row = Row::new("round trip (ping)", ours.tail("µs")).beside(BY_HAND, beside, ratio);
    Ok(row.ratio_at_most(SLOWER))
}

fn echoes(ends: &[Site<'_>; 2], all: &mut Sample, medians: &mut Sample) -> Result<()> {
    let mut echo = Echo::from(&ends[0].net())?;
    let to = ends[1].address()?;
    let mut here = Sample::default();
    for _ in 0..ECHOES {
        if let Some(time) = echo.once(to)? {
            let micros = time.as_secs_f64() * 1e6;
            all.push(micros);
            here.push(micros);
        }
    }
    interrupt::check()?;
    medians.push(here.median());
    Ok(())
}
