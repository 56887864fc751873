//! Many changes under way while the leader is lost: S87, F46.

use crate::harness::{Host, WorkerHost, spec};
use crate::poll::until;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use swarm_proto::v1;
use tokio::sync::Semaphore;
use tonic::{Code, Status};

const NETWORKS: usize = 300;
const ATTACHES: usize = 700;
/// Under way at a time, as many clients would have them.
const AT_ONCE: usize = 200;
/// Answers before the leader is lost.
const BEFORE: usize = 150;

/// Client truth: a change that failed or timed out is unknown, one that was confirmed is there.
fn done<T: Debug>(answer: Result<T, Status>) -> Option<T> {
    match answer {
        Ok(done) => Some(done),
        Err(status) => {
            let unknown = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded);
            assert!(unknown, "neither done, refused nor unknown: {status:?}");
            None
        }
    }
}

fn all_different<T: Ord + Debug>(what: &str, values: impl Iterator<Item = T>) {
    let mut seen = BTreeSet::new();
    for value in values {
        assert!(!seen.contains(&value), "{what} twice: {value:?}");
        seen.insert(value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s87_f46_a_thousand_creates_and_attaches_while_the_leader_is_killed() {
    let first = Host::first().await;
    let hosts = [Host::joined(&first, "n2").await, Host::joined(&first, "n3").await];
    first.create_network("shared").await.unwrap();
    let workers = [WorkerHost::joined(&first, "w1").await, WorkerHost::joined(&hosts[0], "w2").await];
    let (turns, answered) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(0)));
    // One connection to each manager for each node, as nodes have them: a manager grants one node but so many.
    let controls = [hosts[0].control().await, hosts[1].control().await];
    let mut networks = Vec::new();
    for number in 0..NETWORKS {
        let (mut control, turns, answered) = (controls[number % 2].clone(), turns.clone(), answered.clone());
        networks.push(tokio::spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let request = v1::CreateNetworkRequest {
                spec: Some(spec(&format!("net{number}"))),
                request_id: String::new(),
            };
            let answer = control.create_network(request).await;
            answered.add_permits(1);
            answer.map(|made| made.into_inner().network.unwrap())
        }));
    }
    let mut endpoints = Vec::new();
    let mut clients = Vec::new();
    for (worker, host) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        clients.push(workers[worker].attachments(&hosts[host]).await);
    }
    for number in 0..ATTACHES {
        let (mut client, turns, answered) = (clients[number % 4].clone(), turns.clone(), answered.clone());
        endpoints.push(tokio::spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            let endpoint = v1::NewEndpoint {
                id: swarm_identity::random::new_id::<swarm_model::Endpoint>().to_string(),
                network: "shared".to_owned(),
                sandbox: swarm_identity::random::new_id::<swarm_model::Node>().to_string(),
                name: format!("e{number}"),
                ..v1::NewEndpoint::default()
            };
            let request = v1::CreateEndpointsRequest { endpoints: vec![endpoint], request_id: String::new() };
            let answer = client.create_endpoints(request).await;
            answered.add_permits(1);
            answer.map(|made| made.into_inner().endpoints.remove(0))
        }));
    }
    drop(answered.acquire_many(BEFORE as u32).await.unwrap());
    let dead = first.crash();
    let (mut made, mut attached) = (Vec::new(), Vec::new());
    for task in networks {
        made.extend(done(task.await.unwrap()));
    }
    for task in endpoints {
        match task.await.unwrap() {
            // More than a /24 holds were asked for: those are refused, and that is an answer.
            Err(status) if status.code() == Code::ResourceExhausted => {}
            answer => attached.extend(done(answer)),
        }
    }
    println!("{} networks made, {} endpoints attached", made.len(), attached.len());
    assert!(made.len() + attached.len() > BEFORE);
    all_different("a VNI", made.iter().map(|network| network.vni));
    all_different("a subnet", made.iter().flat_map(|n| n.subnets.iter().map(|s| s.cidr.clone())));
    all_different("an address", attached.iter().flat_map(|endpoint| endpoint.addresses.clone()));
    all_different("a MAC", attached.iter().map(|endpoint| endpoint.mac.clone()));
    let back = dead.restart().await;
    for host in [&hosts[0], &hosts[1], &back] {
        until("every manager has what was confirmed, and it fits together", async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            host.manager.read(|state| {
                let networks = made.iter().all(|n| state.network(&n.id.parse().unwrap()).is_some());
                let endpoints = attached.iter().all(|e| state.endpoint(&e.id.parse().unwrap()).is_some());
                state.check_invariants().unwrap();
                (networks && endpoints).then_some(())
            })
        })
        .await;
    }
}
