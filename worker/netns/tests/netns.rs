//! Namespaces against the real kernel. Needs root, like the crate itself.

use std::ffi::OsString;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use swarm_netns::{
    BindMount, ExecSpec, NetNs, NsError, Process, SpawnError, SpawnSpec, exec_in, remove, spawn_in,
};

/// A namespace whose name goes away with the test, however it ends.
struct Named {
    dir: tempfile::TempDir,
    ns: NetNs,
}

impl Named {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ns = NetNs::create(&dir.path().join("ns")).unwrap();
        Self { dir, ns }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("ns")
    }

    fn spec(&self, command: &[&str]) -> SpawnSpec {
        SpawnSpec {
            viewpoint: std::process::id().cast_signed(),
            netns: self.path(),
            hostname: None,
            binds: Vec::new(),
            command: command.iter().map(OsString::from).collect(),
            env: Vec::new(),
            detached: false,
        }
    }

    /// Runs a shell line inside, its output going to a file; returns exit code and output.
    fn shell(&self, line: &str, change: impl FnOnce(&mut SpawnSpec)) -> (i32, String) {
        let out = self.dir.path().join("out");
        let line = format!("exec >{}; {line}", out.display());
        let mut spec = self.spec(&["sh", "-c", &line]);
        change(&mut spec);
        let mut child = spawn_in(&spec).unwrap().child.unwrap();
        let status = child.wait().unwrap();
        (status.code().unwrap(), std::fs::read_to_string(out).unwrap())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = remove(&self.path());
    }
}

#[test]
fn a_named_namespace_outlives_its_handle_and_ends_with_its_name() {
    let named = Named::new();
    let again = NetNs::open(&named.path()).unwrap();
    assert_eq!(again.id(), named.ns.id());
    assert_ne!(again.id(), NetNs::current().unwrap().id());
    remove(&named.path()).unwrap();
    remove(&named.path()).unwrap();
    assert!(matches!(NetNs::open(&named.path()), Err(NsError::NoSuchNetNs { .. })));
}

#[test]
fn two_names_of_one_namespace_are_the_same() {
    let named = Named::new();
    let second = named.dir.path().join("second");
    named.ns.bind_at(&second).unwrap();
    assert_eq!(NetNs::open(&second).unwrap().id(), named.ns.id());
    remove(&second).unwrap();
}

#[test]
fn what_is_no_network_namespace_is_refused() {
    for path in ["/proc/self/ns/uts", "/etc/passwd", "/proc"] {
        assert!(matches!(NetNs::open(Path::new(path)), Err(NsError::NotANetNs { .. })), "{path}");
    }
    assert!(matches!(NetNs::of_pid(0), Err(NsError::NoSuchProcess { pid: 0 })));
}

#[test]
fn sockets_stay_in_the_namespace_they_were_opened_in() {
    let named = Named::new();
    let bound = named.ns.run(|| UdpSocket::bind("127.0.0.11:53")).unwrap().unwrap();
    // The same address and port is free in a second namespace, and a sender here does not reach the first.
    let other = Named::new();
    other.ns.run(|| UdpSocket::bind("127.0.0.11:53")).unwrap().unwrap();
    let sender = named.ns.run(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
    sender.send_to(b"hello", "127.0.0.11:53").unwrap();
    bound.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(bound.recv(&mut buffer).unwrap(), 5);
}

#[tokio::test]
async fn the_asynchronous_way_registers_sockets_with_the_runtime() {
    let named = Named::new();
    let open = || tokio::net::TcpListener::from_std(nonblocking(TcpListener::bind("127.0.0.11:53").unwrap()));
    let listener = named.ns.run_async(open).await.unwrap().unwrap();
    assert_eq!(listener.local_addr().unwrap().port(), 53);
}

fn nonblocking(listener: TcpListener) -> TcpListener {
    listener.set_nonblocking(true).unwrap();
    listener
}

#[tokio::test]
async fn the_end_of_a_process_is_noticed_and_its_number_not_mistaken() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let held = Process::open(child.id().cast_signed()).unwrap();
    assert!(!held.has_exited());
    assert!(Process::reopen(held.id()).is_ok());
    let mut other = held.id();
    other.start_ticks += 1;
    assert!(matches!(Process::reopen(other), Err(NsError::OtherProcess { .. })));
    held.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    tokio::time::timeout(Duration::from_secs(5), held.exited()).await.unwrap().unwrap();
    // Dead but not reaped yet counts as gone.
    assert!(matches!(Process::open(held.id().pid), Err(NsError::NoSuchProcess { .. })));
    child.wait().unwrap();
    held.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn all_that_live_in_a_namespace_are_found_and_nobody_else() {
    let (named, other) = (Named::new(), Named::new());
    let mut outside = spawn_in(&other.spec(&["sleep", "60"])).unwrap().child.unwrap();
    // The command ends; what it left in the background stays.
    let (code, out) = named.shell("sleep 60 >&- & echo $!", |_| {});
    assert_eq!(code, 0);
    let left: i32 = out.trim().parse().unwrap();
    let found = named.ns.inhabitants().unwrap();
    assert_eq!(found.iter().map(|process| process.id().pid).collect::<Vec<_>>(), [left]);
    for process in &found {
        process.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
        tokio::time::timeout(Duration::from_secs(5), process.exited()).await.unwrap().unwrap();
    }
    assert!(named.ns.inhabitants().unwrap().is_empty());
    assert_eq!(other.ns.inhabitants().unwrap().len(), 1);
    outside.kill().unwrap();
    outside.wait().unwrap();
}

#[test]
fn a_command_sees_its_own_network_hostname_and_files() {
    let named = Named::new();
    let hosts = named.dir.path().join("hosts");
    std::fs::write(&hosts, "10.0.0.9 nine\n").unwrap();
    let before = std::fs::read("/etc/hosts").unwrap();
    let (code, out) =
        named.shell("cat /etc/hosts; uname -n; echo $GREETING; readlink /proc/self/ns/net; exit 7", |spec| {
            spec.hostname = Some("box".into());
            spec.binds = vec![BindMount { source: hosts.clone(), target: "/etc/hosts".into() }];
            spec.env = vec![("GREETING".into(), "hello".into())];
        });
    assert_eq!(code, 7);
    assert_eq!(out, format!("10.0.0.9 nine\nbox\nhello\nnet:[{}]\n", named.ns.id().ino));
    assert_eq!(std::fs::read("/etc/hosts").unwrap(), before, "the host's own file is not touched");
}

#[test]
fn a_command_that_cannot_run_says_why() {
    let named = Named::new();
    let code = |spec: &SpawnSpec| spawn_in(spec).unwrap_err().exit_code();
    assert_eq!(code(&named.spec(&["no-such-command-anywhere"])), 127);
    assert_eq!(code(&named.spec(&["/etc/passwd"])), 126);
    assert_eq!(code(&named.spec(&["/"])), 126);
    assert!(matches!(spawn_in(&named.spec(&[])), Err(SpawnError::NoCommand)));
    let mut detached = named.spec(&["no-such-command-anywhere"]);
    detached.detached = true;
    assert_eq!(code(&detached), 127);
    let mut bind = named.spec(&["true"]);
    bind.binds = vec![BindMount { source: "/nowhere".into(), target: "/etc/hosts".into() }];
    let error = spawn_in(&bind).unwrap_err();
    assert_eq!(error.exit_code(), 125);
    assert!(error.to_string().contains("/etc/hosts"), "{error}");
}

#[tokio::test]
async fn a_detached_command_is_nobodys_child_and_can_be_entered() {
    let named = Named::new();
    let mut spec = named.spec(&["sleep", "60"]);
    spec.detached = true;
    spec.hostname = Some("far".into());
    let spawned = spawn_in(&spec).unwrap();
    assert!(spawned.child.is_none());
    let held = Process::open(spawned.pid).unwrap();
    assert_eq!(NetNs::of_pid(spawned.pid).unwrap().id(), named.ns.id());
    let exec = ExecSpec {
        pid: spawned.pid,
        start_ticks: Some(held.id().start_ticks),
        command: ["sh", "-c", "test $(uname -n) = far"].map(OsString::from).to_vec(),
        env: Vec::new(),
    };
    assert!(exec_in(&exec).unwrap().child.unwrap().wait().unwrap().success());
    held.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    tokio::time::timeout(Duration::from_secs(5), held.exited()).await.unwrap().unwrap();
    assert_eq!(exec_in(&exec).unwrap_err().exit_code(), 125);
}

#[test]
fn a_command_sees_the_file_system_of_the_process_it_is_started_for() {
    let named = Named::new();
    // A daemon in a mount namespace of its own: the namespace's name and a folder are only there.
    let place = named.dir.path().join("only-there");
    std::fs::create_dir(&place).unwrap();
    let script = format!(
        "mount -t tmpfs none {0} && touch {0}/ns && mount --bind {1} {0}/ns && echo there >{0}/hosts && echo ready && exec sleep 60",
        place.display(),
        named.path().display()
    );
    let mut daemon = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(daemon.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    let mut spec = named.spec(&["sh", "-c", "test $(cat /etc/hosts) = there"]);
    spec.viewpoint = daemon.id().cast_signed();
    spec.netns = place.join("ns");
    spec.binds = vec![BindMount { source: place.join("hosts"), target: "/etc/hosts".into() }];
    let ended = spawn_in(&spec).map(|spawned| spawned.child.unwrap().wait().unwrap());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(ended.unwrap().success());
}
