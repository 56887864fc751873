//! Hosts made of network namespaces, each with a reconciler of its own, on one underlay. Knows: how to build,
//! ask and break them. Must not know: what is being tested. Everything ends when it goes out of scope.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot set up fails")]

use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::*;
use swarm_netns::NetNs;
use swarm_overlay::{Desired, HostFacts, LocalSandbox};
use swarm_worker::reconcile::{ReconcileConfig, Reconciler, ReconcilerHandle};
use tempfile::TempDir;

/// Every wait in these tests ends here.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub struct World {
    pub hosts: Vec<Host>,
    pub assigned: Assigned,
    fabric: NetNs,
    fabric_path: PathBuf,
    dir: TempDir,
}

pub struct Host {
    pub node: NodeId,
    pub addr: IpAddr,
    pub ns: NetNs,
    pub dir: PathBuf,
    pub facts: HostFacts,
    pub sandboxes: Vec<LocalSandbox>,
    pub reconciler: ReconcilerHandle,
    runtime: Option<tokio::runtime::Runtime>,
}

pub fn id<K>(kind: u8, number: u32) -> Id<K> {
    let mut bytes = [kind; 16];
    bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    Id::from_random(bytes)
}

/// Runs a command in a namespace; its standard output, or what it said when it failed.
pub fn run(ns: &NetNs, command: &str) -> Result<String, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = ns.run(|| Command::new(words[0]).args(&words[1..]).output()).unwrap().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

pub fn must(ns: &NetNs, command: &str) -> String {
    run(ns, command).unwrap()
}

/// Polls until `holds`, and fails after the deadline.
#[allow(clippy::disallowed_methods, reason = "the one place where a test polls")]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "did not come true in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

impl World {
    /// `hosts` hosts on one underlay with this MTU.
    pub fn new(hosts: usize, mtu: u32) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: run them as root");
        let dir = tempfile::Builder::new().prefix("swarmd-kernel-").tempdir().unwrap();
        let fabric_path = dir.path().join("fabric");
        let fabric = NetNs::create(&fabric_path).unwrap();
        must(&fabric, "ip link add br0 up type bridge");
        let assigned = Assigned {
            revision: 1,
            defaults: DriverDefaults {
                data_path_port: 4789,
                heartbeat_ms: 1500,
                ..DriverDefaults::default()
            },
            ..Assigned::default()
        };
        let mut world = Self { hosts: Vec::new(), assigned, fabric, fabric_path, dir };
        for number in 1..=hosts {
            world.add_host(u8::try_from(number).unwrap(), mtu);
        }
        world
    }

    fn add_host(&mut self, number: u8, mtu: u32) {
        let dir = self.dir.path().join(format!("host{number}"));
        std::fs::create_dir_all(dir.join("netns")).unwrap();
        let ns = NetNs::create(&dir.join("net")).unwrap();
        let path = dir.join("net");
        must(
            &self.fabric,
            &format!("ip link add p{number} mtu {mtu} master br0 up type veth peer name tmp{number}"),
        );
        let move_it = format!("ip link set tmp{number} netns {} name eth0 up mtu {mtu}", path.display());
        move_with_nsfs(&self.fabric, &move_it, &path);
        must(&ns, "ip link set lo up");
        must(&ns, &format!("ip address add 192.0.2.{number}/24 dev eth0"));
        must(&ns, "ip link set eth0 up");
        must(&ns, "ip route add default via 192.0.2.254");
        let (node, addr) = (id(1, u32::from(number)), IpAddr::from([192, 0, 2, number]));
        let facts = HostFacts {
            node,
            data_path_addr: addr,
            underlay_mtu: mtu,
            outside_mtu: mtu,
            lacks_esp: None,
            gateway: Some("172.18.0.1/16".parse().unwrap()),
        };
        self.assigned
            .peers
            .insert(node, Peer { node, hostname: format!("host{number}"), data_path_addr: addr });
        let (runtime, reconciler) = start(&ns, &dir);
        let sandboxes = Vec::new();
        self.hosts.push(Host { node, addr, ns, dir, facts, sandboxes, reconciler, runtime: Some(runtime) });
    }

    pub fn network(
        &mut self,
        number: u32,
        subnets: &[&str],
        change: impl FnOnce(&mut NetworkSpec),
    ) -> NetworkId {
        let subnet = |cidr: &&str| {
            let cidr: ipnet::IpNet = cidr.parse().unwrap();
            Subnet {
                cidr,
                gateway: cidr.hosts().next().unwrap(),
                ip_range: None,
                aux_addresses: BTreeMap::new(),
            }
        };
        let mut spec = NetworkSpec {
            name: format!("net{number}").parse().unwrap(),
            driver: Driver::Overlay,
            attachable: true,
            internal: false,
            ipv6: subnets.iter().any(|s| s.contains("::")),
            encrypted: false,
            mtu: None,
            vni: None,
            ipam: Vec::new(),
            options: BTreeMap::new(),
            labels: Labels::default(),
        };
        change(&mut spec);
        let network = Network {
            id: id(2, number),
            spec,
            vni: Vni::new(4096 + number).unwrap(),
            subnets: subnets.iter().map(subnet).collect(),
            predefined: false,
            created_ms: 0,
        };
        let id = network.id;
        self.assigned.networks.insert(id, network);
        id
    }

    /// A sandbox with nothing in it yet.
    pub fn sandbox(&mut self, host: usize, number: u32) -> SandboxId {
        let id: SandboxId = id(3, number);
        let path = self.hosts[host].dir.join("netns").join(swarm_overlay::sandbox_file_name(id));
        NetNs::create(&path).unwrap();
        let netns = Arc::from(path.to_str().unwrap());
        self.hosts[host].sandboxes.push(LocalSandbox {
            id,
            netns,
            interfaces: BTreeMap::new(),
            gateway: None,
        });
        id
    }

    /// An endpoint in the assignment only.
    pub fn endpoint(
        &mut self,
        host: usize,
        network: NetworkId,
        sandbox: SandboxId,
        addresses: &[&str],
    ) -> EndpointId {
        let number = u32::try_from(self.assigned.endpoints.len()).unwrap() + 1;
        let addresses: Vec<ipnet::IpNet> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let endpoint = Endpoint {
            id: id(4, number),
            network,
            node: self.hosts[host].node,
            sandbox,
            name: format!("e{number}").parse().unwrap(),
            aliases: Vec::new(),
            mac: mac_for_ip(addresses[0].addr()),
            addresses,
            created_ms: 0,
        };
        let id = endpoint.id;
        self.assigned.endpoints.insert(id, endpoint);
        id
    }

    /// An endpoint that a sandbox has as its next interface.
    pub fn attach(
        &mut self,
        host: usize,
        network: NetworkId,
        sandbox: SandboxId,
        addresses: &[&str],
    ) -> EndpointId {
        let endpoint = self.endpoint(host, network, sandbox, addresses);
        let sandbox = self.hosts[host].sandboxes.iter_mut().find(|s| s.id == sandbox).unwrap();
        let ifname = format!("eth{}", sandbox.interfaces.len());
        sandbox.interfaces.insert(endpoint, Arc::from(ifname));
        endpoint
    }

    /// Counts what passes on the underlay from here on.
    pub fn count(&self) {
        let rules = "table bridge count {\n chain passing {\n type filter hook forward priority 0\n ip protocol esp counter\n \
                     udp dport 4789 @th,96,24 4097 counter\n udp dport 4789 @th,96,24 != 4097 counter\n }\n}\n";
        let file = self.dir.path().join("count.nft");
        std::fs::write(&file, rules).unwrap();
        must(&self.fabric, &format!("nft -f {}", file.display()));
    }

    /// ESP, VXLAN of the first network, VXLAN of others.
    pub fn counted(&self) -> [u64; 3] {
        let listed = must(&self.fabric, "nft list table bridge count");
        let counts = listed.split("counter packets ").skip(1).map(|rest| rest.split(' ').next().unwrap());
        counts.map(|count| count.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap()
    }

    pub fn desired(&self, host: usize) -> Arc<Desired> {
        let host = &self.hosts[host];
        Arc::new(Desired::derive(&self.assigned, &host.sandboxes, &host.facts))
    }

    /// Makes one host match; its errors.
    pub fn apply(&self, host: usize) -> Result<(), swarm_worker::reconcile::ReconcileError> {
        let desired = self.desired(host);
        self.hosts[host].block_on(|reconciler| async move { reconciler.apply(desired).await })
    }

    pub fn apply_all(&self) {
        (0..self.hosts.len()).for_each(|host| self.apply(host).unwrap());
    }

    pub fn in_sandbox(&self, host: usize, sandbox: SandboxId) -> NetNs {
        let sandbox = self.hosts[host].sandboxes.iter().find(|s| s.id == sandbox).unwrap();
        NetNs::open(std::path::Path::new(&*sandbox.netns)).unwrap()
    }
}

/// Runs a command that names a namespace by a path the command itself can open.
fn move_with_nsfs(from: &NetNs, command: &str, _path: &std::path::Path) {
    must(from, command);
}

fn start(ns: &NetNs, dir: &std::path::Path) -> (tokio::runtime::Runtime, ReconcilerHandle) {
    let inside = ns.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(move || setns(&inside, CloneFlags::CLONE_NEWNET).unwrap())
        .build()
        .unwrap();
    let guard = runtime.enter();
    let reconciler = Reconciler::start(ReconcileConfig::new(dir.join("netns")));
    drop(guard);
    (runtime, reconciler)
}

impl Host {
    pub fn block_on<T, F>(&self, act: impl FnOnce(ReconcilerHandle) -> F) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = self.runtime.as_ref().unwrap();
        runtime.block_on(runtime.spawn(act(self.reconciler.clone()))).unwrap()
    }

    /// The daemon dies and comes back; the kernel keeps everything.
    pub fn restart(&mut self) {
        self.stop();
        let (runtime, reconciler) = start(&self.ns, &self.dir);
        self.runtime = Some(runtime);
        self.reconciler = reconciler;
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let reconciler = self.reconciler.clone();
            runtime.block_on(reconciler.shutdown());
            runtime.shutdown_timeout(DEADLINE);
        }
    }

    pub fn overlay(&self, network: NetworkId) -> NetNs {
        let name = swarm_overlay::OverlayNs::of(network).to_string();
        NetNs::open(&self.dir.join("netns").join(name)).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            host.stop();
            for file in std::fs::read_dir(host.dir.join("netns")).into_iter().flatten().flatten() {
                let _ = swarm_netns::remove(&file.path());
            }
            let _ = swarm_netns::remove(&host.dir.join("net"));
        }
        let _ = swarm_netns::remove(&self.fabric_path);
    }
}

/// Everything a namespace holds, for the message of a failed test.
pub fn show(ns: &NetNs) -> String {
    [
        "ip -d -br link",
        "ip address",
        "ip route show table all",
        "ip neigh",
        "bridge -d link",
        "bridge fdb",
        "nft list ruleset",
    ]
    .map(|command| format!("# {command}\n{}\n", run(ns, command).unwrap_or_else(|e| e)))
    .concat()
}
