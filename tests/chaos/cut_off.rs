//! B1: a host that is cut off from everything and comes back, again and again, under traffic. Knows what must hold two
//! seconds after each time; must not know how nodes find each other again.

use crate::{kernel, number};
use anyhow::{Context, Result, anyhow, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use swarm_tests::capture::nft;
use swarm_tests::poll::pause;
use swarm_tests::rng::Rng;
use swarm_tests::{Sandbox, Setup, World, eventually, scenario, within};

const SEED: u64 = 1;
/// As many as a test run bears; `make chaos` has a hundred.
const ROUNDS: usize = 5;
const SHORTEST_S: usize = 10;
const LONGEST_S: usize = 30;
/// After the wire is whole: two seconds, and as much again for the programs that are started to see it.
const BACK: Duration = Duration::from_secs(4);
const BETWEEN_TALK: Duration = Duration::from_millis(200);
const TABLE: &str = "bridge cut";

#[test]
fn b1_who_was_cut_off_is_reached_at_once_when_it_is_back() {
    let seed = number("CHAOS_SEED").unwrap_or(SEED);
    let rounds = number("CUT_OFF_ROUNDS").unwrap_or(ROUNDS);
    scenario(Setup::hosts(3).alone(), |w| {
        play(w, seed, rounds).map_err(|e| anyhow!("{e:#}\nreproduce: make chaos SEED={seed} ROUNDS={rounds}"))
    });
}

fn play(w: &World, seed: u64, rounds: usize) -> Result<()> {
    w.form(&["manager", "manager"])?;
    w.host(1).ctl("network create --attachable my_net")?.ok()?;
    let names = ["a", "b", "c"];
    let sandboxes = w.hosts().iter().zip(names).map(|(host, name)| host.run(name, "--network my_net"));
    let sandboxes: Vec<Sandbox<'_>> = sandboxes.collect::<Result<_>>()?;
    eventually("all reach each other", || all_reach(&sandboxes))?;
    let (over, mut rng) = (AtomicBool::new(false), Rng::new(seed));
    thread::scope(|scope| {
        for (from, to) in pairs(&sandboxes) {
            // Whoever is cut off is talked to all the same, and asked for.
            let talk = || {
                let _ = from.pings_name(&to.name);
                pause(BETWEEN_TALK);
            };
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    talk();
                }
            });
        }
        let done = (1..=rounds).try_for_each(|round| {
            let host = 1 + rng.below(w.hosts().len());
            let time = SHORTEST_S + rng.below(LONGEST_S - SHORTEST_S + 1);
            cut_off(w, host, time, &sandboxes).with_context(|| format!("round {round}, h{host} for {time} s"))
        });
        over.store(true, Ordering::Relaxed);
        done
    })
}

fn cut_off(w: &World, host: usize, seconds: usize, sandboxes: &[Sandbox<'_>]) -> Result<()> {
    let net = w.wire.net();
    let chain = "{ type filter hook forward priority -300; }";
    let rules = ["iifname", "oifname"].map(|way| format!("; add rule {TABLE} c {way} p{host} drop")).concat();
    nft(&net, &format!("add table {TABLE}; add chain {TABLE} c {chain}{rules}"))?;
    pause(Duration::from_secs(seconds as u64));
    nft(&net, &format!("delete table {TABLE}"))?;
    let (_, took) = within(BACK, "every pair pings and resolves", || all_reach(sandboxes))?;
    println!("h{host}, cut off for {seconds} s: all reach each other {} ms later", took.as_millis());
    kernel::holds(&sandboxes.iter().collect::<Vec<_>>())
}

fn pairs<'s, 'w>(sandboxes: &'s [Sandbox<'w>]) -> impl Iterator<Item = (&'s Sandbox<'w>, &'s Sandbox<'w>)> {
    let others = move |from: &'s Sandbox<'w>| sandboxes.iter().filter(move |to| to.name != from.name);
    sandboxes.iter().flat_map(move |from| others(from).map(move |to| (from, to)))
}

/// All at once: what one waits for must not use up another's time.
fn all_reach(sandboxes: &[Sandbox<'_>]) -> Result<()> {
    thread::scope(|scope| {
        let asks = pairs(sandboxes).map(|(from, to)| scope.spawn(move || reaches(from, to)));
        let asks: Vec<_> = asks.collect();
        asks.into_iter().try_for_each(|ask| ask.join().map_err(|_| anyhow!("a thread has ended"))?)
    })
}

/// With time for the hosts to ask once more, after a second, whose address they have given up.
fn reaches(from: &Sandbox<'_>, to: &Sandbox<'_>) -> Result<()> {
    let ping = from.exec(&format!("ping -n -c 1 -W 2 {}", to.name))?;
    ping.ok().with_context(|| format!("{} pings {}", from.name, to.name))?;
    let (found, expected) = (from.resolves(&to.name)?, to.ip()?.to_string());
    ensure!(found == [expected.clone()], "{} is {found:?} for {}, not {expected}", to.name, from.name);
    Ok(())
}
