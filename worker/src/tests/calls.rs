//! The worker's requests when managers stumble, are silent, or have no leader.

use super::manager::Manager;
use super::world::{Plain, attach, on_a_host};
use crate::{Worker, WorkerConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::Status;

#[test]
fn a_manager_that_stumbles_is_asked_again_and_nothing_is_doubled() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let no_leader = || Status::unavailable("no leader at the moment");
        manager.table.lock().failures =
            vec![(false, no_leader()), (true, Status::deadline_exceeded("unknown"))];
        let (path, _ns) = host.foreign("a");
        worker.attach(attach("a", &path, "net")).await.unwrap();
        assert_eq!(manager.endpoints().len(), 1);
        assert_eq!(manager.table.lock().creates, 3);
        worker.leave().await.unwrap();
    });
}

/// It takes connections and says nothing, as one that is stopped does.
async fn silent_manager() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

#[test]
fn a_silent_manager_is_not_waited_for() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let other = Manager::sharing(manager.table.clone()).await;
        let worker = host.worker(&[&manager, &other]).await;
        let (path, _ns) = host.foreign("a");
        manager.table.lock().silent_creates = 1;
        let begun = Instant::now();
        worker.attach(attach("a", &path, "net")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(manager.endpoints().len(), 1);
        worker.leave().await.unwrap();
    });
}

/// Two hundred attaches at once keep the only manager of a busy machine waiting; asked again, it would have the more to do.
#[test]
fn a_manager_is_not_asked_again_while_it_works() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let worker = host.worker(&[&manager]).await;
        let (path, _ns) = host.foreign("a");
        manager.table.lock().silent_creates = u64::MAX;
        let error = worker.attach(attach("a", &path, "net")).await.unwrap_err();
        assert!(error.to_string().starts_with("no manager answered in time"), "{error}");
        assert_eq!(manager.table.lock().creates, 1);
        worker.leave().await.unwrap();
    });
}

#[test]
fn without_a_leader_the_managers_own_words_come_in_time() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let (_listener, silent) = silent_manager().await;
        let config = host.config(&[&manager]);
        let seeds = config.seeds.iter().cloned().chain([silent]).collect();
        let worker = Worker::start(WorkerConfig { seeds, ..config }, Arc::new(Plain)).await.unwrap();
        let no_leader = || (false, Status::unavailable("the cluster has no leader: h2 and h3 do not answer"));
        manager.table.lock().failures = std::iter::repeat_with(no_leader).take(1_000).collect();
        let (path, _ns) = host.foreign("a");
        let begun = Instant::now();
        let error = worker.attach(attach("a", &path, "net")).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(error.to_string(), "the cluster has no leader: h2 and h3 do not answer");
        manager.table.lock().failures.clear();
        worker.leave().await.unwrap();
    });
}
