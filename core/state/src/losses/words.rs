//! The judgement as sentences, each with what to do about it. Must not judge.

use super::exchange::Exchange;
use super::remedy::Promotion;
use super::{Losses, MOST_MANAGERS, majority};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl Losses {
    /// What an operator should know; nothing when all is well. A manager alone is a choice, and not warned about.
    pub fn warnings(&self) -> Vec<String> {
        let mut said = Vec::new();
        said.extend(self.absence());
        said.extend(self.fullness());
        // Nothing can be promoted or moved before they decide again.
        if !self.has_quorum() {
            return said;
        }
        said.extend(self.number());
        said.extend(self.placement());
        if !self.unplaced.is_empty() {
            let (verb, hosts) =
                (if self.unplaced.len() == 1 { "has" } else { "have" }, self.unplaced.join(", "));
            said.push(format!(
                "{hosts} {verb} no zone label, so what the loss of a zone would cost is not known: \
                 `swarmctl node update --label-add zone=NAME NODE`"
            ));
        }
        said
    }

    fn absence(&self) -> Option<String> {
        let verb = match self.away.len() {
            0 => return None,
            1 => "does",
            _ => "do",
        };
        let who = self.of_all(&self.away);
        Some(format!(
            "{who} {verb} not answer ({}): {}; start what is away again",
            self.away.join(", "),
            self.borne()
        ))
    }

    /// Whoever cannot write is no help to a decision, though it answers.
    fn fullness(&self) -> Option<String> {
        let (has, those) = match self.full.len() {
            0 => return None,
            1 => ("has", "there"),
            _ => ("have", "on each of them"),
        };
        let who = self.of_all(&self.full);
        Some(format!(
            "{who} {has} no room left on the disk under its Raft log ({}) and takes no changes: {}; make room {those}",
            self.full.join(", "),
            self.borne()
        ))
    }

    fn of_all(&self, those: &[String]) -> String {
        format!("{} of {} managers", those.len(), self.voters)
    }

    fn borne(&self) -> String {
        match self.survives() {
            _ if !self.has_quorum() => "the quorum is lost, and nothing can be changed".to_string(),
            0 => "the loss of no further one can be borne".to_string(),
            more => format!("the loss of {more} more can be borne{}", self.but_not_zones()),
        }
    }

    /// Where several losses at once are one zone.
    fn but_not_zones(&self) -> String {
        let known = |zone: &&String| !self.misplaced.iter().any(|(misplaced, _)| misplaced == *zone);
        let zones: Vec<&str> = self.fatal.iter().filter(known).map(String::as_str).collect();
        match zones.as_slice() {
            [] => String::new(),
            zones => format!(", but not that of zone {}", zones.join(" or ")),
        }
    }

    fn number(&self) -> Option<String> {
        let voters = self.voters;
        let text = match voters {
            0 | 1 => return None,
            2 => "2 managers bear the loss of none of them, as one alone would".to_string(),
            _ if voters > MOST_MANAGERS => {
                let (needed, most) = (majority(voters), MOST_MANAGERS);
                return Some(format!(
                    "{voters} managers are many: each change waits for {needed} of them, and {most} bear the loss of \
                     {}; demote some with `swarmctl node demote`",
                    most - majority(most)
                ));
            }
            _ if voters.is_multiple_of(2) => {
                format!("{voters} managers bear no more losses than {}", voters - 1)
            }
            _ => return None,
        };
        // Said with the places, if it mends these too.
        let advice = match &self.promotion {
            Some(Promotion { mends_places: true, .. }) if !self.misplaced.is_empty() => return Some(text),
            Some(promotion) => command(promotion),
            None if voters == 2 => "join a third one by `swarmctl join-token manager`".to_string(),
            None => "join one more by `swarmctl join-token manager`, or demote one".to_string(),
        };
        Some(format!("{text}: {advice}"))
    }

    fn placement(&self) -> Option<String> {
        let (zone, inside) = self.misplaced.first()?;
        let text = match *inside == self.voters {
            true => format!("all {inside} managers are in zone {zone}, and lost with it"),
            false => {
                let zones = self
                    .misplaced
                    .iter()
                    .map(|(zone, inside)| format!("{zone} ({inside} of {} managers)", self.voters));
                let zones: Vec<String> = zones.collect();
                format!("the loss of zone {} would lose the quorum", zones.join(" or "))
            }
        };
        let advice = match self.promotion.as_ref().filter(|promotion| promotion.mends_places) {
            Some(promotion) => command(promotion),
            None if self.exchange.is_some() => self.exchange.as_ref().map(commands).unwrap_or_default(),
            None => "no promotion of the workers there are mends that; join nodes of further zones, with `--label zone=NAME`"
                .to_string(),
        };
        Some(format!("{text}: {advice}"))
    }
}

/// In this order: in between there are more managers, not fewer.
fn commands(Exchange { promote, demote }: &Exchange) -> String {
    match promote.as_slice() {
        [] => format!("mended by `swarmctl node demote {}`", demote.join(" ")),
        promote => format!(
            "mended by `swarmctl node promote {}`, and `swarmctl node demote {}` once that is done",
            promote.join(" "),
            demote.join(" ")
        ),
    }
}

/// ``mended by `swarmctl node promote h4` (zone c)``.
fn command(promotion: &Promotion) -> String {
    let hosts: Vec<&str> = promotion.workers.iter().map(|(host, _)| host.as_str()).collect();
    let mut zones: Vec<&str> = promotion.workers.iter().filter_map(|(_, zone)| zone.as_deref()).collect();
    zones.dedup();
    let within = match zones.as_slice() {
        [] => String::new(),
        [zone] => format!(" (zone {zone})"),
        zones => format!(" (zones {})", zones.join(", ")),
    };
    format!("mended by `swarmctl node promote {}`{within}", hosts.join(" "))
}
