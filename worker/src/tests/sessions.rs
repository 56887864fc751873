//! Sessions: what is said, what is heard, and what happens when a manager is lost.

use super::manager::Manager;
use super::world::{on_a_host, until};
use swarm_model::{Assignment, Change, Lineage};
use tonic::Status;

#[test]
fn a_session_begins_with_the_whole_and_follows() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        until("the network", || worker.networks().iter().any(|n| n.name == "net")).await;
        manager.network(2, "second", |_| {});
        until("a change", || worker.networks().iter().any(|n| n.name == "second")).await;
        until("heartbeats", || manager.table.lock().heartbeats > 3).await;
        let revision = manager.table.lock().assigned.revision;
        until("the acknowledgement", || manager.table.lock().programmed == revision).await;
        let status = worker.status();
        assert_eq!((status.revision, status.session_error.as_str()), (revision, ""));
        assert!(status.session_manager.is_some());
        let register = manager.table.lock().registered[0].clone();
        assert_eq!((register.hostname.as_str(), register.data_path_addr.as_str()), ("straw", "192.0.2.1"));
        worker.shutdown().await;
    });
}

#[test]
fn s76_a_gap_starts_the_session_again_from_the_whole() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        let worker = host.worker(&[&manager]).await;
        until("a session", || worker.status().session_manager.is_some() && worker.status().revision > 0)
            .await;
        manager.tell(&Assignment::Incremental {
            applies_to: 70,
            results_in: 71,
            changes: Vec::<Change>::new(),
        });
        until("a second session", || manager.table.lock().registered.len() == 2).await;
        manager.network(1, "after", |_| {});
        until("what came after", || worker.networks().iter().any(|n| n.name == "after")).await;
        worker.shutdown().await;
    });
}

#[test]
fn a_manager_of_the_past_is_left_once_the_cluster_was_met_in_a_later_epoch() {
    on_a_host(|host| async move {
        let past = Manager::start().await;
        let present = Manager::start().await;
        let later = Lineage::default().follow(7);
        present.table.lock().assigned.defaults.lineage = later.clone();
        let worker = host.worker(&[&past]).await;
        until("a session with the past", || worker.status().revision > 0).await;
        worker.expect(later.clone());
        worker.set_seeds(vec![past.addr.clone(), present.addr.clone()]);
        until("a session with the present", || present.sessions() == 1).await;
        assert_eq!((past.sessions(), worker.status().lineage), (0, later));
        worker.shutdown().await;
    });
}

#[test]
fn a_lost_manager_is_replaced_by_another_and_by_our_own() {
    on_a_host(|host| async move {
        let first = Manager::start().await;
        let second = Manager::sharing(first.table.clone()).await;
        let third = Manager::sharing(first.table.clone()).await;
        let worker = host.worker(&[&first, &second]).await;
        until("a session", || first.sessions() + second.sessions() == 1).await;
        let (lost, left) = if first.sessions() == 1 { (&first, &second) } else { (&second, &first) };
        until("the whole", || worker.status().revision > 0).await;
        lost.kill();
        let began = std::time::Instant::now();
        until("the other one, or the third", || left.sessions() + third.sessions() == 1).await;
        assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
        left.kill();
        until("the third", || third.sessions() == 1).await;
        let own = Manager::sharing(first.table.clone()).await;
        worker.set_own_manager(Some(own.addr.clone()));
        until("our own", || own.sessions() == 1 && third.sessions() == 0).await;
        let own = Some(super::world::Host::node());
        until("it is said so", || worker.status().session_manager == own).await;
        worker.shutdown().await;
    });
}

#[test]
fn a_new_address_is_told_at_once_in_a_session_that_names_the_one_before() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        let worker = host.worker(&[&manager]).await;
        until("a session", || worker.status().revision > 0).await;
        let moved = "192.0.2.9".parse().unwrap();
        worker.moved(crate::Here { addr: moved, data_path_addr: moved });
        until("a second session", || manager.table.lock().registered.len() == 2).await;
        let registered = manager.table.lock().registered.clone();
        let said = |n: usize| (registered[n].addr.clone(), registered[n].data_path_addr.clone());
        assert_eq!((said(0), said(1)), (both("192.0.2.1"), both("192.0.2.9")));
        let last: Vec<_> = registered.iter().map(|r| r.last_session.as_deref()).collect();
        assert_eq!(last, [Some(""), Some("straw")]);
        // What an operator names comes before what works.
        let other = Manager::sharing(manager.table.clone()).await;
        worker.set_seeds(vec![manager.addr.clone(), other.addr.clone()]);
        worker.call_on(vec![other.addr.clone()]);
        until("the one that was named", || other.sessions() == 1).await;
        worker.shutdown().await;
    });
}

fn both(addr: &str) -> (String, String) {
    (addr.to_owned(), addr.to_owned())
}

#[test]
fn a_silent_manager_is_left() {
    on_a_host(|host| async move {
        // Accepts connections and never says a word.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let manager = Manager::start().await;
        let mut config = host.config(&[&manager]);
        config.seeds.insert(0, silent.local_addr().unwrap().to_string());
        let dial = std::sync::Arc::new(super::world::Plain);
        let worker = crate::Worker::start(config, dial).await.unwrap();
        until("the manager that speaks", || manager.sessions() == 1).await;
        worker.shutdown().await;
    });
}

#[test]
fn an_older_whole_is_not_believed_at_once() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        until("the network", || worker.networks().iter().any(|n| n.name == "net")).await;
        let behind = Manager::start().await;
        manager.kill();
        worker.set_own_manager(Some(behind.addr.clone()));
        until("it was tried", || behind.table.lock().registered.len() > 1).await;
        assert!(worker.networks().iter().any(|n| n.name == "net"));
        until("it is said so", || worker.status().session_error.contains("behind")).await;
        worker.shutdown().await;
    });
}

#[test]
fn s73_a_worker_whose_session_ends_registers_again() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        let worker = host.worker(&[&manager]).await;
        until("a session", || worker.status().revision > 0).await;
        for (number, status) in
            [Status::invalid_argument("a session begins with Register"), Status::aborted("a newer session")]
                .into_iter()
                .enumerate()
        {
            manager.end_sessions(&status);
            until("it registered again", || manager.table.lock().registered.len() == number + 2).await;
        }
        manager.network(1, "after", |_| {});
        until("what came after", || worker.networks().iter().any(|n| n.name == "after")).await;
        worker.shutdown().await;
    });
}

#[test]
fn s74_a_worker_that_is_refused_asks_ever_more_slowly_and_comes_in_later() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.table.lock().refuse_sessions = Some(Status::unavailable("too many sessions"));
        let worker = host.worker(&[&manager]).await;
        until("it says why", || worker.status().session_error.contains("too many sessions")).await;
        let (began, before) = (std::time::Instant::now(), manager.table.lock().refused);
        until("it has asked four times more", || manager.table.lock().refused >= before + 4).await;
        assert!(began.elapsed() > std::time::Duration::from_millis(300), "{:?}", began.elapsed());
        manager.table.lock().refuse_sessions = None;
        until("a session", || worker.status().revision > 0).await;
        worker.shutdown().await;
    });
}
