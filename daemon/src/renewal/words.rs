//! What an operator should know of this host's certificate, clock and peers, as sentences. Must not know how any of it is
//! mended.

use super::cluster_time_ms;
use crate::running::Running;

const MINUTE_MS: u64 = 60_000;
/// Before the end of the root CA.
const ROOT_WARNING_MS: u64 = 30 * 24 * 60 * MINUTE_MS;
/// Certificates bear so much.
const HARMLESS_MS: u64 = 30 * MINUTE_MS;

/// For `info`; empty while all is well.
pub fn warnings(running: &Running) -> Vec<String> {
    let until_ms = running.credentials.validity().until_ms;
    let trouble = running.renewals.trouble();
    let certificate = renewal(&trouble, until_ms, cluster_time_ms(running));
    let root = running.credentials.root_until_ms().and_then(|until| root(until, cluster_time_ms(running)));
    let clock = running.worker.status().clock_ahead_ms.and_then(clock);
    let reach = out_of_reach(&running.worker.status().out_of_reach);
    certificate.into_iter().chain(root).chain(clock).chain(reach).collect()
}

fn renewal(trouble: &str, until_ms: u64, now_ms: u64) -> Option<String> {
    let valid = match until_ms.checked_sub(now_ms) {
        Some(left) => format!("it is valid for another {}", span(left)),
        None => format!("it ran out {} ago", span(now_ms - until_ms)),
    };
    (!trouble.is_empty()).then(|| {
        format!("this node's certificate cannot be renewed ({valid}), and is tried again: {trouble}")
    })
}

/// Of a root CA that ends soon: an operator has to do something about it, and some time to do it in.
fn root(until_ms: u64, now_ms: u64) -> Option<String> {
    let when = match until_ms.checked_sub(now_ms) {
        Some(left) if left >= ROOT_WARNING_MS => return None,
        Some(left) => format!("ends in {}", span(left)),
        None => format!("ended {} ago", span(now_ms - until_ms)),
    };
    Some(format!(
        "the cluster's root CA {when}, and no certificate outlives it: replace it by `swarmctl ca --rotate`, or prolong one of \
         your own by `swarmctl ca --rotate --ca-cert FILE --ca-key FILE`"
    ))
}

fn out_of_reach(nodes: &[String]) -> Option<String> {
    const NAMED: usize = 5;
    let named = nodes.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match nodes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!nodes.is_empty()).then(|| {
        format!(
            "sandboxes here reach none on {named}{more}: this host's data-path address is of another family, or that is no \
             host's; give each node one of the same family with --data-path-addr"
        )
    })
}

/// Of a clock that is further off than certificates bear.
pub fn clock(ahead_ms: i64) -> Option<String> {
    let which = if ahead_ms < 0 { "behind" } else { "ahead of" };
    (ahead_ms.unsigned_abs() > HARMLESS_MS).then(|| {
        format!(
            "this host's clock is {} {which} its manager's: set it, certificates bear no more than {}",
            span(ahead_ms.unsigned_abs()),
            span(HARMLESS_MS)
        )
    })
}

/// `2 d 3 h`, `2 h 5 min`, `47 min`.
fn span(ms: u64) -> String {
    let minutes = ms / MINUTE_MS;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_half_an_hour_is_harmless_and_more_is_told_as_measured() {
        let half = i64::try_from(HARMLESS_MS).unwrap();
        assert_eq!((clock(half), clock(-half)), (None, None));
        let said = clock(2 * 3_600_000 + 5 * 60_000).unwrap();
        assert!(said.contains("2 h 5 min ahead of its manager's"), "{said}");
        let said = clock(-(half + 17 * 60_000)).unwrap();
        assert!(said.contains("47 min behind its manager's"), "{said}");
    }

    #[test]
    fn s70_a_root_that_ends_soon_is_warned_of() {
        assert_eq!(root(ROOT_WARNING_MS, 0), None);
        let said = root(ROOT_WARNING_MS - MINUTE_MS, 0).unwrap();
        assert!(said.contains("ends in 29 d 23 h") && said.contains("ca --rotate"), "{said}");
        assert!(root(0, 2 * MINUTE_MS).unwrap().contains("ended 2 min ago"));
    }

    #[test]
    fn f20_a_renewal_that_keeps_failing_says_how_long_it_may() {
        assert_eq!(renewal("", 100, 0), None);
        let said = renewal("nobody answers", 3 * 86_400_000, 0).unwrap();
        assert!(said.contains("valid for another 3 d 0 h") && said.ends_with("nobody answers"), "{said}");
        assert!(renewal("nobody answers", 0, 120_000).unwrap().contains("ran out 2 min ago"));
    }
}
