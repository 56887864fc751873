//! Names in sandboxes: S106–S108 and the contract's paragraph on 127.0.0.11.

use anyhow::ensure;
use swarm_tests::dns::{Says, Upstream};
use swarm_tests::world::{OUTSIDE, OUTSIDE_TOO};
use swarm_tests::{Setup, scenario};

#[test]
fn s106_known_names_are_answered_and_never_forwarded() {
    scenario(Setup::hosts(2), |w| {
        let upstream = Upstream::start(&w.wire.net(), OUTSIDE, |_| Says::Address([192, 0, 2, 1].into()))?;
        w.form(&["worker"])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let front = w.host(1).run("front", "--network my_net --alias web --alias www")?;
        let asker = w.host(2).run("asker", "--network my_net")?;
        let expected = [front.ip()?.to_string()];
        for words in
            ["FrOnT", "front", "WEB", "www", "front.my_net", "Front.MY_NET", "web.my_net", "+tcp front"]
        {
            let found = asker.dig(&format!("{words} A"))?;
            ensure!(found.status == "NOERROR" && found.answers == expected, "{words}: {}", found.text);
            ensure!(found.ttls == [5], "the time to live is 5 s: {}", found.text);
            ensure!(found.flags.contains(&"ra".to_owned()), "{}", found.text);
        }
        for words in ["front AAAA", "front MX", "web TXT", "+tcp front AAAA", "front.my_net AAAA"] {
            let found = asker.dig(words)?;
            ensure!(found.status == "NOERROR" && found.answers.is_empty(), "{words}: {}", found.text);
        }
        let back = asker.dig(&format!("-x {}", front.ip()?))?;
        ensure!(back.answers == ["front.my_net."] || back.answers == ["front."], "{}", back.text);
        ensure!(upstream.asked().is_empty(), "forwarded: {:?}", upstream.asked());
        ensure!(asker.resolves("www.example.com")? == ["192.0.2.1"]);
        ensure!(upstream.asked() == ["www.example.com"], "{:?}", upstream.asked());
        Ok(())
    });
}

#[test]
fn s107_a_large_answer_is_truncated_over_udp_and_whole_over_tcp() {
    scenario(Setup::hosts(1), |w| {
        w.form(&[])?;
        let h1 = w.host(1);
        h1.ctl("network create --attachable my_net")?.ok()?;
        let asker = h1.run("asker", "--network my_net")?;
        let mut all: Vec<String> = Vec::new();
        for i in 0..40 {
            all.push(h1.attach(&format!("m{i}"), "--network my_net --alias many")?.ip()?.to_string());
        }
        all.sort();
        let short = asker.dig("+noedns +ignore many A")?;
        ensure!(short.flags.contains(&"tc".to_owned()), "{}", short.text);
        ensure!(short.answers.len() < all.len(), "more than fits into 512 bytes: {}", short.text);
        for words in ["+noedns many A", "+tcp many A", "+bufsize=4096 +ignore many A"] {
            let whole = asker.dig(words)?;
            ensure!(whole.answers == all, "{words}: {}", whole.text);
        }
        Ok(())
    });
}

#[test]
fn s108_the_second_resolver_is_asked_and_nxdomain_is_passed_on() {
    scenario(Setup::hosts(1), |w| {
        fn sick(_: &str) -> Says {
            Says::ServFail
        }
        fn sound(name: &str) -> Says {
            if name.starts_with("no.") { Says::NxDomain } else { Says::Address([192, 0, 2, 7].into()) }
        }
        let first = Upstream::start(&w.wire.net(), OUTSIDE, sick)?;
        let second = Upstream::start(&w.wire.net(), OUTSIDE_TOO, sound)?;
        w.host(1).set_resolvers(&[OUTSIDE, OUTSIDE_TOO])?;
        w.form(&[])?;
        w.host(1).ctl("network create --attachable my_net")?.ok()?;
        let asker = w.host(1).run("asker", "--network my_net")?;
        let found = asker.dig("yes.example.com A")?;
        ensure!(found.answers == ["192.0.2.7"], "{}", found.text);
        ensure!(first.asked().contains(&"yes.example.com".to_owned()), "the first was not asked");
        ensure!(second.asked().contains(&"yes.example.com".to_owned()), "the second was not asked");
        let none = asker.dig("no.example.com A")?;
        ensure!(none.status == "NXDOMAIN" && none.answers.is_empty(), "{}", none.text);
        drop(second);
        let failed = asker.dig("other.example.com A")?;
        ensure!(failed.status == "SERVFAIL", "{}", failed.text);
        Ok(())
    });
}
