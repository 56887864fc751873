//! Natural order: numbers inside names compare as numbers, so n2 comes before n10. Pure.

use std::cmp::Ordering;

/// Ignores case unless that is the only difference.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one, other);
    loop {
        let ((x, rest_a), (y, rest_b)) = (part(a), part(b));
        let order = match (number(x), number(y)) {
            (Some(m), Some(n)) => (m.len(), m).cmp(&(n.len(), n)),
            _ => x.to_lowercase().cmp(&y.to_lowercase()),
        };
        if order.is_ne() {
            return order;
        }
        if x.is_empty() {
            return one.cmp(other);
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// A run of digits, or of anything else, from the front.
fn part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// A run of digits without leading zeros: longer means greater, whatever its length.
fn number(part: &str) -> Option<&str> {
    part.starts_with(|c: char| c.is_ascii_digit()).then(|| part.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::natural;
    use proptest::prelude::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let mut names = vec!["n10", "n1", "n2", "N3", "n", "a", "n10b", "n010", "10", "9", "n1-2", "n1-10"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["9", "10", "a", "n", "n1", "n1-2", "n1-10", "n2", "N3", "n010", "n10", "n10b"]);
    }

    proptest! {
        /// A sort panics or lies without a total order.
        #[test]
        fn it_is_a_total_order(a in "[aA0-2é-]{0,6}", b in "[aA0-2é-]{0,6}", c in "[aA0-2é-]{0,6}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b).is_eq(), a == b);
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }
    }
}
