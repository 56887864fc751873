//! How far the rotation of the root CA is: one line that is written over at a terminal. Must not know how it is asked for.

use crate::error::CliError;
use crate::render::words::some_of as names;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use swarm_proto::v1::RootRotation;

/// Nothing has moved for this long: those that are left will not come by themselves.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where nobody is left but those that are not here.
const PATIENCE_WITH_THE_ABSENT: Duration = Duration::from_secs(5);

pub struct Progress {
    terminal: bool,
    quiet: bool,
    renewed: Option<u32>,
    moved: Instant,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, quiet, renewed: None, moved: Instant::now() }
    }

    /// # Errors
    /// Nothing has moved for long; says who is waited for.
    pub fn show(&mut self, rotation: &RootRotation) -> Result<(), CliError> {
        if self.renewed != Some(rotation.renewed) {
            (self.renewed, self.moved) = (Some(rotation.renewed), Instant::now());
            self.write(&line(rotation));
        }
        let only_absent = rotation.waiting.is_empty() && !rotation.away.is_empty();
        let patience = if only_absent { PATIENCE_WITH_THE_ABSENT } else { PATIENCE };
        match self.moved.elapsed() < patience {
            true => Ok(()),
            false => {
                self.end_line();
                Err(CliError::Unavailable(stuck(rotation)))
            }
        }
    }

    pub fn done(&self) {
        self.write("rotated: every node has a certificate of the new root CA");
        self.end_line();
    }

    fn write(&self, line: &str) {
        // There is nobody to tell when this fails.
        let _ = match (self.quiet, self.terminal) {
            (true, _) => Ok(()),
            (false, true) => write!(std::io::stderr(), "\r\x1b[K{line}"),
            (false, false) => writeln!(std::io::stderr(), "{line}"),
        };
    }

    fn end_line(&self) {
        if self.terminal && !self.quiet {
            let _ = writeln!(std::io::stderr());
        }
    }
}

fn line(rotation: &RootRotation) -> String {
    let away = match rotation.away.as_slice() {
        [] => String::new(),
        away => format!("; not here: {}", names(away)),
    };
    format!("rotating: {} of {} nodes have a new certificate{away}", rotation.renewed, rotation.nodes)
}

fn stuck(rotation: &RootRotation) -> String {
    let mut why = Vec::new();
    if !rotation.away.is_empty() {
        why.push(format!(
            "{} not here: bring them back, or give them up with `swarmctl node rm`",
            names(&rotation.away)
        ));
    }
    if !rotation.waiting.is_empty() {
        why.push(format!(
            "{} here and without a new certificate: see `swarmctl info` on them",
            names(&rotation.waiting)
        ));
    }
    format!(
        "the rotation goes on by itself, and both root CAs count until it ends. {} of {} nodes have a new certificate; {}",
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
        assert_eq!(line(&rotation(&["h2"], &[])), "rotating: 4 of 5 nodes have a new certificate");
        assert_eq!(
            line(&rotation(&[], &["h4", "h5"])),
            "rotating: 3 of 5 nodes have a new certificate; not here: h4, h5"
        );
        let said = stuck(&rotation(&["h2"], &["h5"]));
        assert!(said.contains("h5 not here") && said.contains("h2 here"), "{said}");
    }
}
