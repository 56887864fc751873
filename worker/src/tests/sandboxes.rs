//! Sandboxes: made, attached, connected, ended; and nothing left when it went wrong.

use super::manager::Manager;
use super::world::{Inside, attach, create, on, on_a_host, shell, until};
use crate::WorkerError;
use std::net::UdpSocket;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use swarm_netns::NetNs;
use swarm_proto::v1;
use tonic::{Code, Status};

fn address(sandbox: &v1::Sandbox, at: usize) -> String {
    sandbox.endpoints[at].addresses[0].split('/').next().unwrap().to_owned()
}

/// One datagram from one namespace to another.
fn reaches(from: &NetNs, to: &NetNs, ip: &str) -> bool {
    let receiver = to.run(|| UdpSocket::bind((ip, 7000))).unwrap().unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    let sender = from.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    (0..3).any(|_| {
        let _ = sender.send_to(b"hello", (ip, 7000));
        receiver.recv(&mut [0; 8]).is_ok()
    })
}

#[test]
fn two_attached_namespaces_reach_each_other_until_one_is_detached() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let ((a_path, a_ns), (b_path, b_ns)) = (host.foreign("a"), host.foreign("b"));
        let a = worker.attach(attach("a", &a_path, "net")).await.unwrap();
        let b = worker.attach(attach("west", &b_path, "net")).await.unwrap();
        assert_eq!((a.endpoints[0].ifname.as_str(), a.endpoints[0].network_name.as_str()), ("eth0", "net"));
        assert_eq!(a.state(), v1::SandboxState::Running);
        assert!(reaches(&a_ns, &b_ns, &address(&b, 0)));
        assert_eq!(worker.list(false).len(), 2);
        let detach = v1::DetachRequest { reference: "west".into(), network: String::new() };
        worker.detach(detach.clone()).await.unwrap();
        assert!(matches!(worker.detach(detach).await, Err(WorkerError::NotFound { .. })));
        assert_eq!(manager.endpoints().len(), 1);
        let seen = b_ns.run(|| shell("ip -o link")).unwrap();
        assert!(!seen.contains("eth0"), "{seen}");
        worker.leave().await.unwrap();
        assert!(manager.table.lock().left && manager.endpoints().is_empty());
        assert!(!host.path().join("run/netns").exists() && !host.path().join("state/worker").exists());
    });
}

/// S103, F50.
#[test]
fn a_kernel_without_esp_refuses_an_encrypted_network_and_builds_nothing_of_it() {
    on_a_host(|host| async move {
        if crate::kernel::xfrm::detect(true).is_ok() {
            return println!("not tested: this kernel has ESP and AES-GCM");
        }
        let manager = Manager::start().await;
        manager.network(1, "secret", |spec| spec.encrypted = true);
        manager.network(2, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let ((a_path, a_ns), (b_path, _b_ns)) = (host.foreign("a"), host.foreign("b"));
        let refused = Status::from(worker.attach(attach("a", &a_path, "secret")).await.unwrap_err());
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let words = refused.message();
        assert!(
            words.starts_with("network secret is encrypted, and this host cannot encrypt: this kernel "),
            "{words}"
        );
        until("the endpoint is given back", || manager.endpoints().is_empty()).await;
        assert_eq!(worker.list(true), []);
        // One that has another network is not connected to it either, and keeps what it has.
        worker.attach(attach("b", &b_path, "net")).await.unwrap();
        let attachment = v1::Attachment { network: "secret".into(), ..v1::Attachment::default() };
        let connect = v1::ConnectRequest { target: "b".into(), attachment: Some(attachment) };
        let refused = Status::from(worker.connect(connect).await.unwrap_err());
        assert_eq!(refused.code(), Code::FailedPrecondition, "{}", refused.message());
        assert_eq!(worker.get("b").unwrap().endpoints.len(), 1);
        let overlays = std::fs::read_dir(host.path().join("run/netns")).unwrap().flatten();
        let overlays = overlays.filter(|file| file.file_name().to_string_lossy().starts_with("ov-")).count();
        assert_eq!(overlays, 1, "of the plain network alone");
        assert!(!a_ns.run(|| shell("ip -o link")).unwrap().contains("eth0"));
        worker.leave().await.unwrap();
    });
}

#[test]
fn a_refusal_is_passed_on_and_leaves_nothing() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "closed", |spec| spec.attachable = false);
        let worker = host.worker(&[&manager]).await;
        let (path, _ns) = host.foreign("a");
        let refused = Status::from(worker.attach(attach("a", &path, "closed")).await.unwrap_err());
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("not manually attachable"), "{refused}");
        let unknown = Status::from(worker.run(create("b", &["nowhere"])).await.err().unwrap());
        assert_eq!(unknown.code(), Code::NotFound);
        assert!(
            worker.list(true).is_empty() && host.left_in("netns").iter().all(|name| !name.starts_with("sb-"))
        );
        assert!(host.left_in("sandboxes").is_empty());
        worker.shutdown().await;
    });
}

#[test]
fn what_cannot_be_attached_says_why() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        manager.network(2, "second", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        let code = |error: WorkerError| Status::from(error).code();
        worker.attach(attach("a", &path, "net")).await.unwrap();
        let other_name = worker.attach(attach("b", &path, "second")).await.unwrap_err();
        assert!(other_name.to_string().contains("network connect"), "{other_name}");
        let (second, _ns) = host.foreign("c");
        assert_eq!(code(worker.attach(attach("A", &second, "net")).await.unwrap_err()), Code::AlreadyExists);
        assert_eq!(
            code(worker.attach(attach("no dots.", &second, "net")).await.unwrap_err()),
            Code::InvalidArgument
        );
        let nowhere = host.path().join("nowhere");
        assert_eq!(
            code(worker.attach(attach("d", &nowhere, "net")).await.unwrap_err()),
            Code::InvalidArgument
        );
        let own = std::path::Path::new("/proc/thread-self/ns/net");
        assert_eq!(code(worker.attach(attach("d", own, "net")).await.unwrap_err()), Code::FailedPrecondition);
        let dead = v1::AttachRequest { pid: i32::MAX, netns: String::new(), ..attach("d", &second, "net") };
        assert_eq!(code(worker.attach(dead).await.unwrap_err()), Code::InvalidArgument);
        ns.run(|| shell("ip link add eth1 type veth peer name eth9")).unwrap();
        let taken = v1::Attachment { ifname: "eth1".into(), ..on("second") };
        let connect = v1::ConnectRequest { target: "a".into(), attachment: Some(taken) };
        let taken = worker.connect(connect).await.unwrap_err();
        assert!(taken.to_string().contains("eth1"), "{taken}");
        // Without being asked for a name, the next free one is taken.
        let connected = worker.attach(attach("a", &path, "second")).await.unwrap();
        assert_eq!(connected.endpoints[1].ifname, "eth2");
        worker.leave().await.unwrap();
    });
}

#[test]
fn a_run_ends_with_its_command() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let ready = pending.sandbox().clone();
        assert_eq!(ready.state(), v1::SandboxState::Created);
        assert!(std::fs::read_to_string(&ready.resolv_conf).unwrap().starts_with("nameserver 127.0.0.11\n"));
        assert!(
            std::fs::read_to_string(&ready.hosts).unwrap().contains(&format!("{}\tweb", address(&ready, 0)))
        );
        let mut command = Inside::start(&ready);
        let running = pending.started(command.pid()).await.unwrap();
        assert_eq!((running.state(), running.pid), (v1::SandboxState::Running, command.pid()));
        let refused = worker.remove("web", false).await.unwrap_err();
        assert!(refused.to_string().contains("running"), "{refused}");
        command.kill();
        worker.ended(&ready.id).await;
        assert!(worker.list(true).is_empty() && manager.endpoints().is_empty());
        assert!(host.left_in("sandboxes").is_empty());
        // Again under the same name, and by force this time.
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let command = Inside::start(pending.sandbox());
        let again = pending.started(command.pid()).await.unwrap();
        assert_eq!(worker.remove(&again.id, true).await.unwrap(), again.id);
        assert!(manager.endpoints().is_empty());
        worker.leave().await.unwrap();
    });
}

#[test]
fn what_a_command_left_running_ends_with_it() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let (mut command, mut left) = (Inside::start(pending.sandbox()), Inside::start(pending.sandbox()));
        let id = pending.started(command.pid()).await.unwrap().id;
        command.kill();
        worker.ended(&id).await;
        assert!(left.has_ended(), "a process of the sandbox lives on");
        // In a namespace that somebody else made, nothing is anybody's but theirs.
        let (path, netns) = host.foreign("b");
        worker.attach(attach("b", &path, "net")).await.unwrap();
        let mut theirs = Inside::enter(&netns);
        worker.remove("b", true).await.unwrap();
        assert!(!theirs.has_ended(), "a process in an attached namespace was killed");
        worker.leave().await.unwrap();
    });
}

#[test]
fn what_was_left_while_the_daemon_was_down_ends_at_its_next_start() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let (mut command, mut left) = (Inside::start(pending.sandbox()), Inside::start(pending.sandbox()));
        pending.started(command.pid()).await.unwrap();
        worker.shutdown().await;
        command.kill();
        assert!(!left.has_ended());
        let worker = host.worker(&[&manager]).await;
        until("the sandbox is gone", || worker.list(true).is_empty()).await;
        assert!(left.has_ended(), "a process of the sandbox lives on");
        worker.leave().await.unwrap();
    });
}

#[test]
fn the_name_of_a_command_that_has_just_ended_is_free() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        for _ in 0..5 {
            let pending = worker.run(create("web", &["net"])).await.unwrap();
            let mut command = Inside::start(pending.sandbox());
            let refused = worker.run(create("WEB", &["net"])).await.err().unwrap();
            assert!(matches!(refused, WorkerError::Exists(_)), "{refused}");
            pending.started(command.pid()).await.unwrap();
            // Nobody waits for the sandbox's end, as after `run -d`.
            command.kill();
        }
        worker.leave().await.unwrap();
    });
}

#[test]
fn a_run_that_is_not_started_is_taken_back() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        drop(worker.run(create("web", &["net"])).await.unwrap());
        until("nothing is left", || worker.list(true).is_empty() && manager.endpoints().is_empty()).await;
        assert!(host.left_in("sandboxes").is_empty());
        // A process elsewhere is not the command.
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        assert!(pending.started(std::process::id().cast_signed()).await.is_err());
        until("nothing is left", || worker.list(true).is_empty() && manager.endpoints().is_empty()).await;
        // A command that has ended by now is no error.
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let mut command = Inside::start(pending.sandbox());
        command.kill();
        assert_eq!(pending.started(command.pid()).await.unwrap().state(), v1::SandboxState::Exited);
        assert!(worker.list(true).is_empty());
        worker.leave().await.unwrap();
    });
}

#[test]
fn an_attached_sandbox_ends_with_its_process_or_its_path() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (a_path, _a) = host.foreign("a");
        let ready = v1::Sandbox { netns: a_path.to_string_lossy().into_owned(), ..v1::Sandbox::default() };
        let mut process = Inside::start(&ready);
        let by_pid =
            v1::AttachRequest { netns: String::new(), pid: process.pid(), ..attach("a", &a_path, "net") };
        let a = worker.attach(by_pid).await.unwrap();
        assert_eq!(a.pid, process.pid());
        process.kill();
        until("the process's end is noticed", || worker.list(true).is_empty()).await;
        let (b_path, _b) = host.foreign("b");
        worker.attach(attach("b", &b_path, "net")).await.unwrap();
        swarm_netns::remove(&b_path).unwrap();
        until("the path's end is noticed", || worker.list(true).is_empty()).await;
        until("both are given back", || manager.endpoints().is_empty()).await;
        worker.leave().await.unwrap();
    });
}

#[test]
fn connected_and_disconnected_while_it_runs() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "one", |_| {});
        manager.network(2, "two", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        worker.attach(attach("a", &path, "one")).await.unwrap();
        let connect =
            |network: &str| v1::ConnectRequest { target: "a".into(), attachment: Some(on(network)) };
        let both = worker.connect(connect("two")).await.unwrap();
        assert_eq!(both.endpoints[1].ifname, "eth1");
        assert_eq!(
            Status::from(worker.connect(connect("two")).await.unwrap_err()).code(),
            Code::AlreadyExists
        );
        let addresses = ns.run(|| shell("ip -o -4 addr")).unwrap();
        assert!(addresses.contains("eth0") && addresses.contains("eth1"), "{addresses}");
        let disconnect = |network: &str| v1::DisconnectRequest {
            target: "a".into(),
            network: network.into(),
            force: false,
        };
        worker.disconnect(disconnect("one")).await.unwrap();
        assert!(worker.disconnect(disconnect("one")).await.is_err());
        assert_eq!(manager.endpoints().len(), 1);
        let again = worker.connect(connect("one")).await.unwrap();
        assert_eq!(again.endpoints.iter().map(|e| e.ifname.as_str()).collect::<Vec<_>>(), ["eth1", "eth0"]);
        worker.leave().await.unwrap();
    });
}

#[test]
fn names_of_interfaces_that_are_there_already_are_left_alone() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "one", |_| {});
        manager.network(2, "two", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        ns.run(|| shell("ip link add eth0 type veth peer name eth2")).unwrap();
        let taken = v1::Attachment { ifname: "eth2".into(), ..on("one") };
        let refused = worker
            .attach(v1::AttachRequest { attachment: Some(taken), ..attach("a", &path, "one") })
            .await
            .unwrap_err();
        assert_eq!(Status::from(refused).code(), Code::AlreadyExists);
        assert_eq!((manager.table.lock().creates, worker.list(true).len()), (0, 0));
        assert_eq!(
            worker.attach(attach("a", &path, "one")).await.unwrap().endpoints[0].ifname.as_str(),
            "eth1"
        );
        let connect = v1::ConnectRequest { target: "a".into(), attachment: Some(on("two")) };
        assert_eq!(worker.connect(connect).await.unwrap().endpoints[1].ifname, "eth3");
        let seen = ns.run(|| shell("ip -o -4 addr")).unwrap();
        assert!(seen.contains("eth1") && seen.contains("eth3"), "{seen}");
        worker.leave().await.unwrap();
    });
}

#[test]
fn the_hosts_file_names_the_addresses_of_the_moment() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "one", |_| {});
        manager.network(2, "two", |_| {});
        let worker = host.worker(&[&manager]).await;
        let pending = worker.run(create("web", &["one"])).await.unwrap();
        let path = std::path::PathBuf::from(&pending.sandbox().hosts);
        // Open all the time, as a file is that is mounted in the sandbox.
        let file = std::fs::File::open(&path).unwrap();
        let own = || {
            let mut bytes = vec![0; 4096];
            let length = file.read_at(&mut bytes, 0).unwrap();
            let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_suffix("\tweb").map(str::to_owned));
            lines.collect::<Vec<_>>()
        };
        let first = address(pending.sandbox(), 0);
        assert_eq!(own(), std::slice::from_ref(&first));
        let connect =
            |network: &str| v1::ConnectRequest { target: "web".into(), attachment: Some(on(network)) };
        let both = worker.connect(connect("two")).await.unwrap();
        assert_eq!(own(), [first.clone(), address(&both, 1)]);
        let disconnect = |network: &str| v1::DisconnectRequest {
            target: "web".into(),
            network: network.into(),
            force: false,
        };
        worker.disconnect(disconnect("two")).await.unwrap();
        worker.disconnect(disconnect("one")).await.unwrap();
        assert!(own().is_empty());
        let again = address(&worker.connect(connect("one")).await.unwrap(), 0);
        assert_ne!(again, first);
        assert_eq!(own(), [again]);
        worker.leave().await.unwrap();
    });
}

#[test]
fn many_at_once() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let names: Vec<String> = (0..30).map(|n| format!("s{n}")).collect();
        let attaching = names.iter().map(|name| worker.attach(attach(name, &host.foreign(name).0, "net")));
        let attached = futures::future::join_all(attaching).await;
        assert!(attached.iter().all(Result::is_ok), "{attached:?}");
        let names =
            names.iter().map(|name| v1::DetachRequest { reference: name.clone(), network: String::new() });
        let detached = futures::future::join_all(names.map(|request| worker.detach(request))).await;
        assert!(detached.iter().all(Result::is_ok), "{detached:?}");
        assert!(manager.endpoints().is_empty());
        worker.leave().await.unwrap();
    });
}
