//! Endpoints attached and detached on the workers, with addresses asked for by name: an address is a place that one
//! endpoint claims. An attach that fails half-way is taken back by the worker in its own time, so behind each open claim
//! stands an open release.

use super::{Client, LIMIT, Site};
use crate::caller::{Caller, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swarm_proto::v1;
use swarm_tests::linear::{Answer, Op};

pub const NETWORK: &str = "endpoints";
pub const SUBNET: &str = "10.77.0.0/16";
/// Addresses that are fought for at a time.
const ADDRESSES: u64 = 4;
/// The third byte of an address tells the generation; after so many, the fourth goes on.
const GENERATIONS: u64 = 250;
/// The answer to a detach waits three seconds for a manager to have taken the address back; one that comes sooner says
/// that it has.
const RELEASED_WITHIN: Duration = Duration::from_millis(2_500);
/// An endpoint is kept at most so long.
const KEPT_MS: usize = 200;

/// Bare namespaces on a worker, one client's own.
pub struct Place {
    pub worker: Caller,
    pub namespaces: Vec<String>,
}

/// An attach nobody knows the end of keeps its namespace until its name can be detached.
struct Doubtful {
    namespace: String,
    name: String,
}

pub async fn run(site: Arc<Site>, mut client: Client, mut place: Place) {
    let mut doubtful: Vec<Doubtful> = Vec::new();
    while !site.is_over() {
        if client.rng.below(100) < 40 {
            let manager = site.any_manager(&mut client.rng).clone();
            look(&site, client.number, &manager, &hot(&site)).await;
        } else if let Some(namespace) = place.namespaces.pop() {
            match attach_and_detach(&site, &mut client, &place.worker, &namespace).await {
                None => place.namespaces.push(namespace),
                Some(name) => doubtful.push(Doubtful { namespace, name }),
            }
        } else if let Some(one) = doubtful.pop() {
            match detach(&place.worker, &one.name).await {
                Outcome::Answer(()) => place.namespaces.push(one.namespace),
                // Not there now: it may be on its way still, so the namespace is left alone.
                Outcome::Refused(_) => {}
                Outcome::NotDone | Outcome::Unknown => doubtful.push(one),
            }
        }
        client.rest().await;
    }
}

/// The name, if what became of it is not known.
async fn attach_and_detach(
    site: &Site,
    client: &mut Client,
    worker: &Caller,
    namespace: &str,
) -> Option<String> {
    let address = address(site.generation(), client.rng.below(ADDRESSES as usize) as u64);
    let name = client.value();
    let begun = site.recorder.now_us();
    let outcome = attach(worker, namespace, &name, &address).await;
    let note = |op, answer| site.recorder.note(client.number, key(&address), op, (begun, answer));
    match outcome {
        Outcome::Answer(()) => note(Op::Claim(name.clone()), Some(Answer::Done)),
        Outcome::Refused(status) if status.message().contains(&address) => {
            site.recorder.count("attach refused");
            note(Op::Claim(name), Some(Answer::Refused));
            return None;
        }
        Outcome::NotDone => {
            site.recorder.count("attach not taken");
            return None;
        }
        Outcome::Refused(_) | Outcome::Unknown => {
            site.recorder.count("attach open");
            note(Op::Claim(name.clone()), None);
            note(Op::Release(name.clone()), None);
            return Some(name);
        }
    }
    site.recorder.count("attach done");
    tokio::time::sleep(Duration::from_millis(client.rng.below(KEPT_MS) as u64)).await;
    release(site, client, worker, (&address, name)).await
}

/// Takes the endpoint away; its name, if that may not have happened.
async fn release(
    site: &Site,
    client: &Client,
    worker: &Caller,
    (address, name): (&str, String),
) -> Option<String> {
    let begun = site.recorder.now_us();
    let outcome = detach(worker, &name).await;
    let took = Duration::from_micros(site.recorder.now_us() - begun);
    let released = matches!(outcome, Outcome::Answer(())) && took < RELEASED_WITHIN;
    site.recorder.count(if released { "detach done" } else { "detach open" });
    let answer = released.then_some(Answer::Done);
    site.recorder.note(client.number, key(address), Op::Release(name.clone()), (begun, answer));
    match outcome {
        Outcome::Answer(()) => None,
        Outcome::Refused(status) => {
            let said = status.message();
            site.recorder.problem(format!("{name} was attached on h{} and is gone: {said}", worker.host));
            Some(name)
        }
        // Asked again later; that is the same open release.
        Outcome::NotDone | Outcome::Unknown => Some(name),
    }
}

async fn attach(worker: &Caller, namespace: &str, name: &str, address: &str) -> Outcome<()> {
    let attachment =
        v1::Attachment { network: NETWORK.to_owned(), ip: address.to_owned(), ..v1::Attachment::default() };
    let request = v1::AttachRequest {
        name: name.to_owned(),
        attachment: Some(attachment),
        netns: namespace.to_owned(),
        ..v1::AttachRequest::default()
    };
    super::networks::done(worker.local(LIMIT, |mut api| async move { api.attach(request).await }).await)
}

pub async fn detach(worker: &Caller, name: &str) -> Outcome<()> {
    let request = v1::DetachRequest { reference: name.to_owned(), network: String::new() };
    super::networks::done(worker.local(LIMIT, |mut api| async move { api.detach(request).await }).await)
}

/// One list answers for every address.
pub async fn look(site: &Site, client: u32, manager: &Caller, asked: &[String]) -> bool {
    let begun = site.recorder.now_us();
    let request = v1::GetNetworkRequest { reference: NETWORK.to_owned() };
    let answer = manager.control(LIMIT, |mut api| async move { api.get_network(request).await }).await;
    let Outcome::Answer(shown) = answer else {
        site.recorder.count("read addresses, no answer");
        return false;
    };
    let held = shown.endpoints.into_iter().flat_map(|endpoint| {
        let addresses = endpoint.addresses.into_iter();
        addresses
            .map(move |cidr| (cidr.split('/').next().unwrap_or_default().to_owned(), endpoint.name.clone()))
    });
    let held: BTreeMap<String, String> = held.collect();
    for address in asked {
        let seen = Answer::Value(held.get(address).cloned());
        site.recorder.note(client, key(address), Op::Read, (begun, Some(seen)));
    }
    site.recorder.count("read addresses");
    true
}

/// The addresses of this generation and the last.
pub fn hot(site: &Site) -> Vec<String> {
    let generation = site.generation();
    (generation.saturating_sub(1)..=generation).flat_map(of_generation).collect()
}

/// Every address that was ever fought for.
pub fn all(site: &Site) -> Vec<String> {
    (0..=site.generation()).flat_map(of_generation).collect()
}

fn of_generation(generation: u64) -> impl Iterator<Item = String> {
    (0..ADDRESSES).map(move |n| address(generation, n))
}

fn address(generation: u64, number: u64) -> String {
    format!("10.77.{}.{}", generation % GENERATIONS, 20 + number + generation / GENERATIONS * ADDRESSES)
}

fn key(address: &str) -> String {
    format!("address {address}")
}
