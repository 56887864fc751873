//! Whose turn it is. Pure: whoever is listed now comes before whoever was listed once, however often sessions were lost.
//! Must not know: how anybody is reached.

/// The candidates tried since a session last worked.
#[derive(Debug, Default)]
pub(crate) struct Round {
    tried: Vec<String>,
    /// Those an operator named: they begin the round.
    named: Vec<String>,
}

impl Round {
    /// The first of the candidates that was not tried yet, named ones before all; from the beginning when all were.
    pub(crate) fn next(&mut self, candidates: &[String]) -> Option<String> {
        let untried = |addr: &&String| !self.tried.contains(addr);
        let mut left = candidates.iter().filter(untried);
        let next = left.clone().find(|addr| self.named.contains(addr)).or_else(|| left.next()).cloned();
        if next.is_none() {
            self.tried.clear();
        }
        next.or_else(|| candidates.first().cloned())
    }

    /// This one has had its turn; `worked`: in between there was a session, so that everybody else is as good as before.
    pub(crate) fn had(&mut self, addr: &str, worked: bool) {
        if worked {
            self.tried.clear();
        }
        if !self.tried.iter().any(|tried| tried == addr) {
            self.tried.push(addr.to_owned());
        }
    }

    /// Begins anew, with these.
    pub(crate) fn begin_with(&mut self, named: Vec<String>) {
        (self.tried, self.named) = (Vec::new(), named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn turns(round: &mut Round, candidates: &[String], count: usize) -> Vec<String> {
        let mut turn = |_| {
            let addr = round.next(candidates).unwrap();
            round.had(&addr, false);
            addr
        };
        (0..count).map(&mut turn).collect()
    }

    #[test]
    fn those_listed_first_come_first_after_every_session() {
        let candidates = all(&["a", "b", "past1", "past2"]);
        let mut round = Round::default();
        round.had("a", true);
        assert_eq!(turns(&mut round, &candidates, 2), ["b", "past1"]);
        // Past addresses are not tried before those listed because it was their turn.
        round.had("b", true);
        assert_eq!(turns(&mut round, &candidates, 5), ["a", "past1", "past2", "a", "b"]);
        assert_eq!(Round::default().next(&[]), None);
    }

    #[test]
    fn whoever_was_named_begins() {
        let candidates = all(&["a", "b", "named"]);
        let mut round = Round::default();
        round.had("a", true);
        round.begin_with(all(&["named"]));
        assert_eq!(turns(&mut round, &candidates, 3), ["named", "a", "b"]);
    }
}
