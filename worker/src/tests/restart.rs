//! The daemon stops, dies and comes back: what runs is adopted untouched, what was half done is taken back.

use super::manager::Manager;
use super::world::{Inside, attach, create, on_a_host, shell, until};
use std::time::Duration;
use swarm_proto::v1;

#[test]
fn f33_what_runs_is_adopted_without_a_manager_and_without_a_step() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        let before = worker.attach(attach("a", &path, "net")).await.unwrap();
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let mut command = Inside::start(pending.sandbox());
        let web = pending.started(command.pid()).await.unwrap();
        // The same links: index, name and address (the state follows the carrier a moment later).
        let look = "ip -o link | awk '{print $1, $2, $(NF-2), $NF}'; ip -o addr; ip route";
        let links = ns.run(|| shell(look)).unwrap();
        worker.shutdown().await;
        manager.kill();

        let worker = host.worker(&[&manager]).await;
        assert_eq!(worker.get("a").unwrap(), before);
        assert_eq!(worker.get("web").unwrap(), web);
        until("the kernel was looked at", || *worker.host.programmed.borrow() > 0).await;
        assert_eq!(worker.host.reconciler.counters().steps, 0);
        assert_eq!(ns.run(|| shell(look)).unwrap(), links);
        command.kill();
        until("the command's end is noticed", || worker.get("web").is_err()).await;
        assert_eq!(manager.endpoints().len(), 2, "there is nobody to give it back to");

        let manager = manager.revive().await;
        until("given back", || manager.endpoints().len() == 1).await;
        worker.leave().await.unwrap();
    });
}

#[test]
fn what_was_half_done_is_taken_back() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, _ns) = host.foreign("a");
        worker.attach(attach("a", &path, "net")).await.unwrap();
        worker.shutdown().await;
        // As if it had been killed right before it answered.
        host.edit_sandboxes(|list| {
            assert!(list.contains(r#""phase":{"Running":null}"#), "{list}");
            list.replace(r#"{"Running":null}"#, r#""Creating""#)
        });

        let worker = host.worker(&[&manager]).await;
        until("nothing is left", || worker.list(true).is_empty() && manager.endpoints().is_empty()).await;
        until("no name is left", || host.left_in("netns").iter().all(|name| !name.starts_with("sb-"))).await;
        worker.leave().await.unwrap();
    });
}

#[test]
fn f33_an_attach_that_was_cut_short_in_the_kernel_is_finished() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        worker.attach(attach("a", &path, "net")).await.unwrap();
        worker.shutdown().await;
        // As if it had been killed when the addresses were on disk and nothing else was done.
        ns.run(|| shell("ip link del eth0")).unwrap();
        for name in host.left_in("netns").iter().filter(|name| name.starts_with("sb-")) {
            swarm_netns::remove(&host.path().join("run/netns").join(name)).unwrap();
        }
        std::fs::remove_dir_all(host.path().join("run/sandboxes")).unwrap();

        let worker = host.worker(&[&manager]).await;
        until("its interface", || ns.run(|| shell("ip -o link")).unwrap().contains("eth0")).await;
        let sandbox = worker.get("a").unwrap();
        assert!(std::path::Path::new(&sandbox.hosts).exists());
        assert_eq!(manager.endpoints().len(), 1);
        worker.leave().await.unwrap();
        assert!(manager.endpoints().is_empty());
    });
}

#[test]
fn f34_a_restarted_host_gives_back_what_is_gone_and_rebuilds_what_is_there_again() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        worker.attach(attach("a", &path, "net")).await.unwrap();
        let pending = worker.run(create("web", &["net"])).await.unwrap();
        let mut command = Inside::start(pending.sandbox());
        pending.started(command.pid()).await.unwrap();
        worker.shutdown().await;
        // A restart of the host: processes and namespaces are gone, and so is everything below /run.
        command.kill();
        drop(ns);
        for name in host.left_in("netns") {
            swarm_netns::remove(&host.path().join("run/netns").join(name)).unwrap();
        }
        std::fs::remove_dir_all(host.path().join("run")).unwrap();
        swarm_netns::remove(&path).unwrap();
        let (_path, ns) = host.foreign("a");

        let worker = host.worker(&[&manager]).await;
        until("only what is there again", || {
            worker.list(true).iter().map(|s| s.name.as_str()).eq(["a"]) && manager.endpoints().len() == 1
        })
        .await;
        until("its interface", || ns.run(|| shell("ip -o link")).unwrap().contains("eth0")).await;
        worker.leave().await.unwrap();
    });
}

#[test]
fn what_belongs_to_no_sandbox_is_removed() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let one = host.worker(&[&manager]).await;
        let (path, _ns) = host.foreign("a");
        one.attach(attach("a", &path, "net")).await.unwrap();
        let stray = host.path().join("run/netns/sb-000000000000");
        swarm_netns::NetNs::create(&stray).unwrap();
        one.shutdown().await;
        let again = host.worker(&[&manager]).await;
        assert!(!stray.exists(), "a name that belongs to no sandbox is removed");
        assert_eq!(again.list(false).len(), 1);
        again.leave().await.unwrap();
        let gone = v1::DetachRequest { reference: "a".into(), network: String::new() };
        assert!(tokio::time::timeout(Duration::from_secs(5), again.detach(gone)).await.unwrap().is_err());
    });
}
