//! Which sandbox, or which network of it, a reference means. Pure.

use super::record::{Link, Sandbox};
use crate::WorkerError;
use swarm_model::{Assigned, Network};

/// By full id, exact name (without case), or unique prefix of an id, in this order.
pub(crate) fn select<'a>(
    sandboxes: impl Iterator<Item = &'a Sandbox> + Clone,
    reference: &str,
) -> Result<&'a Sandbox, WorkerError> {
    let exact = |s: &&Sandbox| s.id.as_str() == reference || s.name.as_str().eq_ignore_ascii_case(reference);
    if let Some(found) = sandboxes.clone().find(exact) {
        return Ok(found);
    }
    let not_found =
        || WorkerError::NotFound { what: "sandbox", reference: reference.chars().take(80).collect() };
    if reference.is_empty() {
        return Err(not_found());
    }
    let mut matching = sandboxes.filter(|s| s.id.as_str().starts_with(reference));
    let first = matching.next().ok_or_else(not_found)?;
    match matching.count() {
        0 => Ok(first),
        more => {
            Err(WorkerError::Ambiguous { what: "sandbox", reference: reference.into(), matches: more + 1 })
        }
    }
}

/// The link of a sandbox to the network meant, by the network's id, name or unique id prefix, or as it was asked for.
pub(crate) fn select_link<'a>(
    sandbox: &'a Sandbox,
    assigned: &Assigned,
    reference: &str,
) -> Result<&'a Link, WorkerError> {
    let network = |link: &Link| -> Option<Network> { assigned.networks.get(&link.network?).cloned() };
    let exact = |link: &&Link| {
        link.reference == reference
            || link.network.is_some_and(|id| id.as_str() == reference)
            || network(link).is_some_and(|n| n.name().as_str().eq_ignore_ascii_case(reference))
    };
    if let Some(found) = sandbox.links.iter().find(exact) {
        return Ok(found);
    }
    let begins = |link: &&Link| link.network.is_some_and(|id| id.as_str().starts_with(reference));
    let mut matching = sandbox.links.iter().filter(begins).filter(|_| !reference.is_empty());
    match (matching.next(), matching.count()) {
        (Some(found), 0) => Ok(found),
        (Some(_), more) => {
            Err(WorkerError::Ambiguous { what: "network", reference: reference.into(), matches: more + 1 })
        }
        (None, _) => Err(WorkerError::Precondition(format!(
            "sandbox {} is not connected to a network {reference:?}",
            sandbox.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Origin, Phase};
    use super::*;
    use swarm_model::Id;

    fn sandbox(n: u8, name: &str) -> Sandbox {
        Sandbox {
            id: Id::from_random([n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]),
            name: name.parse().unwrap(),
            origin: Origin::Handle,
            phase: Phase::Running(None),
            hostname: name.into(),
            command: Vec::new(),
            created_ms: 0,
            gateway: None,
            links: Vec::new(),
        }
    }

    #[test]
    fn id_then_name_then_prefix() {
        let all = [sandbox(1, "one"), sandbox(2, "two"), sandbox(3, "three")];
        let find = |reference: &str| select(all.iter(), reference).map(|s| s.name.to_string());
        assert_eq!(find(all[1].id.as_str()).unwrap(), "two");
        assert_eq!(find("THREE").unwrap(), "three");
        assert_eq!(find(&all[0].id.as_str()[..20]).unwrap(), "one");
        assert!(matches!(find("0"), Err(WorkerError::Ambiguous { matches: 3, .. })));
        assert!(matches!(find(""), Err(WorkerError::NotFound { .. })));
        assert!(matches!(find("four"), Err(WorkerError::NotFound { .. })));
    }
}
