//! Which managers to try, in which order. Pure.

use swarm_model::{ManagerPeer, NodeId};

/// All known managers, each once: our own first, then those of the assignment beginning at a place that differs from
/// node to node (so that workers spread over managers), then those given to `join`.
pub(crate) fn candidates(
    node: NodeId,
    own: Option<&str>,
    assigned: &[ManagerPeer],
    seeds: &[String],
) -> Vec<String> {
    let mut peers: Vec<String> = assigned.iter().map(|peer| peer.addr.to_string()).collect();
    peers.sort();
    if !peers.is_empty() {
        let place = node.as_str().bytes().fold(0usize, |h, c| h.wrapping_mul(31).wrapping_add(c.into()));
        let places = peers.len();
        peers.rotate_left(place % places);
    }
    let mut all: Vec<String> = Vec::new();
    for addr in own.map(str::to_owned).into_iter().chain(peers).chain(seeds.iter().cloned()) {
        if !all.contains(&addr) {
            all.push(addr);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_model::Id;

    fn peer(n: u8) -> ManagerPeer {
        ManagerPeer { node: Id::from_random([n; 16]), addr: format!("192.0.2.{n}:2377").parse().unwrap() }
    }

    #[test]
    fn our_own_comes_first_and_nobody_twice() {
        let seeds = ["192.0.2.2:2377".to_owned(), "manager.example:2377".to_owned()];
        let all = candidates(
            Id::from_random([9; 16]),
            Some("192.0.2.3:2377"),
            &[peer(1), peer(2), peer(3)],
            &seeds,
        );
        assert_eq!(all.len(), 4);
        assert_eq!(all.first().map(String::as_str), Some("192.0.2.3:2377"));
        assert_eq!(all.last().map(String::as_str), Some("manager.example:2377"));
    }

    #[test]
    fn nodes_begin_with_different_managers() {
        let first =
            |n: u8| candidates(Id::from_random([n; 16]), None, &[peer(1), peer(2), peer(3)], &[]).remove(0);
        let firsts: std::collections::BTreeSet<String> = (0..30).map(first).collect();
        assert_eq!(firsts.len(), 3);
        assert_eq!(candidates(Id::from_random([1; 16]), None, &[], &[]), Vec::<String>::new());
    }
}
