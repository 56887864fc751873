//! Row: making a network, the whole command.

use crate::report::Row;
use crate::rig::{Rig, swarmctl};
use crate::stats::{Sample, in_turn};
use anyhow::{Context, Result};

const ROUNDS: usize = 15;

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    let (hosts, engines) = rig.both()?;
    let host = hosts.first().context("no host")?;
    let engine = engines.first().context("no engine")?;
    let (mut ours, mut peer) = (Sample::default(), Sample::default());
    in_turn(
        ROUNDS,
        |round| {
            ours.push_time(swarmctl(host, &format!("network create --attachable made-{round}"))?.0);
            Ok(())
        },
        |round| {
            peer.push_time(engine.docker(&format!("network create -d overlay --attachable made-{round}"))?.0);
            Ok(())
        },
    )?;
    for round in 0..ROUNDS {
        host.ctl(&format!("network rm made-{round}"))?.ok()?;
        engine.docker(&format!("network rm made-{round}"))?;
    }
    Ok(vec![Row::time("network create (command)", &ours, 10.0).beside_time("Docker", &ours, &peer)])
}
