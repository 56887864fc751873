//! What a node says an operator should know of it, on its way into its record.
//! Knows: how often and how much of that is written. Must not know: what troubles nodes have.

use std::time::Duration;
use swarm_model::{Node, NodeState};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Each is an entry in the log: a node that says something else all the time is not followed.
const EVERY: Duration = Duration::from_secs(10);
const MOST_CHARACTERS: usize = 200;

#[derive(Default)]
pub struct Trouble {
    /// `None`: it has said nothing, or is too old to.
    said: Option<String>,
    noting: Option<JoinHandle<()>>,
    not_before: Option<Instant>,
}

impl Trouble {
    /// People will read it on their terminals.
    pub fn hear(&mut self, sentence: &str) {
        let shown = sentence.chars().map(|c| if c.is_control() { ' ' } else { c });
        self.said = Some(shown.take(MOST_CHARACTERS).collect());
    }

    /// What is to be written now, if anything: the record of a node that is here says something else.
    pub fn due(&self, record: Option<&Node>, now: Instant) -> Option<String> {
        let said = self.said.as_ref()?;
        let early = self.not_before.is_some_and(|at| now < at);
        if early || self.noting.as_ref().is_some_and(|task| !task.is_finished()) {
            return None;
        }
        let status = &record?.status;
        (status.state == NodeState::Ready && status.message != *said).then(|| said.clone())
    }

    pub fn noting(&mut self, task: JoinHandle<()>, now: Instant) {
        (self.noting, self.not_before) = (Some(task), Some(now + EVERY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: NodeState, message: &str) -> Node {
        let cluster = crate::leader::testing::of_level(2, &[(1, 2)]);
        let mut node = cluster.nodes().next().unwrap().clone();
        (node.status.state, node.status.message) = (state, message.into());
        node
    }

    #[tokio::test]
    async fn what_a_node_says_is_written_once_and_not_too_often() {
        let (now, mut trouble) = (Instant::now(), Trouble::default());
        let ready = record(NodeState::Ready, "");
        assert_eq!(trouble.due(Some(&ready), now), None, "one too old to say");
        trouble.hear("no\u{1b}[31m disk");
        let due = trouble.due(Some(&ready), now).unwrap();
        assert_eq!(due, "no [31m disk");
        assert_eq!(trouble.due(Some(&record(NodeState::Ready, &due)), now), None);
        assert_eq!(trouble.due(Some(&record(NodeState::Unknown, "")), now), None);
        let task = tokio::spawn(async {});
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
        trouble.noting(task, now);
        trouble.hear(&"x".repeat(5_000));
        assert_eq!(trouble.due(Some(&ready), now + EVERY / 2), None);
        assert_eq!(trouble.due(Some(&ready), now + EVERY).unwrap().len(), MOST_CHARACTERS);
        // It is over, and the record does not say so yet.
        trouble.hear("");
        assert_eq!(trouble.due(Some(&record(NodeState::Ready, "x")), now + EVERY), Some(String::new()));
    }
}
