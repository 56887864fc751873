//! How far the rotation of the root CA is: one line that is written over at a terminal. Must not know how it is asked for.

use crate::error::CliError;
use crate::render::words::{rotation as so_far, some_of};
use crate::verbs::say;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use swarm_proto::v1::RootRotation;

/// Who is not at a terminal cannot see how far it is, nor end the wait: nothing has moved for this long, and those that are
/// left will not come by themselves.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where nobody is left but those that are not here.
const PATIENCE_WITH_THE_ABSENT: Duration = Duration::from_secs(5);

pub struct Progress {
    terminal: bool,
    quiet: bool,
    shown: String,
    renewed: Option<u32>,
    moved: Instant,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, quiet, shown: String::new(), renewed: None, moved: Instant::now() }
    }

    /// # Errors
    /// Nobody is at a terminal, and nothing has moved for long; says who is waited for.
    pub fn show(&mut self, rotation: &RootRotation) -> Result<(), CliError> {
        if self.renewed != Some(rotation.renewed) {
            (self.renewed, self.moved) = (Some(rotation.renewed), Instant::now());
        }
        self.write(format!("Root rotation {}", so_far(rotation)));
        match self.terminal || self.moved.elapsed() < patience(rotation) {
            true => Ok(()),
            false => Err(CliError::Unavailable(stuck(rotation))),
        }
    }

    pub fn done(&mut self) {
        self.write("rotated: every node has a certificate of the new root CA".to_owned());
        self.end_line();
    }

    /// Ctrl-C ends the wait, and nothing else.
    pub fn interrupted(&self) {
        self.end_line();
        say("The rotation goes on by itself: `swarmctl ca` and `swarmctl info` show how far it is.");
    }

    fn write(&mut self, line: String) {
        if self.terminal && !self.quiet && self.shown != line {
            // There is nobody to tell when this fails.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
            self.shown = line;
        }
    }

    fn end_line(&self) {
        if !self.shown.is_empty() {
            say("");
        }
    }
}

fn patience(rotation: &RootRotation) -> Duration {
    match rotation.waiting.is_empty() && !rotation.away.is_empty() {
        true => PATIENCE_WITH_THE_ABSENT,
        false => PATIENCE,
    }
}

fn stuck(rotation: &RootRotation) -> String {
    let mut why = Vec::new();
    let (them, away) = (if rotation.away.len() == 1 { "it" } else { "them" }, &rotation.away);
    if !away.is_empty() {
        why.push(format!(
            "not here: {} (bring {them} back, or give {them} up with `swarmctl node rm`)",
            some_of(away)
        ));
    }
    if !rotation.waiting.is_empty() {
        why.push(format!(
            "here and without a new certificate: {} (see `swarmctl info` there)",
            some_of(&rotation.waiting)
        ));
    }
    format!(
        "the rotation goes on by itself, and both root CAs count until it ends: {} of {} nodes have a new certificate; {}. \
         `swarmctl ca` shows how far it is",
        rotation.renewed,
        rotation.nodes,
        why.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(waiting: &[&str], away: &[&str]) -> RootRotation {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        RootRotation {
            nodes: 5,
            renewed: 5 - u32::try_from(waiting.len() + away.len()).unwrap(),
            waiting: owned(waiting),
            away: owned(away),
            ..RootRotation::default()
        }
    }

    #[test]
    fn f24_nodes_that_are_not_here_are_named() {
        assert_eq!(so_far(&rotation(&["h2"], &[])), "in progress: 4 of 5 nodes, missing: h2");
        let both = rotation(&["h2"], &["h4", "h5"]);
        assert_eq!(so_far(&both), "in progress: 2 of 5 nodes, missing: h2, h4 (not here), h5 (not here)");
        let said = stuck(&both);
        assert!(said.contains("not here: h4, h5 (bring them back"), "{said}");
        assert!(said.contains("without a new certificate: h2 (see"), "{said}");
        assert!(stuck(&rotation(&[], &["h5"])).contains("h5 (bring it back"));
    }

    #[test]
    fn f24_only_who_is_at_a_terminal_waits_for_those_who_do_not_come() {
        let long_ago = Instant::now().checked_sub(PATIENCE_WITH_THE_ABSENT + Duration::from_secs(1)).unwrap();
        let waits = |terminal, rotation: &RootRotation| {
            let renewed = Some(rotation.renewed);
            let shown = String::new();
            Progress { terminal, quiet: true, shown, renewed, moved: long_ago }.show(rotation).is_ok()
        };
        let absent = rotation(&[], &["h5"]);
        assert!(waits(true, &absent) && !waits(false, &absent));
        assert!(waits(false, &rotation(&["h2"], &["h5"])), "somebody is about to renew");
    }
}
