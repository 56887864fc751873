//! What this host's certificate needs next. Pure: must not know the clock, disks or managers.

use swarm_identity::CaDigest;

/// Why a certificate is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Another root issues now.
    Root,
    /// It is old enough.
    Age,
    /// It has run out, or was made by a clock far ahead and holds only later: nobody takes it, only its key.
    OutOfTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Rest {
        for_ms: u64,
    },
    /// Take the roots that were told.
    Trust,
    Renew {
        due: Due,
    },
}

pub struct Now<'a> {
    /// By the cluster's clock.
    pub now_ms: u64,
    pub renew_at_ms: u64,
    /// The certificate's validity.
    pub from_ms: u64,
    pub until_ms: u64,
    /// It was renewed a moment ago: what the clock asks for waits, or a wrong one would ask without end.
    pub settling: bool,
    /// PEM: the roots a manager has named; empty: none has.
    pub told: &'a str,
    pub trusted: String,
    /// The root that has issued the certificate in use, if it is trusted.
    pub issuing: Option<CaDigest>,
    /// The one that issues new ones.
    pub told_issuing: Option<CaDigest>,
}

pub fn next(now: &Now<'_>) -> Step {
    let out_of_time = !(now.from_ms..now.until_ms).contains(&now.now_ms);
    // First: what comes under new roots must be understood when it comes.
    if !now.told.is_empty() && now.told != now.trusted {
        return Step::Trust;
    }
    if now.told_issuing.is_some() && now.told_issuing != now.issuing && !out_of_time {
        return Step::Renew { due: Due::Root };
    }
    match now.renew_at_ms.saturating_sub(now.now_ms) {
        0 if now.settling => Step::Rest { for_ms: u64::MAX },
        _ if out_of_time && now.settling => Step::Rest { for_ms: u64::MAX },
        _ if out_of_time => Step::Renew { due: Due::OutOfTime },
        0 => Step::Renew { due: Due::Age },
        for_ms => Step::Rest { for_ms },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Option<CaDigest> = Some(CaDigest::from_bytes([1; 32]));
    const NEW: Option<CaDigest> = Some(CaDigest::from_bytes([2; 32]));

    fn at(now_ms: u64) -> Now<'static> {
        Now {
            now_ms,
            renew_at_ms: 60,
            from_ms: 5,
            until_ms: 100,
            settling: false,
            told: "",
            trusted: "old".into(),
            issuing: OLD,
            told_issuing: None,
        }
    }

    #[test]
    fn s71_a_certificate_rests_until_its_moment() {
        assert_eq!(next(&at(10)), Step::Rest { for_ms: 50 });
        assert_eq!(next(&at(60)), Step::Renew { due: Due::Age });
        assert_eq!(next(&at(100)), Step::Renew { due: Due::OutOfTime });
        assert!(matches!(next(&Now { settling: true, ..at(60) }), Step::Rest { .. }));
        assert!(matches!(next(&Now { settling: true, ..at(2) }), Step::Rest { .. }));
        // Made while a clock was years ahead.
        assert_eq!(next(&at(2)), Step::Renew { due: Due::OutOfTime });
    }

    #[test]
    fn s67_roots_are_taken_first_and_then_a_certificate_of_the_new_one() {
        let rotating = |trusted: &str, issuing| Now {
            told: "old+new",
            told_issuing: NEW,
            trusted: trusted.into(),
            issuing,
            ..at(10)
        };
        assert_eq!(next(&rotating("old", OLD)), Step::Trust);
        assert_eq!(next(&rotating("old+new", OLD)), Step::Renew { due: Due::Root });
        assert_eq!(next(&rotating("old+new", NEW)), Step::Rest { for_ms: 50 });
        // Another rotation took the place of the one it had followed.
        assert_eq!(next(&rotating("old+new", None)), Step::Renew { due: Due::Root });
        assert_eq!(
            next(&Now { now_ms: 100, ..rotating("old+new", OLD) }),
            Step::Renew { due: Due::OutOfTime }
        );
    }
}
