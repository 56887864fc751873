//! Row: two hundred attaches at once on one host.

use crate::report::Row;
use crate::rig::Rig;
use crate::site::usable;
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::time::Instant;

const COUNT: usize = 200;
const ROUNDS: usize = 3;

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let hosts = rig.cluster()?;
    let (manager, worker) = (hosts.first().context("no host")?, hosts.get(1).context("no host")?);
    let client = rig.client(2)?;
    let names: Vec<String> = (0..COUNT).map(|i| format!("c{i}")).collect();
    let last = COUNT - 1;
    worker.sh(&format!("for i in $(seq 0 {last}); do ip netns add c$i; done"))?.ok()?;
    let (mut total, mut each) = (Sample::default(), Sample::default());
    for round in 0..ROUNDS {
        let network = format!("crowd-{round}");
        manager.ctl(&format!("network create --attachable {network}"))?.ok()?;
        let begun = Instant::now();
        let attached = client.attach_all(&network, &names)?;
        total.push_time(begun.elapsed());
        let mut addresses = BTreeSet::new();
        for ((took, sandbox), name) in attached.iter().zip(&names) {
            each.push_time(*took);
            let endpoint = sandbox.endpoints.first().context("an answer without an endpoint")?;
            let address = endpoint.addresses.first().context("an endpoint without an address")?;
            usable(&worker.space.path(&format!("/run/netns/{name}")), &endpoint.ifname, address)?;
            ensure!(addresses.insert(address.clone()), "{address} was given twice");
        }
        names.iter().try_for_each(|name| client.detach(name))?;
        manager.ctl(&format!("network rm {network}"))?.ok()?;
    }
    worker.sh(&format!("for i in $(seq 0 {last}); do ip netns del c$i; done"))?.ok()?;
    Ok(vec![
        Row::new("200 attaches at once on one host, until the last was usable", total.range("ms"))
            .goal("none fails, no address twice", true),
        Row::new(
            "… of these, divided by 200",
            format!("{} ms", crate::stats::short(total.median() / COUNT as f64)),
        ),
        Row::new("… of these, how long each one waited", each.tail("ms")),
    ])
}
