//! Managers in zones: what may be lost, and which promotion mends it.

use anyhow::{Context, Result, ensure};
use swarm_tests::{Host, Setup, World, decides, eventually, scenario, view};

/// h1 and h2 manage in zone a, h3 in b; h4 in b and h5 in c are workers.
fn form(w: &World) -> Result<()> {
    w.hosts().iter().try_for_each(Host::start)?;
    let h1 = w.host(1);
    h1.ctl("init --label zone=a")?.ok()?;
    for (host, role, zone) in
        [(2, "manager", "a"), (3, "manager", "b"), (4, "worker", "b"), (5, "worker", "c")]
    {
        let token = h1.token(role)?;
        w.host(host).ctl(&format!("join --token {token} --label zone={zone} {}:2377", h1.ip))?.ok()?;
    }
    w.settled(5)
}

fn warnings(host: &Host) -> Result<String> {
    let listed = host.ctl("node ls")?;
    ensure!(listed.code == 0, "{listed}");
    Ok(listed.stderr)
}

/// Whether `info` for people, and its JSON, say what `node ls` warns of.
fn info_says(host: &Host, fact: &str) -> Result<()> {
    let shown = host.ctl("info")?.ok()?;
    ensure!(shown.contains(fact), "{fact} is missing in {shown}");
    ensure!(view::texts(&host.info()?).iter().any(|text| text.contains(fact)));
    Ok(())
}

#[test]
fn zones_whose_loss_would_lose_the_quorum_are_named_and_mended() {
    scenario(Setup::hosts(5), |w| {
        form(w)?;
        let (h1, h3) = (w.host(1), w.host(3));
        let fact = "the loss of zone a (2 of 3 managers) would lose the quorum";
        let said = warnings(h1)?;
        ensure!(said.contains(fact), "{said}");
        info_says(h1, fact)?;
        ensure!(h1.ctl("node ls -q")?.stderr.is_empty(), "-q is for scripts");
        ensure!(warnings(h3)? == said, "a follower says the same");
        let named = said.split('`').find_map(|part| part.strip_prefix("swarmctl "));
        let command = named.context("no command is named")?;
        ensure!(command == "node promote h4 h5" && said.contains("zones b, c"), "{said}");
        h1.ctl(command)?.ok()?;
        eventually("all is well", || {
            let said = warnings(h1)?;
            ensure!(said.is_empty(), "{said}");
            ensure!(view::number(&h1.info()?, "survives") == Some(2));
            Ok(())
        })?;
        // Now the zone is lost, and the others go on.
        h1.kill()?;
        w.host(2).kill()?;
        decides("the others decide", h3, "my_net")?;
        eventually("they say who is away", || {
            let said = warnings(h3)?;
            ensure!(said.contains("2 of 5 managers do not answer (h1, h2)"), "{said}");
            ensure!(said.contains("no further one can be borne"), "{said}");
            info_says(h3, "no further one can be borne")
        })
    });
}

#[test]
fn two_managers_are_one_too_few_and_a_third_is_named() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "worker"])?;
        let said = warnings(w.host(1))?;
        ensure!(said.contains("2 managers") && said.contains("`swarmctl node promote h3`"), "{said}");
        w.host(1).ctl("node promote h3")?.ok()?;
        eventually("three are enough", || {
            let said = warnings(w.host(1))?;
            ensure!(said.is_empty(), "{said}");
            Ok(())
        })?;
        w.host(3).kill()?;
        eventually("one away is told", || {
            let said = warnings(w.host(1))?;
            ensure!(said.contains("1 of 3 managers does not answer (h3)"), "{said}");
            Ok(())
        })
    });
}
