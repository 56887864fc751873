//! The identity on disk: modes, and the old or the new set after any interruption.

use crate::world::Cluster;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use swarm_identity::{IdentityError, NodeIdentity, StoreError};
use swarm_model::Role;

struct State {
    dir: tempfile::TempDir,
}

impl State {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    fn certificates(&self) -> PathBuf {
        self.dir.path().join("certificates")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.certificates().join(name)
    }

    fn entries(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).expect("readable");
        names.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    fn load(&self) -> Result<Option<NodeIdentity>, StoreError> {
        NodeIdentity::load(&self.certificates())
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

#[test]
fn what_was_stored_is_loaded_with_the_right_modes() {
    let (state, cluster) = (State::new(), Cluster::new());
    assert!(state.load().expect("no error").is_none());
    let node = cluster.node(Role::Manager);
    node.store(&state.certificates()).expect("stored");
    let read = state.load().expect("loads").expect("there");
    assert_eq!(read.peer(), node.peer());
    assert_eq!(read.chain_pem(), node.chain_pem());
    assert_eq!(read.ca_digest(), cluster.ca.digest());
    assert_eq!(mode(&state.certificates()), 0o700);
    assert_eq!(mode(&state.file("swarm-root-ca.crt")), 0o644);
    assert_eq!(mode(&state.file("swarm-node.crt")), 0o644);
    assert_eq!(mode(&state.file("swarm-node.key")), 0o600);
    assert_eq!(state.entries(), ["certificates"]);
}

#[test]
fn a_new_identity_replaces_all_of_the_old() {
    let (state, cluster) = (State::new(), Cluster::new());
    cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
    let new = cluster.node(Role::Manager);
    new.store(&state.certificates()).expect("stored");
    assert_eq!(state.load().expect("loads").expect("there").peer(), new.peer());
    assert_eq!(state.entries(), ["certificates"], "the old key is gone");
}

/// Killed while the new set was being written, at every point: the old one is there, the rest is swept.
#[test]
fn an_interrupted_store_leaves_the_old_set() {
    let (state, cluster) = (State::new(), Cluster::new());
    let old = cluster.node(Role::Worker);
    old.store(&state.certificates()).expect("stored");
    let swap = state.dir.path().join(".certificates.swap");
    let files = ["swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key"];
    for written in 0..=files.len() {
        fs::create_dir(&swap).expect("a folder");
        for name in &files[..written] {
            fs::write(swap.join(name), "half a fi").expect("written");
        }
        assert_eq!(state.load().expect("loads").expect("there").peer(), old.peer());
        assert_eq!(state.entries(), ["certificates"]);
    }
}

/// Killed after the exchange, before the old set was removed.
#[test]
fn an_interrupted_clean_up_leaves_the_new_set() {
    let (state, cluster) = (State::new(), Cluster::new());
    let elsewhere = State::new();
    let (old, new) = (cluster.node(Role::Worker), cluster.node(Role::Worker));
    new.store(&state.certificates()).expect("stored");
    old.store(&elsewhere.certificates()).expect("stored");
    let swap = state.dir.path().join(".certificates.swap");
    fs::rename(elsewhere.certificates(), &swap).expect("moved");
    assert_eq!(state.load().expect("loads").expect("there").peer(), new.peer());
    assert_eq!(state.entries(), ["certificates"]);
    new.store(&state.certificates()).expect("stored again");
}

/// Set in the process that is to be killed: the folder in which it works.
const VICTIM: &str = "SWARM_IDENTITY_TEST_VICTIM";

/// Not a test by itself: stores two identities in turns until it is killed, when the next test asks for that.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM).map(PathBuf::from) else { return };
    let one = NodeIdentity::load(&dir.join("one")).expect("loads").expect("there");
    let other = NodeIdentity::load(&dir.join("other")).expect("loads").expect("there");
    for node in std::iter::repeat_n([&one, &other], 100_000).flatten() {
        node.store(&dir.join("certificates")).expect("stored");
        println!("stored");
    }
}

#[test]
fn a_killed_store_leaves_one_whole_set() {
    let (state, cluster) = (State::new(), Cluster::new());
    let nodes = [cluster.node(Role::Worker), cluster.node(Role::Worker)];
    nodes[0].store(&state.dir.path().join("one")).expect("stored");
    nodes[1].store(&state.dir.path().join("other")).expect("stored");
    for round in 0..24 {
        kill_in_the_middle(state.dir.path(), round * 40);
        let found = state.load().expect("never a mixture").expect("never nothing");
        assert!(nodes.iter().any(|node| node.chain_pem() == found.chain_pem()));
        assert_eq!(state.entries().len(), 3, "nothing is left over: {:?}", state.entries());
    }
}

/// The moment without a directory would be too short for a kill to find it; somebody who looks all the time does.
#[test]
fn there_is_no_moment_without_a_set() {
    let (state, cluster) = (State::new(), Cluster::new());
    let nodes = [cluster.node(Role::Worker), cluster.node(Role::Worker)];
    nodes[0].store(&state.certificates()).expect("stored");
    let stored = AtomicBool::new(false);
    let absent = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut absent = 0;
            while !stored.load(Ordering::Relaxed) {
                absent += u32::from(fs::symlink_metadata(state.certificates()).is_err());
            }
            absent
        });
        let outcome = nodes.iter().cycle().take(100).try_for_each(|node| node.store(&state.certificates()));
        // Before the outcome is judged: whoever looks would look for ever.
        stored.store(true, Ordering::Relaxed);
        outcome.expect("stored");
        looking.join().expect("looked")
    });
    assert_eq!(absent, 0);
}

/// Runs `victim` until it has stored twice, and kills it a moment later, `spins` deciding how much.
fn kill_in_the_middle(dir: &Path, spins: u32) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "disk::victim", "--nocapture"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    // Kept open until the end, or the victim would die of its next line instead.
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert_eq!(lines.by_ref().filter(|line| line.ends_with("stored")).take(2).count(), 2);
    (0..spins).for_each(|_| std::thread::yield_now());
    child.kill().expect("killed");
    child.wait().expect("reaped");
    drop(lines);
}

#[test]
fn a_torn_set_is_refused_with_the_file_that_is_wrong() {
    let cluster = Cluster::new();
    for name in ["swarm-root-ca.crt", "swarm-node.crt", "swarm-node.key"] {
        let state = State::new();
        cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
        fs::remove_file(state.file(name)).expect("removed");
        let error = state.load().expect_err("refused");
        assert!(matches!(&error, StoreError::Missing { path } if path.ends_with(name)), "{error}");
    }
}

#[test]
fn a_mixed_set_is_refused() {
    let (state, other, cluster) = (State::new(), State::new(), Cluster::new());
    cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
    cluster.node(Role::Worker).store(&other.certificates()).expect("stored");
    fs::copy(other.file("swarm-node.key"), state.file("swarm-node.key")).expect("copied");
    let error = state.load().expect_err("refused");
    assert!(matches!(error, StoreError::Invalid { source: IdentityError::KeyMismatch, .. }), "{error}");
}

#[test]
fn broken_files_are_refused_and_not_touched() {
    let cluster = Cluster::new();
    for (name, bytes) in [
        ("swarm-node.key", &b""[..]),
        ("swarm-node.crt", b"\xff\xfe"),
        ("swarm-root-ca.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let state = State::new();
        cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
        fs::write(state.file(name), bytes).expect("written");
        let error = state.load().expect_err("refused");
        assert!(matches!(error, StoreError::Invalid { .. }), "{name}: {error}");
        assert_eq!(fs::read(state.file(name)).expect("there"), bytes);
    }
    let state = State::new();
    cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
    fs::write(state.file("swarm-node.crt"), vec![b'a'; 300_000]).expect("written");
    assert!(matches!(state.load(), Err(StoreError::TooLarge { .. })));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let (state, cluster) = (State::new(), Cluster::new());
    cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
    let key = state.file("swarm-node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("changed");
    let error = state.load().expect_err("refused");
    assert!(matches!(error, StoreError::Exposed { mode: 0o640, .. }), "{error}");
}

#[test]
fn erased_means_nothing_left() {
    let (state, cluster) = (State::new(), Cluster::new());
    NodeIdentity::erase(&state.certificates()).expect("nothing to do");
    cluster.node(Role::Worker).store(&state.certificates()).expect("stored");
    NodeIdentity::erase(&state.certificates()).expect("erased");
    assert!(state.entries().is_empty());
    assert!(state.load().expect("no error").is_none());
}
