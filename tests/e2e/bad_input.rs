//! Bad input and bad luck that belong to no numbered scenario: each gets a clear error and changes nothing.

use crate::code;
use anyhow::ensure;
use std::net::{TcpListener, UdpSocket};
use swarm_tests::host::binary;
use swarm_tests::space::Space;
use swarm_tests::{Setup, scenario};

#[test]
fn a_taken_port_is_named() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let h2 = w.host(2);
        h2.start()?;
        let token = w.host(1).token("manager")?;
        let taken = Space::in_net(&h2.space.net(), || Ok(TcpListener::bind("0.0.0.0:2377")?))?;
        h2.ctl("init")?.refused_naming(&[code::FAILED], &["2377", "in use"])?;
        h2.is_outside()?;
        h2.ctl(&format!("join --token {token} 10.88.0.1:2377"))?
            .refused_naming(&[code::FAILED], &["2377", "in use"])?;
        h2.is_outside()?;
        ensure!(w.host(1).nodes()?.len() == 1, "a refused manager is listed");
        drop(taken);
        h2.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.ok()?;
        w.settled(2)
    });
}

#[test]
fn a_taken_data_path_port_is_named() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        let _taken = Space::in_net(&h1.space.net(), || Ok(UdpSocket::bind("0.0.0.0:4789")?))?;
        h1.start()?;
        let init = h1.ctl("init")?;
        if init.code != 0 {
            init.refused_naming(&[code::FAILED], &["4789"])?;
            return h1.is_outside();
        }
        h1.ctl("network create --attachable my_net")?.ok()?;
        h1.ctl("run --network my_net -- true")?.refused_naming(&[code::RUN_FAILED], &["4789"])?;
        ensure!(h1.ctl("ps -aq")?.ok()?.is_empty(), "the refused one is listed");
        Ok(())
    });
}

#[test]
fn folders_of_another_daemon_are_refused() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        let state = h1.state_dir().display().to_string();
        let second = h1.swarmd(&["--state-dir", &state, "--run-dir", "/run/second"])?;
        second.refused_naming(&[code::FAILED], &[&state])?;
        let other = h1.sh("mktemp -d")?.ok()?;
        let third = h1.swarmd(&["--state-dir", &other, "--run-dir", "/run/swarmd"])?;
        third.refused_naming(&[code::FAILED], &["/run/swarmd"])?;
        h1.sh(&format!("rm -rf {other}"))?.ok()?;
        ensure!(h1.nodes()?.len() == 1, "the first goes on");
        h1.ctl("network create x")?.ok().map(drop)
    });
}

#[test]
fn missing_rights_are_named() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.sh(&format!(
            "cp {} /run/swarmd-copy && chmod 755 /run/swarmd-copy && mkdir -m 777 /run/open",
            binary("swarmd")?
        ))?
        .ok()?;
        let flags = "--state-dir /run/open/state --run-dir /run/open/run";
        let limited = "timeout -s KILL 10";
        let nobody = h1.sh(&format!(
            "{limited} setpriv --reuid 65534 --regid 65534 --clear-groups /run/swarmd-copy {flags}"
        ))?;
        nobody.refused_naming(&[code::FAILED], &["root"])?;
        for capability in ["net_admin", "sys_admin"] {
            let drop = format!("setpriv --bounding-set -{capability} --inh-caps -{capability}");
            let out = h1.sh(&format!("{limited} {drop} /run/swarmd-copy {flags}"))?;
            out.refused_naming(&[code::FAILED], &[&format!("cap_{capability}")])?;
        }
        let left = h1.sh("ls -A /run/open")?.ok()?;
        ensure!(left.is_empty(), "a refused daemon left {left}");
        Ok(())
    });
}

#[test]
fn flags_of_the_daemon_that_make_no_sense_are_refused() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.swarmd(&["--no-such-flag"])?.refused(&[code::USAGE])?;
        h1.swarmd(&["--config", "/no/such/file"])?.refused_naming(&[code::USAGE], &["/no/such/file"])?;
        h1.swarmd(&["--log-format", "smoke"])?.refused(&[code::USAGE])?;
        h1.swarmd(&["--log-level", "smoke"])?
            .refused_naming(&[code::USAGE], &["smoke", "error, warn, info"])?;
        h1.swarmd(&["--state-dir", "/proc/no"])?.refused_naming(&[code::FAILED], &["/proc/no"]).map(drop)
    });
}

#[test]
fn names_that_are_no_dns_labels_are_refused() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let before = h1.ctl("network ls")?.ok()?;
        let long = "x".repeat(64);
        for name in ["with blank", "dot.ted", "trailing-", "ünï", "", &long, "sl/ash", "new\nline"] {
            let created = h1.ctl_args(&["network", "create", "--", name])?;
            created.refused(&code::BAD_INPUT)?;
            let run = h1.ctl_args(&["run", "--network", "my_net", "--name", name, "--", "true"])?;
            if !name.is_empty() {
                run.refused(&[code::USAGE, code::RUN_FAILED])?;
            }
        }
        for flags in ["--alias dot.ted", "--ip 10.0.0.999", "--ip ::1"] {
            let run = h1.ctl(&format!("run --network my_net {flags} -- true"))?;
            run.refused(&[code::USAGE, code::RUN_FAILED])?;
        }
        for flags in
            ["--opt nonsense", "--opt mtu=12", "--opt vni=0", "--opt vni=16777216", "-d pigeon", "--label =x"]
        {
            h1.ctl(&format!("network create {flags} bad"))?.refused(&code::BAD_INPUT)?;
        }
        ensure!(h1.ctl("network ls")?.ok()? == before, "something was created");
        ensure!(h1.ctl("ps -aq")?.ok()?.is_empty(), "something runs");
        Ok(())
    });
}

#[test]
fn a_vni_is_given_once() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --opt vni=5000 one")?.ok()?;
        h1.ctl("network create --opt vni=5000 two")?.refused_naming(&[code::FAILED], &["5000"])?;
        h1.ctl("network inspect two")?.refused(&[code::NOT_FOUND])?;
        h1.ctl("network rm one")?.ok()?;
        h1.ctl("network create --opt vni=5000 two")?.ok().map(drop)
    });
}

#[test]
fn names_of_sandboxes_are_given_once_on_a_network() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let a = h1.run("a", "--network my_net")?;
        h1.ctl("run -d --name a --network my_net -- sleep 100")?
            .refused_naming(&[code::RUN_FAILED], &["a", "sandbox"])?;
        h1.ctl("rm a")?.refused_naming(&[code::FAILED], &["running"])?;
        a.remove()?;
        let mut again = h1.run("a", "--network my_net")?;
        again.name = again.id.clone();
        again.remove()
    });
}
