//! Networks made, removed and listed by name, at any manager. A name is a place: `create` claims it, `rm` clears it,
//! `ls` reads it. What is there is told by a label that only one call has written.

use super::{Client, LIMIT, Site};
use crate::caller::{Caller, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use swarm_proto::v1;
use swarm_tests::linear::{Answer, Op};

/// Names in use at a time: few, so that clients meet.
const NAMES: usize = 4;
const LABEL: &str = "chaos";
const PREFIX: &str = "net-";

pub async fn run(site: Arc<Site>, mut client: Client) {
    while !site.is_over() {
        let name = format!("{PREFIX}{}-{}", site.generation(), client.rng.below(NAMES));
        match client.rng.below(100) {
            0..40 => create(&site, &mut client, &name).await,
            40..65 => remove(&site, &mut client, &name).await,
            _ => {
                let manager = site.any_manager(&mut client.rng).clone();
                let names = hot(&site);
                look(&site, client.number, &manager, &names).await;
            }
        }
        client.rest().await;
    }
}

async fn create(site: &Site, client: &mut Client, name: &str) {
    let (value, request_id) = (client.value(), client.request_id());
    let spec = v1::NetworkSpec {
        name: name.to_owned(),
        driver: v1::Driver::Overlay.into(),
        labels: BTreeMap::from([(LABEL.to_owned(), value.clone())]),
        ..v1::NetworkSpec::default()
    };
    let ask = |manager: Caller| {
        let request = v1::CreateNetworkRequest { spec: Some(spec.clone()), request_id: request_id.clone() };
        async move {
            done(manager.control(LIMIT, |mut api| async move { api.create_network(request).await }).await)
        }
    };
    client.change(site, (key(name), Op::Claim(value)), ask).await;
}

async fn remove(site: &Site, client: &mut Client, name: &str) {
    let request_id = client.request_id();
    let ask = |manager: Caller| {
        let request = v1::RemoveNetworkRequest { reference: name.to_owned(), request_id: request_id.clone() };
        async move {
            done(manager.control(LIMIT, |mut api| async move { api.remove_network(request).await }).await)
        }
    };
    client.change(site, (key(name), Op::Clear), ask).await;
}

/// One list answers for every name; the names of this and the last generation are asked about.
pub async fn look(site: &Site, client: u32, manager: &Caller, names: &[String]) -> bool {
    let begun = site.recorder.now_us();
    let request = v1::ListNetworksRequest {};
    let answer = manager.control(LIMIT, |mut api| async move { api.list_networks(request).await }).await;
    let Outcome::Answer(listed) = answer else {
        site.recorder.count("read networks, no answer");
        return false;
    };
    let there: BTreeMap<String, String> = listed.networks.into_iter().filter_map(named).collect();
    for name in names {
        let seen = Answer::Value(there.get(name).cloned());
        site.recorder.note(client, key(name), Op::Read, (begun, Some(seen)));
    }
    site.recorder.count("read networks");
    true
}

pub fn hot(site: &Site) -> Vec<String> {
    let generation = site.generation();
    let generations = generation.saturating_sub(1)..=generation;
    generations.flat_map(|g| (0..NAMES).map(move |n| format!("{PREFIX}{g}-{n}"))).collect()
}

/// Every name that was ever used.
pub fn all(site: &Site) -> Vec<String> {
    (0..=site.generation()).flat_map(|g| (0..NAMES).map(move |n| format!("{PREFIX}{g}-{n}"))).collect()
}

fn named(network: v1::Network) -> Option<(String, String)> {
    let spec = network.spec?;
    let value = spec.labels.get(LABEL)?.clone();
    Some((spec.name, value))
}

fn key(name: &str) -> String {
    format!("network {name}")
}

pub fn done<T>(outcome: Outcome<T>) -> Outcome<()> {
    match outcome {
        Outcome::Answer(_) => Outcome::Answer(()),
        Outcome::Refused(status) => Outcome::Refused(status),
        Outcome::NotDone => Outcome::NotDone,
        Outcome::Unknown => Outcome::Unknown,
    }
}
