//! A host for one test: namespaces, folders, workers on it, and ways to look.

use super::manager::Manager;
use crate::two_slots::TwoSlots;
use crate::{Dial, Worker, WorkerConfig, WorkerHandle};
use futures::future::BoxFuture;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use swarm_model::{Id, NodeId};
use swarm_netns::NetNs;
use swarm_proto::v1;
use tonic::transport::{Channel, Endpoint};

/// Longest time any one test takes.
const DEADLINE: Duration = Duration::from_secs(60);
const ADDRESS: &str = "192.0.2.1";

/// Runs a test on a host of its own. Threads made from here on share its namespaces; when they end, so does all that
/// was made in them. Needs root.
pub(super) fn on_a_host<F>(test: impl FnOnce(Host) -> F + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let alone = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("this test needs root");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        swarm_netns::set_loopback_up().unwrap();
        for line in [
            "link add u0 type veth peer name u1",
            "link set u1 up",
            &format!("addr add {ADDRESS}/24 dev u0"),
            "link set u0 up",
        ] {
            shell(&format!("ip {line}"));
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let done = runtime.block_on(async { tokio::time::timeout(DEADLINE, test(Host { dir: path })).await });
        runtime.shutdown_timeout(Duration::from_secs(5));
        done.expect("the test took too long");
    });
    let ended = alone.join();
    drop(dir);
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a shell line where the caller is; returns what it printed.
pub(super) fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until `holds`, for at most ten seconds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), poll).await.is_ok(), "not in time: {what}");
}

pub(super) struct Host {
    dir: PathBuf,
}

/// Plain connections; managers of straw have no certificates.
pub(super) struct Plain;

impl Dial for Plain {
    fn manager<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, Result<Channel, String>> {
        Box::pin(async move {
            let endpoint = Endpoint::from_shared(format!("http://{addr}")).map_err(|e| e.to_string())?;
            endpoint.connect_timeout(Duration::from_secs(1)).connect().await.map_err(|e| e.to_string())
        })
    }
}

impl Host {
    pub(super) fn node() -> NodeId {
        Id::from_random([1; 16])
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    pub(super) fn config(&self, managers: &[&Manager]) -> WorkerConfig {
        WorkerConfig {
            node: Self::node(),
            hostname: "straw".into(),
            version: "0".into(),
            state_dir: self.dir.join("state"),
            run_dir: self.dir.join("run"),
            addr: ADDRESS.parse::<IpAddr>().unwrap(),
            data_path_addr: ADDRESS.parse().unwrap(),
            data_path_port: 4789,
            seeds: managers.iter().map(|manager| manager.addr.clone()).collect(),
            resolv_conf: self.dir.join("resolv.conf"),
            features: swarm_model::FEATURE_LEVEL,
        }
    }

    pub(super) async fn worker(&self, managers: &[&Manager]) -> WorkerHandle {
        Worker::start(self.config(managers), Arc::new(Plain)).await.unwrap()
    }

    /// A namespace somebody else made, with a name of theirs.
    pub(super) fn foreign(&self, name: &str) -> (PathBuf, NetNs) {
        let path = self.dir.join(name);
        let netns = NetNs::create(&path).unwrap();
        (path, netns)
    }

    /// Files in a folder below the run-dir.
    pub(super) fn left_in(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("run").join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// Changes the worker's list of sandboxes while it is stopped.
    pub(super) fn edit_sandboxes(&self, edit: impl FnOnce(String) -> String) {
        let (mut file, held) = TwoSlots::load(self.dir.join("state/worker/sandboxes")).unwrap();
        let text = String::from_utf8(held.unwrap()).unwrap();
        file.write(edit(text).as_bytes()).unwrap();
    }
}

pub(super) fn on(network: &str) -> v1::Attachment {
    v1::Attachment { network: network.into(), ..v1::Attachment::default() }
}

pub(super) fn attach(name: &str, netns: &Path, network: &str) -> v1::AttachRequest {
    v1::AttachRequest {
        name: name.into(),
        attachment: Some(on(network)),
        netns: netns.to_string_lossy().into_owned(),
        ..v1::AttachRequest::default()
    }
}

pub(super) fn create(name: &str, networks: &[&str]) -> v1::RunCreate {
    v1::RunCreate {
        name: name.into(),
        attachments: networks.iter().map(|network| on(network)).collect(),
        command: vec!["sleep".into(), "60".into()],
        ..v1::RunCreate::default()
    }
}

/// A process inside a sandbox, as the command line would start it; killed at the end.
pub(super) struct Inside(std::process::Child);

impl Inside {
    pub(super) fn start(sandbox: &v1::Sandbox) -> Self {
        Self::enter(&NetNs::open(Path::new(&sandbox.netns)).unwrap())
    }

    pub(super) fn enter(netns: &NetNs) -> Self {
        Self(netns.run(|| Command::new("sleep").arg("60").spawn()).unwrap().unwrap())
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    pub(super) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
