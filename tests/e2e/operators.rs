//! Operators from outside with certificates of their own, and what the audit log tells of them: S75, F21.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};
use swarm_tests::{Host, Setup, World, eventually, scenario};

/// Makes a user on `h1` and brings its identity to `h3`, which is outside the cluster.
fn user(w: &World, name: &str, role: &str) -> Result<String> {
    let file = format!("/run/{name}.identity");
    w.host(1).ctl(&format!("user create {name} --role {role} --output {file}"))?.ok()?;
    let pem = w.host(1).sh(&format!("stat -c %a {file} && cat {file}"))?.ok()?;
    let pem = pem.strip_prefix("600\n").context("the identity may be read by others")?;
    w.host(3).sh(&format!("umask 077 && cat >{file} <<'END'\n{pem}\nEND"))?.ok()?;
    Ok(file)
}

fn ask(host: &Host, file: &str, manager: usize, words: &str) -> Result<swarm_tests::run::Output> {
    host.ctl(&format!("-H tcp://10.88.0.{manager}:2377 --identity {file} {words}"))
}

fn audit(host: &Host) -> Result<String> {
    let place = host.state_dir().join("audit/audit.log");
    let others = fs::read_to_string(place.with_file_name("others.log")).unwrap_or_default();
    let meta = fs::metadata(&place)?;
    ensure!(meta.mode() & 0o777 == 0o600, "the audit log may be read by others");
    Ok(fs::read_to_string(place)? + &others)
}

#[test]
fn s75_users_reach_every_manager_and_do_what_their_role_allows() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(2, &["manager"])?;
        let h3 = w.host(3);
        let (viewer, operator, admin) =
            (user(w, "vera", "viewer")?, user(w, "otto", "operator")?, user(w, "anna", "admin")?);
        for manager in [1, 2] {
            ensure!(ask(h3, &viewer, manager, "node ls")?.ok()?.contains("h2"));
            ask(h3, &viewer, manager, "network ls")?.ok()?;
            ask(h3, &viewer, manager, "info")?.ok()?;
            for words in [
                "network create x",
                "node update --availability drain h2",
                "join-token worker",
                "user rm anna",
            ] {
                ask(h3, &viewer, manager, words)?.refused(&[code::REFUSED])?;
            }
        }
        ask(h3, &operator, 2, "network create --attachable mine")?.ok()?;
        ask(h3, &operator, 1, "network inspect mine")?.ok()?;
        ask(h3, &operator, 1, "node update --label-add rack=a h2")?.ok()?;
        for words in [
            "node demote h2",
            "join-token worker",
            "node rm -f h2",
            "user create x --role admin --output /run/x",
        ] {
            ask(h3, &operator, 1, words)?.refused(&[code::REFUSED])?;
        }
        ask(h3, &admin, 2, "join-token create --role worker --uses 1")?.ok()?;
        ask(h3, &admin, 1, "network rm mine")?.ok()?;
        // What concerns one host is for its own daemon.
        ask(h3, &admin, 1, "ps")?.refused(&[code::USAGE])?;
        ask(h3, "/run/nothing", 1, "node ls")?.fails()?;
        h3.sh(&format!("chmod 644 {viewer}"))?.ok()?;
        ask(h3, &viewer, 1, "node ls")?.refused(&[code::REFUSED])?;
        let said = audit(w.host(1))? + &audit(w.host(2))?;
        for (who, what, result) in [
            ("user vera", "network x", "refused"),
            ("user otto", "network mine", "done"),
            ("user anna", "network mine", "done"),
            ("local uid 0", "user otto as operator", "done"),
        ] {
            let told = |line: &str| line.contains(who) && line.contains(what) && line.contains(result);
            ensure!(said.lines().any(told), "not told: {who} {what} {result}\n{said}");
        }
        ensure!(!said.contains("SWMTKN") && !said.contains("PRIVATE KEY"));
        Ok(())
    });
}

/// What is asked of a host's own daemon, on a worker as well.
#[test]
fn what_is_asked_of_a_hosts_own_daemon_is_in_its_own_log() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let (h1, h2) = (w.host(1), w.host(2));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let web = h2.run("web", "--network my_net")?;
        let _blue = h2.attach("blue", "--network my_net")?;
        h2.ctl("network disconnect my_net nope")?.refused(&[code::NOT_FOUND])?;
        h2.ctl("ps")?.ok()?;
        web.remove()?;
        h2.ctl("leave --force")?.ok()?;
        let log = || Ok::<_, anyhow::Error>(fs::read_to_string(h2.state_dir().join("audit/local.log"))?);
        let said = eventually("the last line is written", || {
            let said = log()?;
            ensure!(said.contains("Local/Leave"), "{said}");
            Ok(said)
        })?;
        for (method, what, result) in [
            ("Local/Join", "through 10.88.0.1:2377", "done"),
            ("Local/Run", "sandbox web on my_net", "done"),
            ("Local/Attach", "sandbox blue on my_net", "done"),
            ("Local/DisconnectNetwork", "sandbox nope from my_net", "refused"),
            ("Local/RemoveSandbox", "sandbox web", "done"),
            ("Local/Leave", "the cluster by force", "done"),
        ] {
            let told =
                |line: &str| [method, what, result, "local uid 0"].iter().all(|part| line.contains(part));
            ensure!(said.lines().any(told), "not told: {method} {what} {result}\n{said}");
        }
        ensure!(!said.contains("SWMTKN") && !said.contains("ListSandboxes"), "{said}");
        Ok(())
    });
}

#[test]
fn s75_a_removed_user_is_refused_by_every_manager_within_two_seconds() {
    scenario(Setup::hosts(3), |w| {
        w.form_first(2, &["manager"])?;
        let file = user(w, "anna", "admin")?;
        ask(w.host(3), &file, 2, "node ls")?.ok()?;
        w.host(1).ctl("user rm anna")?.ok()?;
        let removed = Instant::now();
        for manager in [1, 2] {
            eventually("the removed user is refused", || {
                ask(w.host(3), &file, manager, "node ls")?.refused(&[code::REFUSED]).map(drop)
            })?;
        }
        ensure!(removed.elapsed() < Duration::from_secs(2), "it took {:?}", removed.elapsed());
        ensure!(!w.host(1).ctl("user ls")?.ok()?.contains("anna"));
        Ok(())
    });
}
