//! Encrypted networks where the kernel cannot encrypt: S103, F50. What a kernel with ESP does with them is tried in virtual
//! machines (`tests/vm`).

use crate::code;
use anyhow::{Result, ensure};
use swarm_tests::sandbox::all_ping;
use swarm_tests::{Host, Setup, eventually, scenario, view};

/// The devices' VNIs on this host, wherever they are.
fn vnis(host: &Host) -> Result<Vec<String>> {
    let find = "for n in /run/swarmd/netns/*; do nsenter --net=$n ip -o -d link show type vxlan; done 2>/dev/null; \
                ip -o -d link show type vxlan; true";
    let links = host.sh(find)?.ok()?;
    let id = |line: &str| line.split(" vxlan id ").nth(1)?.split(' ').next().map(str::to_owned);
    Ok(links.lines().filter_map(id).collect())
}

fn can_encrypt(host: &Host) -> Result<bool> {
    let add = "ip xfrm state add src 192.0.2.9 dst 192.0.2.10 proto esp spi 0x999 mode transport \
               aead 'rfc4106(gcm(aes))' 0x$(printf %072d 0) 128";
    let remove = "ip xfrm state delete src 192.0.2.9 dst 192.0.2.10 proto esp spi 0x999";
    Ok(host.sh(&format!("{add} && {remove}"))?.code == 0)
}

#[test]
fn s103_f50_a_kernel_without_esp_takes_no_part_and_plain_networks_stay() {
    scenario(Setup::hosts(2), |w| {
        w.form(&["worker"])?;
        let h1 = w.host(1);
        if can_encrypt(h1)? {
            println!("not tested: this kernel has ESP and AES-GCM");
            return Ok(());
        }
        for (option, name) in
            [("encrypted", "secret"), ("encrypted=true", "hidden"), ("encrypted=false", "open")]
        {
            h1.ctl(&format!("network create --attachable --opt {option} {name}"))?.ok()?;
        }
        let encrypted =
            |name: &str| Ok::<_, anyhow::Error>(view::find(&h1.network(name)?, "encrypted").cloned());
        for (name, expected) in [("secret", true), ("hidden", true), ("open", false)] {
            ensure!(encrypted(name)? == Some(expected.into()), "{name}: {:?}", encrypted(name)?);
        }
        let here = w.hosts().iter().map(|host| host.run(&format!("in-{}", host.name), "--network open"));
        let here = here.collect::<Result<Vec<_>>>()?;
        for host in w.hosts() {
            for name in ["secret", "hidden"] {
                refuses(host, name)?;
            }
        }
        for name in ["secret", "hidden"] {
            eventually("the endpoints are given back", || {
                let inspected = h1.network(name)?;
                let left = view::find(&inspected, "containers").and_then(|all| all.as_object());
                ensure!(left.is_some_and(|all| all.is_empty()), "{inspected}");
                Ok(())
            })?;
        }
        all_ping(&here.iter().collect::<Vec<_>>())?;
        for host in w.hosts() {
            ensure!(
                vnis(host)?.len() == 1,
                "{}: devices of {:?}, of one network only expected",
                host.name,
                vnis(host)?
            );
        }
        // A daemon that begins anew finds nothing to build either.
        w.host(2).restart()?;
        refuses(w.host(2), "secret")?;
        ensure!(vnis(w.host(2))?.len() == 1, "after a restart: {:?}", vnis(w.host(2))?);
        all_ping(&here.iter().collect::<Vec<_>>())?;
        h1.ctl("network rm secret hidden")?.ok().map(drop)
    });
}

/// Every way in, each with the reason.
fn refuses(host: &Host, network: &str) -> Result<()> {
    let facts = [network, "encrypted", "this kernel"];
    let net = host.bare(&format!("x-{network}"))?;
    let codes = [code::REFUSED, code::FAILED];
    let attach = format!("attach --network {network} --name x --netns {net}");
    host.ctl(&attach)?.refused_naming(&codes, &facts)?;
    host.ctl(&format!("run --network {network} -- true"))?.refused_naming(&[code::RUN_FAILED], &facts)?;
    host.ctl(&format!("network connect {network} in-{}", host.name))?.refused_naming(&codes, &facts)?;
    let inside = host.sh(&format!("ip -n x-{network} -o link; ip netns del x-{network}"))?.ok()?;
    ensure!(!inside.contains("eth0"), "a link came to be: {inside}");
    Ok(())
}
