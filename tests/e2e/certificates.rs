//! Certificates that end and a root CA that is replaced: S67, S68, S70, S71, B10, F24.

use crate::code;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::time::Duration;
use swarm_tests::stream::Stream;
use swarm_tests::{Host, Setup, World, eventually, poll::within, scenario, shim, view};

const MINUTE: i64 = 60;
/// Renewals are looked for now and then.
const RENEWED_WITHIN: Duration = Duration::from_secs(40);

fn root(host: &Host) -> Result<String> {
    host.ctl("ca")?.ok()
}

fn stored(host: &Host, file: &str) -> Result<String> {
    Ok(fs::read_to_string(host.state_dir().join("certificates").join(file))?)
}

/// Its certificate and its trust are those of this root alone.
fn is_under(host: &Host, root: &str) -> Result<()> {
    ensure!(stored(host, "swarm-root-ca.crt")?.trim() == root.trim(), "{} trusts other roots", host.name);
    Ok(())
}

fn sessions(host: &Host) -> usize {
    host.log().lines().filter(|line| line.contains("with manager")).count()
}

fn ends(host: &Host) -> Result<String> {
    view::text(&host.info()?, "certificate_expires_at").context("info names no end of the certificate")
}

#[test]
fn s67_the_root_ca_is_rotated_and_no_connection_is_lost() {
    scenario(Setup::hosts(4), |w| {
        w.form_first(3, &["manager", "worker"])?;
        let (h1, h2, h3) = (w.host(1), w.host(2), w.host(3));
        h1.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (h2.run("a", "--network my_net")?, h3.run("b", "--network my_net")?);
        let stream = Stream::start("a to b", a.net(), b.net(), b.ip()?)?;
        let (old, token) = (root(h1)?, h1.token("worker")?);
        let all = [h1, h2, h3];
        let certificates: Vec<String> =
            all.iter().map(|host| stored(host, "swarm-node.crt")).collect::<Result<_>>()?;
        let before: Vec<usize> = all.iter().map(|host| sessions(host)).collect();
        let new = h1.ctl("ca --rotate")?.ok()?;
        ensure!(new.contains("BEGIN CERTIFICATE") && new != old, "{new}");
        for (host, certificate) in all.iter().zip(&certificates) {
            ensure!(stored(host, "swarm-node.crt")? != *certificate, "{} kept its certificate", host.name);
            eventually("only the new root is trusted", || is_under(host, &new))?;
        }
        let after: Vec<usize> = all.iter().map(|host| sessions(host)).collect();
        ensure!(before == after, "a session was begun anew: {before:?}, then {after:?}");
        stream.end()?;
        ensure!(h1.token("worker")? != token, "the token names the old root");
        let h4 = w.host(4);
        h4.start()?;
        h4.ctl(&format!("join --token {token} 10.88.0.1:2377"))?.refused(&[code::REFUSED])?;
        h4.ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("worker")?))?.ok()?;
        // Everybody finds back after a restart too.
        all.iter().try_for_each(|host| host.restart())?;
        w.settled(4)?;
        h2.ctl("network create after")?.ok().map(drop)
    });
}

#[test]
fn s68_a_second_rotation_during_the_first_converges_to_the_last() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "worker"])?;
        let h1 = w.host(1);
        let old = root(h1)?;
        for _ in 0..3 {
            h1.ctl("ca --rotate -d")?.ok()?;
        }
        let last = h1.ctl("ca --rotate -q")?.ok()?;
        ensure!(last != old);
        w.hosts().iter().try_for_each(|host| eventually("the last root counts", || is_under(host, &last)))?;
        w.settled(3)
    });
}

#[test]
fn f24_nodes_that_are_away_are_named_and_come_back() {
    scenario(Setup::hosts(4), |w| {
        w.form(&["manager", "manager", "worker"])?;
        let (h1, h3, h4) = (w.host(1), w.host(3), w.host(4));
        let old = root(h1)?;
        h3.kill()?;
        h4.kill()?;
        eventually("they are down", || {
            let down = h1.nodes()?.into_iter().filter(|node| node.status == "Down").count();
            ensure!(down == 2, "{down} are down");
            Ok(())
        })?;
        let said = h1.ctl("ca --rotate")?.refused_naming(&[code::UNAVAILABLE], &["h3", "h4", "node rm"])?;
        println!("{said}");
        ensure!(root(h1)? == old, "the old root counts until they are back");
        let missing = "in progress: 2 of 4 nodes, missing: h3 (not here), h4 (not here)";
        ensure!(h1.ctl("info")?.ok()?.contains(missing));
        ensure!(h1.ctl("ca")?.stderr.contains(missing), "`ca` does not show it");
        let tls = h1.ctl("node ls --format {{.Hostname}}:{{.TLSStatus}}")?.ok()?;
        ensure!(tls.contains("h2:Ready") && tls.contains("h3:Needs Rotation"), "{tls}");
        h3.start()?;
        h4.start()?;
        let (_, took) = within(Duration::from_secs(40), "the rotation ends", || {
            let now = root(h1)?;
            ensure!(now != old, "it goes on");
            w.hosts().iter().try_for_each(|host| is_under(host, &now))
        })?;
        println!("ended {took:?} after they came back");
        w.settled(4)
    });
}

#[test]
fn s67_what_the_old_root_vouched_for_is_named_when_it_goes() {
    scenario(Setup::hosts(2), |w| {
        w.form_first(1, &[])?;
        let (h1, h2) = (w.host(1), w.host(2));
        let (file, elsewhere) = ("/run/anna.identity", "/run/anna");
        h1.ctl(&format!("user create anna --role admin -o {file}"))?.ok()?;
        // Its owner is in another place.
        let pem = h1.sh(&format!("cat {file}"))?.ok()?;
        h2.sh(&format!("umask 077 && cat >{elsewhere} <<'END'\n{pem}\nEND"))?.ok()?;
        let asks = || h2.ctl(&format!("-H tcp://10.88.0.1:2377 --identity {elsewhere} node ls"));
        asks()?.ok()?;
        h1.ctl("join-token create --role worker -q")?.ok()?;
        for rotation in 1..=2 {
            let rotated = h1.ctl("ca --rotate")?;
            rotated.clone().ok()?;
            for fact in ["any more: 1;", "from now on: 1;", "swarmctl join-token"] {
                ensure!(rotated.stderr.contains(fact), "{rotated}");
            }
            ensure!(!rotated.stderr.contains("in progress"), "progress without a terminal: {rotated}");
            ensure!(h1.ctl("join-token ls")?.ok()?.contains("Old root"));
            ensure!(h1.ctl("user ls")?.ok()?.contains("Old root"));
            asks()?.refused_naming(
                &[code::REFUSED],
                &["replaced since the identity was issued", "user create"],
            )?;
            println!("after rotation {rotation}: as it should be");
        }
        // In the same place, under the same name.
        h1.ctl("user rm anna")?.ok()?;
        let again = format!("user create anna --role admin -o {file}");
        h1.ctl(&again)?.refused_naming(&[code::FAILED], &["--force"])?;
        h1.ctl(&format!("{again} --force"))?.ok()?;
        let piped = h1.ctl("user create otto --role viewer -o -")?.ok()?;
        ensure!(piped.starts_with("-----BEGIN") && piped.contains("PRIVATE KEY"), "{piped}");
        ensure!(h1.ctl("user ls")?.ok()?.matches("Valid").count() == 2);
        Ok(())
    });
}

#[test]
fn s67_a_rotation_without_a_quorum_names_who_is_missing() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        w.host(2).kill()?;
        w.host(3).kill()?;
        w.host(1).ctl("ca --rotate")?.refused_naming(&[code::UNAVAILABLE], &["h2", "h3"]).map(drop)
    });
}

#[test]
fn s70_external_roots_that_will_not_do_are_refused() {
    scenario(Setup::hosts(1), |w| {
        let h1 = w.host(1);
        h1.start()?;
        h1.ctl("init")?.ok()?;
        let before = root(h1)?;
        let (cert, key) = (w.dir().join("root.pem"), w.dir().join("root.key"));
        let rotate = |cert_text: &str, key_text: &str| {
            fs::write(&cert, cert_text)?;
            fs::write(&key, key_text)?;
            h1.ctl(&format!("ca --rotate --ca-cert {} --ca-key {}", cert.display(), key.display()))
        };
        let node = stored(h1, "swarm-node.crt")?;
        let own_key = stored(h1, "swarm-node.key")?;
        for (cert_text, key_text, said) in [
            ("no certificate", own_key.as_str(), "PEM"),
            (node.as_str(), own_key.as_str(), "certificates"),
            (before.as_str(), own_key.as_str(), "does not belong"),
        ] {
            rotate(cert_text, key_text)?.refused_naming(&[code::FAILED], &[said])?;
        }
        ensure!(root(h1)? == before);
        Ok(())
    });
}

#[test]
fn s71_certificates_are_renewed_between_half_and_four_fifths_of_their_life() {
    scenario(Setup::hosts(3), |w| {
        let clocks = shim::everywhere(w)?;
        w.hosts().iter().try_for_each(Host::start)?;
        let h1 = w.host(1);
        h1.ctl("init --cert-expiry 1h")?.ok()?;
        for (number, role) in [(2, "manager"), (3, "worker")] {
            w.host(number).ctl(&format!("join --token {} 10.88.0.1:2377", h1.token(role)?))?.ok()?;
        }
        w.settled(3)?;
        let first: Vec<String> = w.hosts().iter().map(ends).collect::<Result<_>>()?;
        clocks.iter().try_for_each(|clock| clock.wrong_clock(28 * MINUTE))?;
        // A change that is known to have been looked at comes after it.
        h1.ctl("update --cert-expiry 2h")?.ok()?;
        w.settled(3)?;
        ensure!(w.hosts().iter().map(ends).collect::<Result<Vec<_>>>()? == first, "renewed too early");
        clocks.iter().try_for_each(|clock| clock.wrong_clock(49 * MINUTE))?;
        for (host, first) in w.hosts().iter().zip(&first) {
            within(RENEWED_WITHIN, "it renews", || {
                ensure!(ends(host)? > *first, "{} still has its first certificate", host.name);
                Ok(())
            })?;
        }
        w.settled(3)
    });
}

fn run_out(w: &World, seconds: i64) -> Result<()> {
    let clocks = shim::everywhere(w)?;
    w.hosts().iter().try_for_each(Host::start)?;
    let h1 = w.host(1);
    h1.ctl("init --cert-expiry 1h")?.ok()?;
    h1.ctl("update --cert-grace 24h")?.ok()?;
    w.host(2).ctl(&format!("join --token {} 10.88.0.1:2377", h1.token("worker")?))?.ok()?;
    w.settled(2)?;
    w.hosts().iter().try_for_each(Host::kill)?;
    clocks.iter().try_for_each(|clock| clock.wrong_clock(seconds))?;
    w.hosts().iter().try_for_each(Host::start)
}

#[test]
fn b10_a_worker_that_was_off_beyond_its_certificate_comes_back_by_its_key() {
    scenario(Setup::hosts(2), |w| {
        run_out(w, 20 * 60 * MINUTE)?;
        within(RENEWED_WITHIN, "it is ready", || w.settled(2)).map(drop)
    });
}

#[test]
fn b10_beyond_the_grace_period_it_is_told_to_join_again() {
    scenario(Setup::hosts(2), |w| {
        run_out(w, 27 * 60 * MINUTE)?;
        within(RENEWED_WITHIN, "it is told", || {
            let info = w.host(2).info()?;
            ensure!(info.to_string().contains("join again"), "{info}");
            Ok(())
        })
        .map(drop)
    });
}
