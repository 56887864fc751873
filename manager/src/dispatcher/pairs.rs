//! What two nodes make their keys from, put into an assignment on its way out: nowhere else is it held beside the cluster's
//! secrets, and each node gets what concerns it. Must not know which nodes are told of each other.

use ring::hkdf;
use std::collections::BTreeMap;
use swarm_model::{Assignment, Change, Generation, NodeId, PairRing, PairSecret, SecretRing};

const SALT: &[u8] = b"swarmd pair secret";

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        size_of::<PairSecret>()
    }
}

/// Puts the secrets in that `node` has with the others.
pub fn complete(assignment: &mut Assignment, node: NodeId, ring: &SecretRing) {
    match assignment {
        Assignment::Complete(whole) => {
            whole.pairs.values_mut().for_each(|pair| pair.ring = of_pair(ring, node, pair.node));
        }
        Assignment::Incremental { changes, .. } => changes.iter_mut().for_each(|change| {
            if let Change::PutPair(pair) = change {
                pair.ring = of_pair(ring, node, pair.node);
            }
        }),
    }
}

/// What is sent goes by the newest as soon as the other has it: who was removed knows those before.
fn of_pair(ring: &SecretRing, one: NodeId, other: NodeId) -> PairRing {
    let secret = |generation: &Generation| Some((generation.number, derive(generation, one, other)?));
    let secrets: BTreeMap<_, _> = ring.generations.iter().filter_map(secret).collect();
    PairRing { current: ring.newest(), secrets }
}

/// The same for both.
fn derive(generation: &Generation, one: NodeId, other: NodeId) -> Option<PairSecret> {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&generation.pairs.0);
    // Ids are of one length.
    let info = [low.as_str().as_bytes(), high.as_str().as_bytes()];
    let mut secret = PairSecret([0; 32]);
    root.expand(&info, Length).and_then(|okm| okm.fill(&mut secret.0)).ok()?;
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use swarm_model::{Assigned, Id, Pair, SecretBytes};

    fn ring() -> SecretRing {
        let mut ring = SecretRing::default();
        (1..=4).for_each(|n| ring.turn(u64::from(n), SecretBytes([n; 32]), SecretBytes([100 + n; 32])));
        ring
    }

    fn id(n: u8) -> NodeId {
        Id::from_random([n; 16])
    }

    #[test]
    fn both_get_the_same_and_no_two_pairs_do() {
        let ring = ring();
        let mut all = BTreeSet::new();
        for (one, other) in (0..25).map(|n| (n / 5, n % 5)).filter(|(one, other)| one < other) {
            let made = of_pair(&ring, id(one), id(other));
            assert_eq!(made, of_pair(&ring, id(other), id(one)));
            assert_eq!((made.current, made.secrets.len()), (4, 3));
            all.extend(made.secrets.values().map(|secret| secret.0));
        }
        assert_eq!(all.len(), 10 * 3);
        assert!(ring.generations.iter().all(|g| !all.contains(&g.pairs.0) && !all.contains(&g.gossip.0)));
    }

    #[test]
    fn wholes_and_changes_are_completed() {
        let bare = || Pair { node: id(2), incarnation: None, ring: PairRing::default() };
        let mut whole = Assigned::default();
        whole.pairs.insert(id(2), bare());
        let changes = vec![Change::PutPair(bare()), Change::DropPair(id(3))];
        let step = Assignment::Incremental { applies_to: 1, results_in: 2, changes };
        for mut assignment in [Assignment::Complete(whole), step] {
            complete(&mut assignment, id(1), &ring());
            let mut held = Assigned { revision: 1, ..Assigned::default() };
            held.take(assignment).unwrap();
            assert_eq!(held.pairs[&id(2)].ring, of_pair(&ring(), id(1), id(2)));
        }
    }
}
