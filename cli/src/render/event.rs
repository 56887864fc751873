//! Events as printed, one line each.

use super::time::rfc3339;
use super::{Object, View};
use serde::Serialize;
use std::collections::BTreeMap;
use swarm_proto::v1;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventObject {
    pub time: String,
    #[serde(rename = "Type")]
    pub of: String,
    pub action: String,
    #[serde(rename = "ID")]
    pub id: String,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
}

impl EventObject {
    pub fn new(event: v1::ClusterEvent) -> Self {
        Self {
            time: rfc3339(event.at_ms),
            of: event.r#type,
            action: event.action,
            id: event.id,
            name: event.name,
            attributes: event.attributes,
        }
    }
}

impl View for EventObject {
    fn example() -> Self {
        Self::default()
    }
}

impl Object for EventObject {
    fn id(&self) -> &str {
        &self.id
    }

    /// `TIME TYPE ACTION ID (name=…, KEY=VALUE…)`, as `docker events` does.
    fn pretty(&self) -> String {
        let name = (!self.name.is_empty()).then(|| format!("name={}", self.name));
        let pairs = self.attributes.iter().map(|(key, value)| format!("{key}={value}"));
        let told: Vec<String> = name.into_iter().chain(pairs).collect();
        let words = [&self.time, &self.of, &self.action, &self.id].map(String::as_str);
        let mut line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if !told.is_empty() {
            line += &format!(" ({})", told.join(", "));
        }
        line.chars().map(|c| if c.is_control() { ' ' } else { c }).chain(['\n']).collect()
    }
}
