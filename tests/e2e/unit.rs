//! The daemon under the rights that its systemd unit leaves it, read from the unit itself: capabilities and the ban on new
//! privileges. The unit's system call filter needs systemd and is not tried here.

use anyhow::{Context, Result, ensure};
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Setup, eventually, scenario};

fn unit() -> Result<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/systemd/swarmd.service");
    std::fs::read_to_string(path).context(path)
}

/// `setpriv` with the unit's capabilities, as words before a command.
fn rights() -> Result<Vec<String>> {
    let unit = unit()?;
    let set: Vec<String> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .flat_map(str::split_whitespace)
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    ensure!(set.len() > 5, "the unit names {} capabilities", set.len());
    ensure!(unit.contains("\nNoNewPrivileges=yes\n"), "the unit allows new privileges");
    let set = format!("-all,{}", set.join(","));
    Ok(["setpriv", "--no-new-privs", "--inh-caps", "-all", "--bounding-set", &set]
        .map(str::to_owned)
        .to_vec())
}

#[test]
fn the_daemon_does_all_its_work_with_the_rights_of_its_unit() {
    scenario(Setup::hosts(2), |w| {
        let rights = rights()?;
        let words: Vec<&str> = rights.iter().map(String::as_str).collect();
        w.hosts().iter().for_each(|host| host.start_under(&words));
        w.form(&["manager"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (h1.run("a", "--network my_net")?, h2.run("b", "--network my_net")?);
        let c = h2.attach("c", "--network my_net")?;
        all_ping(&[&a, &b, &c])?;
        ensure!(a.exec("hostname")?.ok()? == "a", "exec enters the sandbox");
        // Servers in sandboxes change their user.
        let other = h1.ctl("run --network my_net -- setpriv --reuid 65534 --clear-groups id -u")?.ok()?;
        ensure!(other == "65534", "{other}");
        h1.restart()?;
        eventually("the restarted daemon is a member again", || w.settled(2))?;
        all_ping(&[&a, &b, &c])?;
        h1.ctl("rm -f a")?.ok()?;
        h2.ctl("node ls")?.ok().map(drop)
    });
}
