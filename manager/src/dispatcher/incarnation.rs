//! What a node says its keys are made with, on its way into its record. Knows: how often that is written. Must not know: what
//! keys are.

use std::time::Duration;
use swarm_model::{Incarnation, Node};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Each is an entry in the log, and news to others.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Told {
    /// `None`: it encrypts nothing, or is too old to.
    drawn: Option<Incarnation>,
    noting: Option<JoinHandle<()>>,
    not_before: Option<Instant>,
}

impl Told {
    pub fn hear(&mut self, drawn: Incarnation) {
        self.drawn = Some(drawn);
    }

    /// What is to be written now: the record says something else.
    pub fn due(&self, record: Option<&Node>, now: Instant) -> Option<Incarnation> {
        let early = self.not_before.is_some_and(|at| now < at);
        if early || self.noting.as_ref().is_some_and(|task| !task.is_finished()) {
            return None;
        }
        self.drawn.filter(|drawn| record.is_some_and(|node| node.incarnation != Some(*drawn)))
    }

    pub fn noting(&mut self, task: JoinHandle<()>, now: Instant) {
        (self.noting, self.not_before) = (Some(task), Some(now + EVERY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_written_once_and_not_too_often() {
        let cluster = crate::leader::testing::of_level(4, &[(1, 4)]);
        let mut record = cluster.nodes().next().unwrap().clone();
        let (now, mut told) = (Instant::now(), Told::default());
        assert_eq!(told.due(Some(&record), now), None);
        let [first, second] = [1, 2].map(|n| Incarnation([n; 16]));
        told.hear(first);
        assert_eq!(told.due(None, now), None);
        assert_eq!(told.due(Some(&record), now), Some(first));
        let task = tokio::spawn(async {});
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
        told.noting(task, now);
        record.incarnation = Some(first);
        told.hear(second);
        assert_eq!(told.due(Some(&record), now + EVERY / 2), None);
        assert_eq!(told.due(Some(&record), now + EVERY), Some(second));
        record.incarnation = Some(second);
        assert_eq!(told.due(Some(&record), now + EVERY), None);
    }
}
