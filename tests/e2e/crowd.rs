//! Many at once and many in a row: S86, B12.

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::{Child, Stdio};
use std::time::Duration;
use swarm_tests::space::Space;
use swarm_tests::{Host, Setup, eventually, run, scenario};

/// The IPv4 address of eth0 in a network namespace, read without starting a program.
fn address_in(net: &std::path::Path) -> Result<IpAddr> {
    Space::in_net(net, || {
        let mut found = nix::ifaddrs::getifaddrs()?.filter(|i| i.interface_name == "eth0");
        let address = found.find_map(|i| i.address?.as_sockaddr_in().map(|a| IpAddr::from(a.ip())));
        address.context("eth0 has no address")
    })
}

/// Attaches and detaches one namespace `rounds` times; no address it gets may be held by another.
fn come_and_go(host: &Host, name: &str, rounds: usize, held: &Mutex<BTreeSet<IpAddr>>) -> Result<()> {
    let net = host.bare(name)?;
    for _ in 0..rounds {
        host.ctl(&format!("attach --network my_net --name {name} --netns {net}"))?.ok()?;
        let address = address_in(&host.space.path(&net))?;
        ensure!(held.lock().insert(address), "{address} is held twice");
        held.lock().remove(&address);
        host.ctl(&format!("detach {name}"))?.ok()?;
    }
    Ok(())
}

#[test]
fn s86_a_thousand_attach_and_detach_leak_nothing() {
    const THREADS: usize = 4;
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let stays = h2.run("stays", "--network my_net")?;
        let held = Mutex::new(BTreeSet::from([stays.ip()?]));
        std::thread::scope(|scope| {
            let run = |i: usize| {
                let host = if i.is_multiple_of(2) { h1 } else { h2 };
                let held = &held;
                scope.spawn(move || come_and_go(host, &format!("c{i}"), 1000 / THREADS, held))
            };
            let threads: Vec<_> = (0..THREADS).map(run).collect();
            threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
        })?;
        eventually("no endpoint is left but the one that stays", || {
            let shown = h1.network("my_net")?.to_string();
            ensure!(
                shown.contains("stays") && !(0..THREADS).any(|i| shown.contains(&format!("\"c{i}\""))),
                "{shown}"
            );
            Ok(())
        })?;
        let veths = h1.sh("ip -o link show type veth | grep -vc eth0@ || true")?.ok()?;
        ensure!(veths == "0", "{veths} veth devices are left on h1");
        stays.remove()?;
        h1.ctl("network rm my_net")?.ok().map(drop)
    });
}

/// Starts `count` sandboxes at once; all must come up.
fn start_many(host: &Host, network: &str, count: usize) -> Result<()> {
    let start = |i: usize| -> Result<Child> {
        let name = format!("{network}-{i}");
        let mut command =
            host.ctl_command(&["run", "-d", "--name", &name, "--network", network, "--", "sleep", "1000"])?;
        Ok(command.stdout(Stdio::null()).spawn()?)
    };
    let mut children = (0..count).map(start).collect::<Result<Vec<_>>>()?;
    for (i, child) in children.iter_mut().enumerate() {
        let code = run::wait(child, Duration::from_secs(120))?;
        ensure!(code == 0, "the {i}th of {count} ended with {code}");
    }
    Ok(())
}

#[test]
fn b12_two_hundred_at_once() {
    scenario(Setup::hosts(1).alone(), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable many")?.ok()?;
        // How long they take stands in the benchmarks.
        start_many(h1, "many", 200)?;
        let listed = h1.ctl("ps --format json")?.ok()?;
        let mut addresses = BTreeSet::new();
        for sandbox in swarm_tests::view::lines(&listed)? {
            let pid = swarm_tests::view::number(&sandbox, "pid").context("no pid")?;
            let address = address_in(&h1.space.net_of(i32::try_from(pid)?))?;
            ensure!(addresses.insert(address), "{address} was given twice");
        }
        ensure!(addresses.len() == 200, "{} of 200 are listed", addresses.len());
        Ok(())
    });
}
