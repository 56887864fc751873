//! What people see, kept as transcripts in `tests/golden`. `UPDATE_GOLDEN=1 cargo test -p swarmctl` writes them anew;
//! the difference is then read before it is committed.

use crate::daemon::{Daemon, Outcome, finish, swarmctl, words};
use crate::data;
use std::path::PathBuf;

async fn transcript(daemon: &Daemon, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let Outcome { code, out, err } = daemon.run(line).await;
        text += &format!("$ swarmctl {line}\n");
        text.extend(out.split_inclusive('\n').map(without_new_keys));
        text.extend(err.lines().map(|line| format!("! {line}\n")));
        if code != 0 {
            text += &format!("[exit {code}]\n");
        }
        text.push('\n');
    }
    text
}

/// A key that was made just now is another one each time.
fn without_new_keys(line: &str) -> String {
    match line.find("SWMKEY-1-") {
        Some(at) if !line.contains(data::UNLOCK_KEY) => format!("{}SWMKEY-1-(new)\n", &line[..at]),
        _ => line.to_owned(),
    }
}

fn compare(name: &str, seen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, seen).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((nth, (kept, seen))) = kept.lines().zip(seen.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("{name}.txt:{}:\n  kept: {kept}\n  seen: {seen}", nth + 1);
    }
    assert_eq!(kept.len(), seen.len(), "{name}.txt ends differently");
}

#[tokio::test]
async fn swarm() {
    let mut text = transcript(
        &Daemon::manager(),
        &[
            "init",
            "init --advertise-addr 198.51.100.1",
            "init --data-path-port 80",
            "init --cert-expiry 1s",
            "init --dispatcher-heartbeat 0s",
            "init --default-addr-pool-mask-length 31",
            "join --token worker 192.0.2.1:99999",
            "rejoin :",
            "join --token worker 192.0.2.1:2377",
            "join --token manager 192.0.2.1:2377",
            "join --token slow 192.0.2.9:2377",
            "join-token worker",
            "join-token --rotate manager",
            "join-token -q worker",
            "init --autolock",
            "update",
            "update --autolock=maybe",
            "update --autolock=true",
            "update --autolock=false",
            "unlock-key",
            "unlock-key -q",
            "unlock-key --rotate",
            "unlock --key-file /dev/null",
            "update --cert-expiry 48h --cert-grace 7d --key-rotation 6h",
            "update --cert-expiry 59m",
            "update --dispatcher-heartbeat 0s",
            "ca",
            "ca --rotate",
            "ca --rotate -q --cert-expiry 1h",
            "ca --rotate -d",
            "ca --rotate --cert-expiry 1s",
            "ca --cert-expiry 1h",
            "ca --rotate --ca-cert /nonexistent/root.pem",
            "ca --rotate --ca-cert /nonexistent/root.pem --ca-key /nonexistent/root.key",
            "join-token create --role worker --ttl 1h --uses 2 --label rack=a",
            "join-token create --role manager -q",
            "join-token create --role worker --uses 0",
            "join-token create --role worker --ttl 0s",
            "join-token ls",
            "join-token ls --format json",
            "join-token revoke 6token0000000000000000001 nope",
            "join-token",
            "user ls",
            "user rm anna nope",
            "user create --role operator --output /nonexistent/anna anna",
            "-H tcp://192.0.2.1 node ls",
            "leave",
            "leave --force",
            "rejoin 192.0.2.2:2377",
            "rejoin --advertise-addr eth0 192.0.2.2:2377",
            "info",
            "info --format json",
            "info -f '{{.LocalNodeState}} {{.NodeID}} {{.Cluster.Survives}}'",
        ],
    )
    .await;
    text += "# on a worker\n";
    text += &transcript(&Daemon::worker(), &["info", "join-token worker"]).await;
    text += "# on a locked manager\n";
    text += &transcript(&Daemon::locked(), &["info", "unlock --key-file /dev/null"]).await;
    text += "# outside\n";
    text += &transcript(&Daemon::outside(), &["info", "node ls", "leave", "leave --force"]).await;
    compare("swarm", &text);
}

#[tokio::test]
async fn node() {
    let lines = [
        "node ls",
        "node ls -q",
        "node ls --format json",
        "node ls --format '{{.ID}}\\t{{.Hostname}}\\t{{.Self}}\\t{{.ManagerStatus}}'",
        "node ls --format 'table {{.Hostname}}\\t{{.ManagerStatus}}'",
        "node ls -f role=worker",
        "node ls -f label=rack=a -f name=n1 -q",
        "node ls -f rack=a",
        "node ls -f role=nope",
        "node ls --format '{{.Name}}'",
        "node inspect self",
        "node inspect n10 --format json",
        "node inspect n1 n10 -f '{{.Description.Hostname}} {{.Spec.Role}} {{.ManagerStatus.Leader}}'",
        "node inspect n1 --pretty",
        "node inspect n10 --format table",
        "node inspect -q n2 nope n10",
        "node promote n10 nope",
        "node promote n1",
        "node demote n1 n10",
        "node update --availability drain --label-add rack=b --label-rm old n1",
        "node update n1",
        "node ps n1",
        "node ps -q",
        "node rm n10 nope",
        "node rm self",
    ];
    let mut text = transcript(&Daemon::manager(), &lines).await;
    text += "# on a worker\n";
    text += &transcript(&Daemon::worker(), &["node ps", "node ps n1"]).await;
    compare("node", &text);
}

#[tokio::test]
async fn events() {
    let lines = [
        "events",
        "events --format json",
        "events --format '{{.Type}} {{.Action}} {{.Name}} {{.Attributes.network}}'",
        "events --format 'table {{.Type}}'",
        "events -f type=endpoint -f node=n10",
        "events -f type=service",
        "events -f label=a",
    ];
    let mut text = transcript(&Daemon::manager(), &lines).await;
    text += "# on a worker\n";
    text += &transcript(&Daemon::worker(), &["events"]).await;
    compare("events", &text);
}

#[tokio::test]
async fn network() {
    let lines = [
        "network ls",
        "network ls -q",
        "network ls --no-trunc",
        "network ls --format json",
        "network ls --format '{{.Name}}: {{.Driver}}/{{.Scope}} {{json .Labels}}'",
        "network ls -f driver=overlay",
        "network inspect my_net",
        "network inspect -v my_net --format json",
        "network inspect my_net --format table",
        "network inspect my_net -f '{{.Id}} {{.VNI}} {{.Labels.team}} {{.Labels.other}} {{json .IPAM.Config}}'",
        "network inspect bridge nope",
        "network inspect -f '{{.Name}}' 9bridge 9host00000000000000000000",
        "network inspect 9",
        "network create --subnet 10.0.1.0/24 my_net",
        "network create --subnet 10.0.1.7/24 my_net",
        "network rm my_net nope other",
        "network rm -f nope",
        "network prune -f",
        "network prune",
        "network connect my_net web",
        "network disconnect my_net web",
    ];
    let mut text = transcript(&Daemon::manager(), &lines).await;
    text += "# on a worker\n";
    text += &transcript(&Daemon::worker(), &["network ls", "network inspect bridge -q", "network create a"])
        .await;
    compare("network", &text);
}

#[tokio::test]
async fn sandbox() {
    let lines = [
        "ps",
        "ps -a",
        "ps -q",
        "ps --no-trunc",
        "ps --format json",
        "ps --format '{{.Name}} {{.Networks}} {{.Addresses}}'",
        "rm -f web nope",
        "detach blue",
        "attach --network my_net --name blue --netns /proc/self/ns/net",
        "attach --network my_net --name blue --netns /nowhere",
        "attach --network my_net --name blue --netns /proc/self/ns/uts",
    ];
    compare("sandbox", &transcript(&Daemon::manager(), &lines).await);
}

#[tokio::test]
async fn help() {
    let verbs = [
        "",
        "init",
        "join",
        "join-token",
        "join-token create",
        "user",
        "user create",
        "leave",
        "rejoin",
        "backup",
        "restore",
        "info",
        "events",
        "node",
        "node ls",
        "node inspect",
        "node ps",
        "network",
        "network create",
        "network ls",
        "network inspect",
        "network rm",
        "network prune",
        "network connect",
        "network disconnect",
        "run",
        "attach",
        "detach",
        "ps",
        "rm",
        "exec",
    ];
    let mut text = String::new();
    for verb in verbs {
        let mut command = swarmctl();
        command.args(words(verb)).arg("--help");
        let Outcome { code, out, err } = finish(command).await;
        assert_eq!((code, err.as_str()), (0, ""), "{verb} --help");
        text += &format!("$ swarmctl {verb} --help\n{out}\n");
    }
    compare("help", &text);
}
