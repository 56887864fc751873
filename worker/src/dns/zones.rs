//! The names of all networks assigned to this node. Knows: which network has which names. Must not know: packets, or
//! which sandbox asks.

use parking_lot::RwLock;
use std::collections::{HashMap, VecDeque};
use swarm_model::{Assigned, Change, Endpoint, EndpointId, Network, NetworkId, Revision, SandboxId};
use swarm_overlay::dns::{Answer, Kind, Order, Zone, answer};

/// Follows the assignment change by change; one endpoint's change costs the same on a small and on a large network.
#[derive(Default)]
pub(crate) struct Zones {
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    networks: HashMap<NetworkId, NetworkZone>,
    /// Where an endpoint's names are, for when it goes or moves.
    homes: HashMap<EndpointId, NetworkId>,
    /// Endpoints assigned but perhaps not reachable yet: their names are told once the kernel has their entries, so that
    /// the first packet to a name that is answered arrives.
    unrevealed: VecDeque<(Revision, Endpoint)>,
}

struct NetworkZone {
    zone: Zone,
    internal: bool,
}

impl Zones {
    /// Begins anew from the whole.
    pub(crate) fn reset(&self, assigned: &Assigned) {
        let mut table = Table::default();
        assigned.networks.values().for_each(|network| table.put_network(network));
        assigned.endpoints.values().for_each(|endpoint| table.put(endpoint));
        *self.table.write() = table;
    }

    /// New names wait for [`Zones::reveal`]; names that go, go at once.
    pub(crate) fn follow(&self, revision: Revision, changes: &[Change]) {
        let mut table = self.table.write();
        for change in changes {
            match change {
                Change::PutNetwork(network) => table.put_network(network),
                Change::DropNetwork(id) => drop(table.networks.remove(id)),
                Change::PutEndpoint(endpoint) => table.unrevealed.push_back((revision, endpoint.clone())),
                Change::DropEndpoint(id) => {
                    table.unrevealed.retain(|(_, endpoint)| endpoint.id != *id);
                    table.drop_endpoint(*id);
                }
                Change::PutPeer(_)
                | Change::DropPeer(_)
                | Change::Managers(_)
                | Change::Defaults(_)
                | Change::Role(_)
                | Change::PutMember(_)
                | Change::DropMember(_)
                | Change::PutPair(_)
                | Change::DropPair(_) => {}
            }
        }
    }

    /// The kernel has what was assigned up to `revision`.
    pub(crate) fn reveal(&self, revision: Revision) {
        let mut table = self.table.write();
        while table.unrevealed.front().is_some_and(|(since, _)| *since <= revision) {
            if let Some((_, endpoint)) = table.unrevealed.pop_front() {
                table.put(&endpoint);
            }
        }
    }

    /// The kernel has what this sandbox needs: it may ask for itself at once, whatever else is still being waited for.
    pub(crate) fn reveal_own(&self, sandbox: SandboxId) {
        let mut table = self.table.write();
        let (own, others): (VecDeque<_>, VecDeque<_>) =
            table.unrevealed.drain(..).partition(|(_, endpoint)| endpoint.sandbox == sandbox);
        table.unrevealed = others;
        own.iter().for_each(|(_, endpoint)| table.put(endpoint));
    }

    /// Asks those networks; the second answer is whether an unknown name may be asked for outside: only when one of
    /// them leads outside.
    pub(crate) fn ask(
        &self,
        networks: &[NetworkId],
        (name, kind): (&str, Kind),
        order: Order<'_>,
    ) -> (Answer, bool) {
        let table = self.table.read();
        let own = || networks.iter().filter_map(|id| table.networks.get(id));
        let outside = own().any(|network| !network.internal);
        (answer(own().map(|network| &network.zone), name, kind, order), outside)
    }
}

impl Table {
    fn put_network(&mut self, network: &Network) {
        // A network is written once and never changes; one that is there already keeps its endpoints.
        self.networks.entry(network.id).or_insert_with(|| NetworkZone {
            zone: Zone::new(network.name()),
            internal: network.spec.internal,
        });
    }

    fn put(&mut self, endpoint: &Endpoint) {
        if self.homes.get(&endpoint.id).is_some_and(|home| *home != endpoint.network) {
            self.drop_endpoint(endpoint.id);
        }
        if let Some(network) = self.networks.get_mut(&endpoint.network) {
            network.zone.put(endpoint);
            self.homes.insert(endpoint.id, endpoint.network);
        }
    }

    fn drop_endpoint(&mut self, id: EndpointId) {
        let home = self.homes.remove(&id);
        if let Some(network) = home.and_then(|home| self.networks.get_mut(&home)) {
            network.zone.drop_endpoint(id);
        }
    }
}
