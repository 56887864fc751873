//! Bad luck and bad input: exit codes and sentences.

use crate::daemon::{Daemon, Outcome, finish, swarmctl};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

fn one_sentence(outcome: &Outcome) -> &str {
    assert_eq!(outcome.out, "", "a failure prints no result");
    let text = outcome.err.strip_prefix("error: ").expect("errors begin so").trim_end();
    for framing in ["status", "Status", "grpc", "code:", "tonic", "transport", "h2"] {
        assert!(!text.contains(framing), "{framing} shines through: {text}");
    }
    text
}

#[tokio::test]
async fn what_the_daemon_says_is_said_and_decides_the_exit_code() {
    let daemon = Daemon::manager();
    for (code, expected) in [
        (Code::InvalidArgument, 1),
        (Code::AlreadyExists, 1),
        (Code::FailedPrecondition, 1),
        (Code::ResourceExhausted, 1),
        (Code::Aborted, 1),
        (Code::Internal, 1),
        (Code::NotFound, 3),
        (Code::Unavailable, 4),
        (Code::DeadlineExceeded, 4),
        (Code::PermissionDenied, 5),
        (Code::Unauthenticated, 5),
    ] {
        daemon.refuse(code, "no: try something else");
        for line in ["network create a", "node ls", "ps", "leave", "network rm a", "exec a -- true"] {
            let outcome = daemon.run(line).await;
            assert_eq!(outcome.code, expected, "{line} {code:?}");
            assert_eq!(one_sentence(&outcome), "no: try something else");
        }
        let outcome = daemon.run("run -- true").await;
        assert_eq!(outcome.code, 125, "{code:?}");
        assert_eq!(one_sentence(&outcome), "no: try something else");
    }
}

/// What the daemon alone can judge, and was only handed on.
#[tokio::test]
async fn what_the_daemon_finds_wrong_with_an_address_is_a_slip_of_the_one_who_typed() {
    let daemon = Daemon::manager();
    daemon.refuse(Code::InvalidArgument, "--advertise-addr \"foo\" is no address");
    for line in
        ["init --advertise-addr foo", "join --token x 192.0.2.1", "rejoin --advertise-addr foo 192.0.2.1"]
    {
        let outcome = daemon.run(line).await;
        assert_eq!(outcome.code, 2, "{line}: {outcome:?}");
        assert!(one_sentence(&outcome).contains("no address"));
    }
}

/// A shell that has both set for other managers may still ask the daemon of its own host.
#[tokio::test]
async fn an_identity_in_the_environment_is_not_used_for_the_local_daemon() {
    let daemon = Daemon::manager();
    let mut command = daemon.command("node ls -q");
    command.env("SWARM_IDENTITY", "/nowhere");
    assert_eq!(finish(command).await.code, 0);
}

#[tokio::test]
async fn no_daemon_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for line in [vec!["info"], vec!["network", "ls"]] {
        let mut command = swarmctl();
        command.arg("-H").arg(format!("unix://{}/no.sock", dir.path().display())).args(line);
        let outcome = finish(command).await;
        assert_eq!(outcome.code, 4);
        let said = one_sentence(&outcome);
        assert!(said.contains("no.sock") && said.contains("is the daemon running?"), "{said}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The other side's preface and settings; ours; then its request, and gone.
            let mut bytes = [0u8; 4096];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await;
            let _ = stream.read(&mut bytes).await;
        }
    });
    let mut command = swarmctl();
    command.arg("-H").arg(format!("unix://{}", path.display())).arg("leave");
    let outcome = finish(command).await;
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(one_sentence(&outcome).contains("unknown"), "{outcome:?}");
}

#[tokio::test]
async fn somebody_else_on_the_socket_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut command = swarmctl();
    command.arg("-H").arg(format!("unix://{}", path.display())).arg("info");
    let outcome = finish(command).await;
    assert_eq!(outcome.code, 4, "{outcome:?}");
    one_sentence(&outcome);
}

#[tokio::test]
async fn mistakes_are_found_before_anything_is_asked() {
    let daemon = Daemon::manager();
    for (line, code, said) in [
        ("node ls --format '{{.Nope}}'", 2, ".Nope"),
        ("node ls --format '{{range .}}'", 2, "range"),
        ("node ls -f colour=red", 2, "colour"),
        ("network ls -f membership=accepted", 2, "membership"),
        ("network create bad_", 2, "not a valid name"),
        ("network create --subnet 10.0.0.0/24 --gateway 10.1.0.1 n", 1, "not in subnet"),
        ("network create --opt vni=x n", 1, "vni"),
        ("init --data-path-port 80", 2, "not in valid range"),
        ("init --data-path-port 50000", 2, "not in valid range"),
        ("init --data-path-port 0", 2, "not in valid range"),
        ("init --default-addr-pool 10.0.0.1/8", 2, "did you mean 10.0.0.0/8"),
        ("init --default-addr-pool-mask-length 31", 2, "/31"),
        ("init --cert-expiry 1m", 2, "expiry"),
        ("init --dispatcher-heartbeat 1ms", 2, "heartbeat"),
        ("join-token create --role worker --ttl 5s", 2, "10s to 10 years"),
        ("user create --role admin --expiry 1s anna", 2, "1m to 10 years"),
        ("--identity /nowhere node ls", 2, "--identity is for a manager at tcp://"),
        ("node ls --identity /nowhere", 2, "--identity is for a manager at tcp://"),
        ("-H tcp://192.0.2.1 join --token-file /nowhere 192.0.2.1", 2, "on that host"),
        ("-H tcp://192.0.2.1 --identity /nowhere restore /nowhere", 2, "on that host"),
        ("-H tcp://192.0.2.1 attach --network n --name a --netns /nowhere", 2, "on that host"),
        ("-H tcp://192.0.2.1 run -- true", 2, "on that host"),
        ("-H tcp://192.0.2.1 network connect n web", 2, "on that host"),
        ("join --token-file /nowhere 192.0.2.1:2377", 1, "/nowhere"),
        ("attach --network n --name a --netns nowhere", 3, "/run/netns/nowhere"),
        ("attach --network n --name a --pid 2147483647", 3, "2147483647"),
        ("network prune", 1, "nothing was removed"),
    ] {
        let outcome = daemon.run(line).await;
        assert_eq!(outcome.code, code, "{line}: {outcome:?}");
        assert!(outcome.err.contains(said), "{line}: {outcome:?}");
    }
    assert_eq!(daemon.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_typed_arrives() {
    let daemon = Daemon::manager();
    let pid = std::process::id();
    let attach = format!("attach --network n --name blue --pid {pid} --mac 02:42:0a:00:00:05 --ifname eth7");
    for line in [
        "init --advertise-addr eth0 --data-path-port 7777 --availability drain --label a=b --cert-expiry 2h",
        "network create --attachable --subnet 10.9.0.0/24 --opt encrypted --label x n",
        "network connect --ip 10.9.0.7 --alias z n web",
        "network disconnect -f n web",
        &attach,
        "leave --force",
        "rejoin --advertise-addr eth3 manager.example:2377",
    ] {
        let outcome = daemon.run(line).await;
        assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
    }
    let asked = daemon.asked().join("\n");
    for part in [
        r#"advertise_addr: "eth0""#,
        "data_path_port: 7777",
        "availability: Drain",
        "cert_expiry_ms: 7200000",
        r#"subnet: "10.9.0.0/24""#,
        "encrypted: true",
        r#"advertise_addr: "eth3", remote_addrs: ["manager.example:2377"]"#,
        r#"ip: "10.9.0.7""#,
        r#"target: "web", network: "n", force: true"#,
        r#"mac: "02:42:0a:00:00:05", ifname: "eth7""#,
        &format!("pid: {pid}"),
        r#"netns_fd: "/proc/"#,
        "LeaveRequest { force: true }",
    ] {
        assert!(asked.contains(part), "{part} is missing in\n{asked}");
    }
}

#[tokio::test]
async fn a_token_file_is_read_and_trimmed() {
    let daemon = Daemon::manager();
    let path = daemon.dir.path().join("token");
    std::fs::write(&path, "manager\n").unwrap();
    let outcome = daemon.run(&format!("join --token-file {} 192.0.2.1:2377", path.display())).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "This node joined a swarm as a manager.\n"));
}

#[tokio::test]
async fn info_answers_whatever_the_cluster_does() {
    let daemon = Daemon::worker();
    // The node believes that it is a manager, the manager's side says no.
    daemon.set_info(|info| info.role = swarm_proto::v1::Role::Manager.into());
    let outcome = daemon.run("info").await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("not known: this node is not a manager"), "{outcome:?}");
    daemon.set_info(|info| info.state = 99);
    assert_eq!(daemon.run("info --format '{{.LocalNodeState}}'").await.out, "unknown\n");
}

#[tokio::test]
async fn the_version_is_told_without_a_daemon() {
    let mut command = swarmctl();
    command.arg("--version");
    let outcome = finish(command).await;
    assert_eq!((outcome.code, outcome.out), (0, format!("swarmctl {}\n", env!("CARGO_PKG_VERSION"))));
}

/// Generous, for a debug build on a busy machine: what is tested is that nothing waits.
#[tokio::test]
async fn a_call_waits_for_nothing() {
    let daemon = Daemon::manager();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(daemon.run("node ls").await.code, 0);
        best = best.min(began.elapsed());
    }
    assert!(best < Duration::from_millis(250), "the fastest of five calls took {best:?}");
}
