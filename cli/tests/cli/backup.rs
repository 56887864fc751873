//! `backup` and `restore`: files, passphrases, and what is left when something goes wrong.

use crate::daemon::{Daemon, Outcome};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

struct Scene {
    daemon: Daemon,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { daemon: Daemon::manager(), dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `swarmctl VERB … --passphrase-file P FILE`, with this passphrase in P.
    async fn run(&self, verb: &str, passphrase: &str, file: &Path) -> Outcome {
        let secret = self.daemon.dir.path().join("passphrase");
        fs::write(&secret, format!("{passphrase}\n")).unwrap();
        let line = format!("{verb} --passphrase-file {} {}", secret.display(), file.display());
        self.daemon.run(&line).await
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn a_backup_is_written_whole_and_for_its_owner_alone() {
    let scene = Scene::new();
    let file = scene.path("b");
    let outcome = scene.run("backup", "pass phrase ", &file).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let said = "Backup of swarm 3cluster00000000000000001 at revision 77: 3 nodes, 2 networks and 1 endpoint, 10 bytes, in ";
    assert_eq!(outcome.out, format!("{said}{}.\n", file.display()));
    assert_eq!(fs::read(&file).unwrap(), b"sealed\0two");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(scene.names(), ["b"]);
    assert!(scene.daemon.asked()[0].contains(r#""pass phrase ""#));
}

#[tokio::test]
async fn standard_output_gets_the_backup_and_nothing_else() {
    let outcome = Scene::new().run("backup", "right one", Path::new("-")).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "sealed\0two"));
    assert!(outcome.err.contains("revision 77"), "{outcome:?}");
}

#[tokio::test]
async fn an_existing_file_stays_without_force() {
    let scene = Scene::new();
    let file = scene.path("b");
    fs::write(&file, "old").unwrap();
    let refused = scene.run("backup", "right one", &file).await;
    assert!(refused.code == 1 && refused.err.contains("--force"), "{refused:?}");
    assert_eq!(scene.daemon.asked(), Vec::<String>::new(), "found before anything is asked");
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(scene.run("backup --force", "right one", &file).await.code, 0);
    assert_eq!(fs::read(&file).unwrap(), b"sealed\0two");
}

#[tokio::test]
async fn of_a_backup_that_breaks_off_nothing_is_left() {
    let scene = Scene::new();
    for (passphrase, code, said) in [("breaks", 4, "this manager stops"), ("ends early", 1, "6 of 10 bytes")]
    {
        let outcome = scene.run("backup", passphrase, &scene.path("b")).await;
        assert!(outcome.code == code && outcome.err.contains(said), "{outcome:?}");
        assert_eq!(scene.names(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn without_a_terminal_the_passphrase_needs_a_file() {
    let scene = Scene::new();
    fs::write(scene.path("b"), "x").unwrap();
    for line in ["backup", "restore"] {
        let file = scene.path(if line == "backup" { "new" } else { "b" });
        // A session of its own has no terminal to ask at.
        let mut command = tokio::process::Command::new("setsid");
        command.args(["--wait", env!("CARGO_BIN_EXE_swarmctl"), "-H"]);
        command.arg(format!("unix://{}", scene.daemon.socket().display())).arg(line).arg(file);
        let outcome = crate::daemon::finish(command).await;
        assert!(outcome.code == 2 && outcome.err.contains("--passphrase-file"), "{outcome:?}");
    }
    assert_eq!(scene.names(), ["b"]);
}

#[tokio::test]
async fn a_restore_sends_the_file_and_says_what_came_of_it() {
    let scene = Scene::new();
    let file = scene.path("b");
    fs::write(&file, "sealed").unwrap();
    let outcome = scene.run("restore --advertise-addr eth0 --label zone=a", "right one", &file).await;
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    for part in
        ["3 nodes, 2 networks and 1 endpoint", "rejoin 192.0.2.1:2377", "--token SWMTKN-1-digest-secret"]
    {
        assert!(outcome.out.contains(part), "{outcome:?}");
    }
    let asked = scene.daemon.asked().join("\n");
    assert!(asked.contains(r#"advertise_addr: "eth0""#) && asked.contains(r#""zone": "a""#), "{asked}");
    fs::write(&file, vec![7; 3 << 20]).unwrap();
    let outcome = scene.run("restore", "right one", &file).await;
    assert!(outcome.code == 0 && outcome.err.contains("n2 (192.0.2.2:2377)"), "{outcome:?}");
    assert!(outcome.err.contains("leave --force"), "{outcome:?}");
}

#[tokio::test]
async fn a_restore_needs_its_file_and_one_standard_input_is_not_two() {
    let scene = Scene::new();
    let outcome = scene.run("restore", "right one", &scene.path("nope")).await;
    assert!(outcome.code == 3 && outcome.err.contains("nope not found"), "{outcome:?}");
    let outcome = scene.daemon.run("restore --passphrase-file - -").await;
    assert!(outcome.code == 2 && outcome.err.contains("not both"), "{outcome:?}");
    assert_eq!(scene.daemon.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn of_a_backup_that_is_broken_off_nothing_is_left() {
    let scene = Scene::new();
    let secret = scene.daemon.dir.path().join("passphrase");
    fs::write(&secret, "hangs").unwrap();
    let line = format!("backup --passphrase-file {} {}", secret.display(), scene.path("b").display());
    let mut child = scene.daemon.command(&line).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while scene.names().is_empty() || scene.daemon.asked().is_empty() {
        assert!(std::time::Instant::now() < deadline, "it does not begin");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert_eq!(scene.names(), Vec::<String>::new());
}
