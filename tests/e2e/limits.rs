//! What runs out, and what is asked for twice at once: F10, F28, F46.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;
use swarm_tests::space::Space;
use swarm_tests::{Host, Setup, create, decides, eventually, run, scenario, view};

fn descriptors(host: &Host) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", host.daemon_pid()?))?.count())
}

/// Processor time so far, in clock ticks.
fn ticks(host: &Host) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", host.daemon_pid()?))?;
    let after_name = stat.rsplit(") ").next().context("no fields")?;
    let times: Vec<u64> = after_name.split(' ').skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
    Ok(times.iter().sum())
}

#[test]
fn f10_a_manager_without_descriptors_keeps_its_sessions_and_its_raft() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        create(h1, "my_net")?;
        let limit = descriptors(h1)? + 3;
        let pid = h1.daemon_pid()?;
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.args(["--pid", &pid.to_string(), &format!("--nofile={limit}")]);
        run::run(prlimit, Duration::from_secs(10))?.ok()?;
        let before = (ticks(h1)?, view::number(&h2.info()?, "raft_term"));
        // Strangers who say nothing, until there is no descriptor left to take them by.
        let address = "10.88.0.1:2377".parse()?;
        let strangers: Vec<TcpStream> = Space::in_net(&w.wire.net(), || {
            (0..20).map(|_| Ok(TcpStream::connect_timeout(&address, Duration::from_secs(5))?)).collect()
        })?;
        eventually("it says that it cannot take them", || {
            ensure!(h1.log().contains("could not accept a connection"), "{}", h1.log_end(3));
            Ok(())
        })?;
        for round in 0..10 {
            create(h2, &format!("during{round}"))?;
        }
        let rows = h2.nodes()?;
        ensure!(rows.iter().all(|n| n.status == "Ready" && n.manager != "Unreachable"), "{rows:?}");
        ensure!(view::number(&h2.info()?, "raft_term") == before.1, "an election");
        let tries = h1.log().lines().filter(|line| line.contains("could not accept")).count();
        println!("{} ticks, {tries} tries to accept", ticks(h1)? - before.0);
        ensure!(tries < 200, "the accept loop does not rest: {tries} tries");
        drop(strangers);
        decides("it takes connections again", h1, "after")?;
        w.settled(3)
    });
}

#[test]
fn f28_of_two_who_want_the_same_one_gets_it_by_the_order_of_the_log() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        for round in 0..4 {
            let name = format!("same{round}");
            let vni = (6000 + round).to_string();
            let by_name: Vec<Vec<String>> = vec![vec![name.clone()]; 3];
            let by_vni: Vec<Vec<String>> = (1..=3)
                .map(|n| vec!["--opt".into(), format!("vni={vni}"), format!("v{round}by{n}")])
                .collect();
            for words in [by_name, by_vni] {
                let mut asked = Vec::new();
                for (host, words) in w.hosts().iter().zip(&words) {
                    let args: Vec<&str> =
                        ["network", "create"].into_iter().chain(words.iter().map(String::as_str)).collect();
                    let mut command = host.ctl_command(&args)?;
                    asked.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
                }
                let codes: Result<Vec<i32>> =
                    asked.iter_mut().map(|child| run::wait(child, Duration::from_secs(30))).collect();
                let mut codes = codes?;
                codes.sort_unstable();
                ensure!(codes == [0, code::FAILED, code::FAILED], "{words:?}: {codes:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn f28_a_foreign_vxlan_device_is_named_and_left_alone() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        let foreign = "ip -d link show foreign";
        h2.sh("ip link add foreign type vxlan id 7000 dstport 4789 local 10.88.0.2 dev eth0")?.ok()?;
        h2.sh("ip link set foreign up")?.ok()?;
        let before = h2.sh(foreign)?.ok()?;
        create(h1, "--opt vni=7000 my_net")?;
        let a = h1.run("a", "--network my_net")?;
        let refused = h2.ctl("run -d --name b --network my_net -- sleep 1000")?;
        if refused.code != 0 {
            ensure!(refused.stderr.contains("7000"), "it should name the VNI: {refused}");
        }
        eventually("info says what is wrong", || {
            let said = view::text(&h2.info()?, "reconcile_error").unwrap_or_default();
            ensure!(refused.code != 0 || said.contains("7000"), "{said:?}");
            Ok(())
        })?;
        ensure!(h2.sh(foreign)?.ok()? == before, "the foreign device was touched");
        h2.sh("ip link del foreign")?.ok()?;
        if refused.code == 0 {
            h2.ctl("rm -f b")?.ok()?;
        }
        let b = eventually("it is out of the way", || h2.run("c", "--network my_net"))?;
        swarm_tests::sandbox::all_ping(&[&a, &b])
    });
}

#[test]
fn f46_an_exhausted_network_says_so_and_what_is_released_comes_back_once() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["manager"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        // Eight addresses: the network's, the broadcast's, the gateway's, and five for endpoints.
        create(h1, "--subnet 10.99.0.0/29 small")?;
        let mut nets = Vec::new();
        for n in 0..6 {
            nets.push(h1.bare(&format!("ns{n}"))?);
        }
        for (n, net) in nets.iter().take(5).enumerate() {
            h1.ctl(&format!("attach --network small --name e{n} --netns {net}"))?.ok()?;
        }
        let sixth = |host: &Host| host.ctl(&format!("attach --network small --name e5 --netns {}", nets[5]));
        sixth(h1)?.refused_naming(&[code::FAILED], &["no free address", "small"])?;
        h2.ctl("run -d --name far --network small -- sleep 1000")?.refused(&[code::RUN_FAILED])?;
        let listed = |name: &str| {
            h1.network("small").map(|network| network.to_string().contains(&format!("\"{name}\"")))
        };
        h1.ctl("detach e0")?.ok()?;
        h1.ctl("detach e0")?.refused(&[code::NOT_FOUND])?;
        ensure!(!listed("e0")?, "it is still there");
        // It rests a moment; then exactly one gets it, also when the leader changes in between.
        h1.kill()?;
        h1.start()?;
        eventually("the released address is given out again", || sixth(h1)?.ok())?;
        h2.ctl("run -d --name far --network small -- sleep 1000")?.refused(&[code::RUN_FAILED])?;
        let shown = view::texts(&h2.network("small")?);
        let held: Vec<&String> = shown.iter().filter(|text| text.starts_with("10.99.0.")).collect();
        let different: BTreeSet<&&String> = held.iter().collect();
        ensure!(held.iter().filter(|text| text.ends_with("/29")).count() >= 5, "{held:?}");
        let twice = held.len() - different.len();
        ensure!(twice == 0, "{twice} addresses are held twice: {held:?}");
        Ok(())
    });
}
