//! Names (DNS labels) and labels (`key=value`), with their limits.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, de};

/// Most labels one object carries.
pub const MAX_LABELS: usize = 64;
/// Most bytes the keys and values of one object's labels have together.
pub const MAX_LABEL_BYTES: usize = 4096;
const MAX_DNS_LABEL: usize = 63;

/// True for a DNS label (RFC 1123 §2.1), `_` allowed inside as in Docker's names: 1–63 characters of
/// letters, digits, `-`, `_`, beginning and ending with a letter or digit.
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |c: &u8| c.is_ascii_alphanumeric() || *c == b'-' || *c == b'_';
    let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= MAX_DNS_LABEL && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

/// Most bytes of a DNS name as it is written.
pub const MAX_DNS_NAME: usize = 253;

/// True for labels as above with dots between them: the name of a host.
pub fn is_dns_name(text: &str) -> bool {
    text.len() <= MAX_DNS_NAME && text.split('.').all(is_dns_label)
}

/// The name of a network, an endpoint or an alias: a DNS label, kept as typed, compared without case.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct DnsName(String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    pub given: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a valid name: use 1 to {MAX_DNS_LABEL} letters, digits, '-' or '_', \
             beginning and ending with a letter or digit",
            self.given
        )
    }
}

impl core::error::Error for NameError {}

impl DnsName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower case: the form names are compared and looked up in.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for DnsName {
    type Err = NameError;
    fn from_str(given: &str) -> Result<Self, NameError> {
        if is_dns_label(given) {
            Ok(Self(given.to_string()))
        } else {
            Err(NameError { given: given.chars().take(80).collect() })
        }
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl PartialEq for DnsName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for DnsName {}
impl PartialOrd for DnsName {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for DnsName {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        fn lower(name: &DnsName) -> impl Iterator<Item = u8> + '_ {
            name.0.bytes().map(|byte| byte.to_ascii_lowercase())
        }
        lower(self).cmp(lower(other))
    }
}
impl<'de> Deserialize<'de> for DnsName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(|e: NameError| de::Error::custom(e.to_string()))
    }
}

/// Labels of one object, ordered by key.
pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelsError {
    TooMany { count: usize },
    TooLong { bytes: usize },
    EmptyKey,
}

impl fmt::Display for LabelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { count } => {
                write!(f, "{count} labels are too many: at most {MAX_LABELS} per object")
            }
            Self::TooLong { bytes } => {
                write!(f, "labels of {bytes} bytes are too long: at most {MAX_LABEL_BYTES} bytes per object")
            }
            Self::EmptyKey => f.write_str("a label's key must not be empty: write KEY=VALUE"),
        }
    }
}

impl core::error::Error for LabelsError {}

/// Checks the limits of one object's labels.
pub fn check_labels(labels: &Labels) -> Result<(), LabelsError> {
    let bytes: usize = labels.iter().map(|(k, v)| k.len() + v.len()).sum();
    if labels.len() > MAX_LABELS {
        Err(LabelsError::TooMany { count: labels.len() })
    } else if bytes > MAX_LABEL_BYTES {
        Err(LabelsError::TooLong { bytes })
    } else if labels.keys().any(String::is_empty) {
        Err(LabelsError::EmptyKey)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_and_equal_as_in_lower_case() {
        let all = ["a", "A", "a-b", "A-B", "ab", "aB", "b", "B", "a1", "A1", "Z", "z"];
        let names: alloc::vec::Vec<DnsName> = all.iter().map(|text| text.parse().unwrap()).collect();
        for one in &names {
            for other in &names {
                assert_eq!(one.cmp(other), one.key().cmp(&other.key()), "{one} {other}");
                assert_eq!(one == other, one.cmp(other).is_eq(), "{one} {other}");
            }
        }
    }
}
