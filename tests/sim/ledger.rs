//! What must be true of every entry that enters the log, kept here a second time and more simply than in the state:
//! who holds which address, and how long each released one has rested.

use std::collections::BTreeMap;
use std::net::IpAddr;
use swarm_model::{Endpoint, EndpointId, MacAddr, NetworkId, RequestId};
use swarm_state::{Applied, Command, Entry, Event, REMEMBER_MS, REST_MS, Reply, State};

/// What one entry's clock counts at most.
const LONGEST_STEP_MS: u64 = 60_000;

#[derive(Default)]
pub struct Ledger {
    endpoints: BTreeMap<EndpointId, Endpoint>,
    held: BTreeMap<(NetworkId, IpAddr), EndpointId>,
    macs: BTreeMap<(NetworkId, MacAddr), EndpointId>,
    /// When an address was released, in steps of the clocks as they passed.
    released: BTreeMap<(NetworkId, IpAddr), u64>,
    /// The first answer to each request, and when it was given.
    answers: BTreeMap<RequestId, (u64, Reply)>,
    time_ms: u64,
    wall_ms: u64,
}

impl Ledger {
    /// `state` is the one after the entry.
    pub fn enter(
        &mut self,
        entry: &Entry,
        Applied { reply, events }: &Applied,
        state: &State,
    ) -> Result<(), String> {
        // Backwards steps count nothing and forward ones are bounded, or one wrong clock would end every rest.
        self.time_ms += entry.now_ms.saturating_sub(self.wall_ms).min(LONGEST_STEP_MS);
        self.wall_ms = entry.now_ms;
        self.compare(entry, reply)?;
        for event in events {
            match event {
                Event::EndpointCreated { endpoint, .. } => {
                    let endpoint =
                        state.endpoint(endpoint).ok_or("an endpoint was made, but is not there")?;
                    self.add(endpoint, entry)?;
                }
                Event::EndpointReleased { endpoint, .. } => self.remove(*endpoint)?,
                Event::NetworkRemoved(network) => self.forget(*network)?,
                Event::DefaultsChanged
                | Event::ManagersChanged
                | Event::LockChanged
                | Event::RingChanged
                | Event::MemberChanged(_)
                | Event::IncarnationChanged(_)
                | Event::NodeChanged(_)
                | Event::NodeRemoved(_)
                | Event::RoleChanged(_)
                | Event::PeerChanged(_)
                | Event::NetworkCreated(_)
                | Event::PresenceChanged { .. } => {}
            }
        }
        if self.endpoints.len() == state.endpoints().len() {
            Ok(())
        } else {
            Err(format!(
                "{} endpoints by events, {} in the state",
                self.endpoints.len(),
                state.endpoints().len()
            ))
        }
    }

    /// Asked again, a request gets the answer it got first, for as long as that is kept.
    fn compare(&mut self, entry: &Entry, reply: &Reply) -> Result<(), String> {
        let Some(request) = entry.request else { return Ok(()) };
        let (at_ms, first) = self.answers.entry(request).or_insert_with(|| (self.time_ms, reply.clone()));
        if *at_ms + REMEMBER_MS <= self.time_ms {
            (*at_ms, *first) = (self.time_ms, reply.clone());
        }
        if first == reply { Ok(()) } else { Err(format!("answered {reply:?}, and {first:?} before")) }
    }

    /// Answered so long ago that the answer may not be remembered when the next entry is applied.
    pub fn is_forgotten(&self, request: &RequestId) -> bool {
        self.answers
            .get(request)
            .is_some_and(|(at_ms, _)| at_ms + REMEMBER_MS <= self.time_ms + LONGEST_STEP_MS)
    }

    fn add(&mut self, endpoint: &Endpoint, entry: &Entry) -> Result<(), String> {
        let Command::CreateEndpoints(asked) = &entry.command else {
            return Err(format!("{} was made by {:?}", endpoint.id, entry.command.verb()));
        };
        let asked =
            asked.endpoints.iter().find(|new| new.id == endpoint.id).ok_or("made, but not asked for")?;
        for ip in endpoint.ips() {
            let place = (endpoint.network, ip);
            if let Some(other) = self.held.insert(place, endpoint.id) {
                return Err(format!("{ip} was given to {} while {other} holds it", endpoint.id));
            }
            let rested = self.released.remove(&place).map(|at| self.time_ms - at);
            if asked.ip != Some(ip) && rested.is_some_and(|rested| rested < REST_MS) {
                return Err(format!("{ip} was given out unasked after {rested:?} ms"));
            }
        }
        if let Some(other) = self.macs.insert((endpoint.network, endpoint.mac), endpoint.id) {
            return Err(format!("{} has the MAC of {other}", endpoint.id));
        }
        self.endpoints.insert(endpoint.id, endpoint.clone());
        Ok(())
    }

    fn remove(&mut self, id: EndpointId) -> Result<(), String> {
        let endpoint = self.endpoints.remove(&id).ok_or("an endpoint was released that was not there")?;
        self.macs.remove(&(endpoint.network, endpoint.mac));
        for ip in endpoint.ips() {
            self.held.remove(&(endpoint.network, ip));
            self.released.insert((endpoint.network, ip), self.time_ms);
        }
        Ok(())
    }

    fn forget(&mut self, network: NetworkId) -> Result<(), String> {
        self.released.retain(|(of, _), _| *of != network);
        match self.endpoints.values().find(|endpoint| endpoint.network == network) {
            Some(endpoint) => Err(format!("network {network} was removed under {}", endpoint.id)),
            None => Ok(()),
        }
    }

    /// Addresses released of late, to be asked for by name.
    pub fn released(&self) -> Vec<(NetworkId, IpAddr)> {
        self.released.keys().copied().collect()
    }
}
