//! Daemons that die and daemons that share a machine.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;
use swarm_tests::poll::pause;
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Setup, eventually, run, scenario, view};

#[test]
fn a_daemon_killed_at_any_moment_comes_back_to_the_same_cluster() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (h1.run("a", "--network my_net")?, w.host(2).run("b", "--network my_net")?);
        let (ids, ip) = (h1.nodes()?.into_iter().map(|n| n.id).collect::<Vec<_>>(), a.ip()?);
        let mut acknowledged = BTreeSet::new();
        for round in 0..8_u64 {
            let names: Vec<String> = (0..6).map(|i| format!("r{round}n{i}")).collect();
            let mut creating = Vec::new();
            for name in &names {
                let mut command = h1.ctl_command(&["network", "create", name])?;
                creating.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            }
            // Not waiting for anything: the moment of death shall differ from round to round.
            pause(Duration::from_millis(11 * round));
            h1.kill()?;
            for (name, child) in names.iter().zip(&mut creating) {
                if run::wait(child, Duration::from_secs(60))? == 0 {
                    acknowledged.insert(name.clone());
                }
            }
            h1.start()?;
            eventually("it leads again", || h1.ctl("network ls -q")?.ok())?;
        }
        w.settled(2)?;
        let listed = h1.ctl("network ls")?.ok()?;
        let rows = view::table(&listed, &["NETWORK ID", "NAME", "DRIVER", "SCOPE"])?;
        let names: BTreeSet<String> = rows.into_iter().filter_map(|r| r.into_iter().nth(1)).collect();
        let lost: Vec<_> = acknowledged.difference(&names).collect();
        ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        ensure!(h1.nodes()?.into_iter().map(|n| n.id).collect::<Vec<_>>() == ids && a.ip()? == ip);
        all_ping(&[&a, &b])?;
        ensure!(b.resolves("a")? == [ip.to_string()], "the name is as before");
        let c = h1.run("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])
    });
}

#[test]
fn f33_a_daemon_killed_in_the_middle_of_run_leaks_no_address() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        for round in 0..6_u64 {
            let mut running = Vec::new();
            for i in 0..4 {
                let name = format!("r{round}s{i}");
                let mut command = h2.ctl_command(&[
                    "run",
                    "-d",
                    "--name",
                    &name,
                    "--network",
                    "my_net",
                    "--",
                    "sleep",
                    "1000",
                ])?;
                running.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            }
            pause(Duration::from_millis(15 * round));
            h2.kill()?;
            for child in &mut running {
                run::wait(child, Duration::from_secs(60))?;
            }
            h2.start()?;
        }
        let left = eventually("it lists its sandboxes", || h2.ctl("ps -q")?.ok())?;
        for id in left.lines() {
            h2.ctl(&format!("rm -f {id}"))?.ok()?;
        }
        eventually("no endpoint is left", || {
            h1.ctl("network rm my_net")?.ok()?;
            Ok(())
        })?;
        eventually("no namespace is left", || {
            let nets = h2.sh("ls /run/swarmd/netns")?.ok()?;
            ensure!(nets.is_empty(), "{nets}");
            Ok(())
        })
    });
}

#[test]
fn two_daemons_on_one_machine_do_not_meet() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (h1, h2) = (w.host(1), w.host(2));
        // The second one's network, everything else of the first's host.
        let link = format!("/proc/{}/ns/net", h2.space.pid());
        let net = std::fs::File::open(link)?;
        let swarmd = swarm_tests::host::binary("swarmd")?;
        let state = h2.state_dir();
        let mut command = std::process::Command::new("nsenter");
        let pid = h1.space.pid().to_string();
        command.args(["-t", &pid, "-m", "-u", "-p"]).arg(format!("--net=/proc/{}/ns/net", h2.space.pid()));
        command
            .args(["--", &swarmd, "--run-dir", "/run/second", "--hostname", "second", "--state-dir"])
            .arg(state);
        let log = std::fs::File::create(w.dir().join("second.log"))?;
        let mut second = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let ctl = |words: &str| h1.ctl(&format!("-H unix:///run/second/swarmd.sock {words}"));
        let played = (|| -> Result<()> {
            eventually("the second answers", || ctl("info")?.ok())?;
            ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("worker")?))?.ok()?;
            w.settled(2)?;
            h1.ctl("network create --attachable my_net")?.ok()?;
            let a = h1.run("a", "--network my_net")?;
            ctl("run -d --name b --network my_net -- sleep 1000")?.ok()?;
            eventually("a pings b", || a.pings_name("b"))?;
            ensure!(h1.ctl("ps -q")?.ok()?.lines().count() == 1 && ctl("ps -q")?.ok()?.lines().count() == 1);
            ctl("leave --force")?.ok()?;
            a.pings(OUTSIDE_OF_BOTH)
        })();
        second.kill()?;
        second.wait()?;
        drop(net);
        played
    });
}

#[test]
fn an_attached_namespace_that_goes_away_gives_its_address_back() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        h2.attach("named", "--network my_net")?;
        let pid = h2.sh("unshare -n sleep 1000 >/dev/null 2>&1 & echo $!")?.ok()?;
        h2.ctl(&format!("attach --network my_net --name running --pid {pid}"))?.ok()?;
        h2.sh(&format!("ip netns del named; kill -9 {pid}"))?.ok()?;
        eventually("their endpoints are gone", || {
            let shown = h1.network("my_net")?.to_string();
            ensure!(!shown.contains("\"named\"") && !shown.contains("\"running\""), "{shown}");
            ensure!(h2.ctl("ps -q")?.ok()?.is_empty());
            h1.ctl("network rm my_net")?.ok().map(drop)
        })
    });
}

/// Reached through the first daemon's own rules, which the second must leave alone.
const OUTSIDE_OF_BOTH: &str = swarm_tests::world::OUTSIDE;
