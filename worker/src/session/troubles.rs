//! Why there is no session: of what the managers' addresses came to, the word that tells most, and the same one for as long as
//! nothing better is known. Pure; the caller says what time it is.

use std::time::{Duration, Instant};

/// How much a failure tells; a later one of an address takes the place of one that tells as much or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Nobody was reached, or nobody who speaks as a manager of this cluster.
    Unreachable,
    /// A manager answered that it cannot now.
    NotNow,
    /// A manager has decided against this node.
    Refused,
}

/// Why an attempt or a session ended, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) weight: Weight,
    pub(crate) said: String,
}

/// So long a word counts after it was said: each known address has had its turn by then.
const KEPT: Duration = Duration::from_secs(30);
/// Addresses whose last word is kept.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Troubles {
    last: Vec<(String, Trouble, Instant)>,
}

impl Troubles {
    pub(crate) fn note(&mut self, addr: &str, trouble: Trouble, now: Instant) {
        self.last.retain(|(_, _, at)| now.saturating_duration_since(*at) < KEPT);
        if let Some((_, before, at)) = self.last.iter_mut().find(|(known, _, _)| known == addr) {
            // What a refused node is told next is often that it asks too often.
            if before.weight <= trouble.weight {
                (*before, *at) = (trouble, now);
            }
        } else if self.last.len() < MOST {
            self.last.push((addr.to_owned(), trouble, now));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.last.clear();
    }

    /// Of those that tell most, that of the first address in order.
    pub(crate) fn telling(&self) -> Option<&Trouble> {
        let heavier = |(a_addr, a, _): &&(String, Trouble, Instant),
                       (b_addr, b, _): &&(String, Trouble, Instant)| {
            a.weight.cmp(&b.weight).then_with(|| b_addr.cmp(a_addr))
        };
        self.last.iter().max_by(heavier).map(|(_, trouble, _)| trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(weight: Weight, said: &str) -> Trouble {
        Trouble { weight, said: said.to_owned() }
    }

    #[test]
    fn a_refusal_stands_while_others_are_silent_or_busy() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let said = |troubles: &Troubles| troubles.telling().map(|trouble| trouble.said.clone());
        assert_eq!(said(&troubles), None);
        troubles.note("h1", trouble(Weight::Unreachable, "h1 is silent"), at(0));
        assert_eq!(said(&troubles).as_deref(), Some("h1 is silent"));
        for second in 1..25 {
            troubles.note("h2", trouble(Weight::Refused, "h2: removed"), at(second));
            troubles.note("h2", trouble(Weight::NotNow, "h2: too often"), at(second));
            troubles.note("h1", trouble(Weight::Unreachable, "h1 is silent"), at(second));
            troubles.note("h3", trouble(Weight::Refused, "h3: removed"), at(second));
            assert_eq!(said(&troubles).as_deref(), Some("h2: removed"));
        }
        // Long ago.
        troubles.note("h1", trouble(Weight::Unreachable, "h1 is silent"), at(60));
        assert_eq!(said(&troubles).as_deref(), Some("h1 is silent"));
        troubles.clear();
        assert_eq!(said(&troubles), None);
    }

    #[test]
    fn there_is_a_bound() {
        let (mut troubles, now) = (Troubles::default(), Instant::now());
        for n in 0..1_000 {
            troubles.note(&format!("h{n}"), trouble(Weight::Unreachable, "no"), now);
        }
        assert_eq!(troubles.last.len(), MOST);
    }
}
