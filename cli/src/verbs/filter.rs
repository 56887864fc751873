//! `-f key=value`: which of a list are shown. Pure. Values of one key are alternatives, different keys must all match.

use crate::error::CliError;
use crate::render::event::EventObject;
use crate::render::network::NetworkRow;
use crate::render::node::NodeRow;
use std::collections::BTreeMap;

type Filters = [(String, String)];

pub const NODE_KEYS: [&str; 5] = ["id", "name", "role", "label", "membership"];
pub const EVENT_KEYS: [&str; 6] = ["type", "event", "id", "name", "node", "network"];
pub const NETWORK_KEYS: [&str; 5] = ["id", "name", "driver", "scope", "label"];

/// Refuses keys that are not `known`, before anything is asked.
pub fn check(filters: &Filters, known: &[&str]) -> Result<(), CliError> {
    match filters.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        Some((key, _)) => Err(CliError::Usage(format!(
            "there is no filter {key:?}: expected one of {}, as in -f {}=VALUE",
            known.join(", "),
            known.first().unwrap_or(&"id"),
        ))),
        None => Ok(()),
    }
}

/// Refuses what no node can have: an empty list would look like an answer.
pub fn check_node_values(filters: &Filters) -> Result<(), CliError> {
    let allowed: [(&str, &[&str]); 2] =
        [("role", &["worker", "manager"]), ("membership", &["accepted", "pending"])];
    check_values("node", filters, &allowed)
}

/// As above: nothing would ever come.
pub fn check_event_values(filters: &Filters) -> Result<(), CliError> {
    check_values("event", filters, &[("type", &["node", "network", "endpoint", "cluster"])])
}

fn check_values(what: &str, filters: &Filters, allowed: &[(&str, &[&str])]) -> Result<(), CliError> {
    for (key, value) in filters {
        let Some((_, allowed)) = allowed.iter().find(|(known, _)| known == key) else { continue };
        if !allowed.contains(&value.as_str()) {
            return Err(CliError::Usage(format!(
                "no {what} has the {key} {value:?}: expected one of {}",
                allowed.join(", ")
            )));
        }
    }
    Ok(())
}

pub fn node(row: &NodeRow, filters: &Filters) -> bool {
    all_keys(filters, |key, value| match key {
        "id" => row.id.starts_with(value),
        "name" => contains(&row.hostname, value),
        "role" => row.role == value,
        "label" => label(&row.labels, value),
        // Whoever is listed was admitted by a token; nobody waits to be accepted.
        "membership" => value == "accepted",
        _ => false,
    })
}

pub fn network(row: &NetworkRow, filters: &Filters) -> bool {
    all_keys(filters, |key, value| match key {
        "id" => row.id.starts_with(value),
        "name" => contains(&row.name, value),
        "driver" => row.driver == value,
        "scope" => row.scope == value,
        "label" => label(&row.labels, value),
        _ => false,
    })
}

/// `node` and `network` are names or ids: of the thing itself, or of those an endpoint is on.
pub fn event(row: &EventObject, filters: &Filters) -> bool {
    let concerns = |of: &str, value: &str| match row.of == of {
        true => row.name == value || row.id.starts_with(value),
        false => row.attributes.get(of).is_some_and(|name| name == value),
    };
    all_keys(filters, |key, value| match key {
        "type" => row.of == value,
        "event" => row.action == value,
        "id" => row.id.starts_with(value),
        "name" => contains(&row.name, value),
        "node" | "network" => concerns(key, value),
        _ => false,
    })
}

/// Labels are the exception: an object carries many, so each one asked for must be there.
fn all_keys(filters: &Filters, matches: impl Fn(&str, &str) -> bool) -> bool {
    filters.iter().all(|(key, value)| {
        let same = |other: &&(String, String)| other.0 == *key && key != "label";
        matches(key, value) || filters.iter().filter(same).any(|(_, other)| matches(key, other))
    })
}

fn contains(name: &str, part: &str) -> bool {
    name.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// `key` or `key=value`.
fn label(labels: &BTreeMap<String, String>, asked: &str) -> bool {
    match asked.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|given| given == value),
        None => labels.contains_key(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn values_of_a_key_are_alternatives_and_keys_must_all_match() {
        let labels = BTreeMap::from([("rack".to_owned(), "a".to_owned()), ("ssd".to_owned(), String::new())]);
        let row = NodeRow {
            id: "abc".into(),
            hostname: "Web-1".into(),
            role: "worker".into(),
            labels,
            ..NodeRow::default()
        };
        for (pairs, expected) in [
            (&[][..], true),
            (&[("id", "ab")], true),
            (&[("id", "bc")], false),
            (&[("name", "web")], true),
            (&[("name", "db"), ("name", "web")], true),
            (&[("name", "web"), ("role", "manager")], false),
            (&[("role", "manager"), ("role", "worker")], true),
            (&[("label", "rack")], true),
            (&[("label", "rack=a"), ("label", "ssd")], true),
            (&[("label", "rack=a"), ("label", "gpu")], false),
            (&[("label", "rack=b")], false),
            (&[("membership", "accepted")], true),
            (&[("membership", "pending")], false),
        ] {
            assert_eq!(node(&row, &filters(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn values_that_nothing_can_have_are_refused() {
        for (key, value) in [("role", "nope"), ("role", ""), ("membership", "x")] {
            let error = check_node_values(&filters(&[("name", "a"), (key, value)])).unwrap_err();
            assert_eq!(error.exit_code(), 2);
        }
        let said = check_node_values(&filters(&[("role", "nope")])).unwrap_err().to_string();
        assert!(said.contains("worker, manager"), "{said}");
        let fine = [("role", "manager"), ("membership", "pending"), ("label", "x"), ("id", "y")];
        assert!(check_node_values(&filters(&fine)).is_ok());
    }

    #[test]
    fn an_event_concerns_a_node_and_a_network() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let endpoint = EventObject {
            of: "endpoint".into(),
            action: "create".into(),
            id: "e1".into(),
            name: "web".into(),
            attributes: [pair("node", "h1"), pair("network", "my_net")].into(),
            ..EventObject::default()
        };
        let node =
            EventObject { of: "node".into(), id: "n1".into(), name: "h1".into(), ..EventObject::default() };
        for (pairs, of_endpoint, of_node) in [
            (&[][..], true, true),
            (&[("node", "h1")], true, true),
            (&[("node", "n1")], false, true),
            (&[("network", "my_net")], true, false),
            (&[("type", "node"), ("type", "endpoint")], true, true),
            (&[("event", "create"), ("type", "endpoint")], true, false),
            (&[("name", "we")], true, false),
        ] {
            let filters = filters(pairs);
            assert_eq!(
                (event(&endpoint, &filters), event(&node, &filters)),
                (of_endpoint, of_node),
                "{pairs:?}"
            );
        }
        assert_eq!(check_event_values(&filters(&[("type", "service")])).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = check(&filters(&[("driver", "overlay")]), &NODE_KEYS).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("\"driver\"") && error.to_string().contains("membership"));
        assert!(check(&filters(&[("driver", "overlay")]), &NETWORK_KEYS).is_ok());
    }
}
