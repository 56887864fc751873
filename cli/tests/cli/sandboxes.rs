//! `run` and `exec` with real commands in real namespaces (root is needed; the network namespace is the test's own).

use crate::daemon::Daemon;
use std::process::Stdio;
use std::time::{Duration, Instant};
use swarm_proto::v1;
use tokio::io::{AsyncBufReadExt, BufReader};
use tonic::Code;

/// A stage set whose sandbox can be entered.
fn daemon() -> Daemon {
    let daemon = Daemon::manager();
    let file = |name: &str, text: &str| {
        let path = daemon.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let resolv_conf = file("resolv.conf", "nameserver 127.0.0.11\n");
    let hosts = file("hosts", "127.0.0.1 localhost\n10.0.1.2 box\n");
    daemon.set_sandbox(v1::Sandbox {
        id: "8box000000000000000000002".into(),
        name: "box".into(),
        kind: v1::SandboxKind::Run.into(),
        state: v1::SandboxState::Running.into(),
        netns: format!("/proc/{}/ns/net", std::process::id()),
        hostname: "box".into(),
        resolv_conf,
        hosts,
        daemon_pid: std::process::id().cast_signed(),
        ..Default::default()
    });
    daemon
}

#[tokio::test]
async fn the_command_sees_its_own_files_name_and_environment() {
    let daemon = daemon();
    let script = "cat /etc/resolv.conf /etc/hosts; hostname; echo $A; echo said >&2; exit 7";
    let outcome = daemon.run(&format!("run --network my_net -e A=b=c -- sh -c '{script}'")).await;
    assert_eq!(outcome.code, 7, "{outcome:?}");
    let expected = "nameserver 127.0.0.11\n127.0.0.1 localhost\n10.0.1.2 box\nbox\nb=c\n";
    assert_eq!((outcome.out.as_str(), outcome.err.as_str()), (expected, "said\n"));
    let asked = daemon.asked();
    assert!(asked[0].contains(r#"network: "my_net""#) && asked[1].starts_with("RunStarted"), "{asked:?}");
    assert!(
        !std::fs::read_to_string("/etc/hosts").unwrap().contains("10.0.1.2 box"),
        "the host's file changed"
    );
}

#[tokio::test]
async fn exit_codes_are_passed_on() {
    let daemon = daemon();
    for (line, code) in [
        ("run -- true", 0),
        ("run -- false", 1),
        ("run -- sh -c 'exit 255'", 255),
        ("run -- sh -c 'kill -KILL $$'", 137),
        ("run -- no-such-command-anywhere", 127),
        ("run -- /no/such/command", 127),
        ("run -- /etc/passwd", 126),
    ] {
        let outcome = daemon.run(line).await;
        assert_eq!(outcome.code, code, "{line}: {outcome:?}");
        assert_eq!(outcome.err.is_empty(), !(125..=127).contains(&code), "{line}: {outcome:?}");
    }
}

#[tokio::test]
async fn when_run_itself_fails_the_code_is_125() {
    let daemon = daemon();
    daemon.refuse(Code::NotFound, "network my_net not found");
    let outcome = daemon.run("run --network my_net -- true").await;
    assert_eq!((outcome.code, outcome.err.as_str()), (125, "error: network my_net not found\n"));
}

#[tokio::test]
async fn a_signal_reaches_the_command() {
    let daemon = daemon();
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("QUIT", 3)] {
        let script =
            format!("trap \"exit {}\" {signal}; echo ready; while :; do sleep 0.05; done", 40 + number);
        let mut child =
            daemon.command(&format!("run -- sh -c '{script}'")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
        assert_eq!(line, "ready\n");
        let pid = nix::unistd::Pid::from_raw(child.id().unwrap().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(number).unwrap()).unwrap();
        let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(40 + number), "{signal}");
    }
}

#[tokio::test]
async fn detached_the_command_goes_on_alone() {
    let daemon = daemon();
    let done = daemon.dir.path().join("done");
    let script = format!("sleep 0.2; hostname > {}", done.display());
    let outcome = daemon.run(&format!("run -d -- sh -c '{script}'")).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "8box000000000000000000002\n"), "{outcome:?}");
    let began = Instant::now();
    while std::fs::read_to_string(&done).unwrap_or_default() != "box\n" {
        assert!(began.elapsed() < Duration::from_secs(20), "the command did not finish");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn exec_enters_where_the_command_runs() {
    let daemon = daemon();
    let mut first = daemon
        .command("run -- sh -c 'hostname elsewhere; echo $$; sleep 30'")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
    let pid: i32 = line.trim().parse().unwrap();
    daemon.set_sandbox(v1::Sandbox { pid, ..Default::default() });
    let outcome =
        daemon.run("exec -e A=1 box -- sh -c 'hostname; tail -n1 /etc/hosts; echo $A; exit 3'").await;
    assert_eq!((outcome.code, outcome.out.as_str()), (3, "elsewhere\n10.0.1.2 box\n1\n"), "{outcome:?}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(first.wait().await.unwrap().code(), Some(137));
}

#[tokio::test]
async fn exec_says_what_it_did_not_find() {
    let daemon = daemon();
    let outcome = daemon.run("exec nope -- true").await;
    assert_eq!((outcome.code, outcome.err.as_str()), (3, "error: sandbox nope not found\n"));
    let outcome = daemon.run("exec box -- true").await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("does not run"), "{outcome:?}");
}
