//! Single values as typed: durations, labels, sockets. Knows their syntax; must not know which flag they belong to.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// The local daemon, at its socket.
    Socket(PathBuf),
    /// A manager, by `HOST:PORT`.
    Manager(String),
}

/// Where managers listen unless they are told otherwise.
const PORT: u16 = 2377;

/// `unix:///path/to/socket` or `tcp://HOST[:PORT]`.
pub fn host(given: &str) -> Result<Host, String> {
    match (given.strip_prefix("unix://"), given.strip_prefix("tcp://")) {
        (Some(path), _) if path.starts_with('/') => Ok(Host::Socket(path.into())),
        (_, Some(addr)) => manager(addr).map(|addr| Host::Manager(with_port(&addr))),
        _ => Err(
            "expected unix:// and an absolute path, as in unix:///run/swarmd/swarmd.sock, or tcp://HOST:PORT"
                .into(),
        ),
    }
}

fn with_port(addr: &str) -> String {
    match addr.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{PORT}"),
        Err(_) if addr.ends_with(']') || !addr.contains(':') => format!("{addr}:{PORT}"),
        Err(_) => addr.to_owned(),
    }
}

/// A number of things, where the parser's own words would not say what is expected.
pub fn count<N: FromStr>(given: &str) -> Result<N, String> {
    given.parse().map_err(|_| "expected a whole number, as in 10000".to_owned())
}

/// A duration as `90m`, `1h30m`, `2160h0m0s`, `1.5s` or `500ms`, in milliseconds. Units: d, h, m, s, ms.
pub fn duration_ms(given: &str) -> Result<u64, String> {
    let wrong = || "expected a duration as in 90s, 1h30m or 30d (units: d, h, m, s, ms)".to_owned();
    let mut rest = given;
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        total += number.parse::<f64>().map_err(|_| wrong())? * unit_ms(unit).ok_or_else(wrong)?;
        rest = next;
    }
    // A hundred years is beyond every limit these flags have, and far from where floating point gets coarse. Nothing at
    // all is a duration too: how long it must be, each flag says.
    const MOST_MS: f64 = 100.0 * 365.0 * 86_400_000.0;
    let whole = total.round();
    match !given.is_empty() && (0.0..=MOST_MS).contains(&whole) {
        true => Ok(whole as u64),
        false => Err(wrong()),
    }
}

fn unit_ms(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    })
}

/// `KEY=VALUE`; a key alone has the empty value.
pub fn label(given: &str) -> Result<(String, String), String> {
    let (key, value) = given.split_once('=').unwrap_or((given, ""));
    match key.is_empty() {
        true => Err("a key must not be empty: write KEY=VALUE".into()),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

/// `KEY=VALUE` of an environment.
pub fn env(given: &str) -> Result<(String, String), String> {
    match given.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

/// `NAME=IP`.
pub fn aux_address(given: &str) -> Result<(String, IpAddr), String> {
    let wrong = || "expected NAME=IP as in router=10.0.1.5".to_owned();
    let (name, ip) = given.split_once('=').ok_or_else(wrong)?;
    match (name, ip.parse()) {
        ("", _) | (_, Err(_)) => Err(wrong()),
        (name, Ok(ip)) => Ok((name.to_owned(), ip)),
    }
}

/// A host name as `sethostname(2)` takes it and DNS can carry it: labels separated by dots, 64 characters at most.
pub fn hostname(given: &str) -> Result<String, String> {
    match given.len() <= 64 && given.split('.').all(swarm_model::is_dns_label) {
        true => Ok(given.to_owned()),
        false => Err("expected letters, digits, '-' and '.', 64 characters at most".into()),
    }
}

/// An address flag's text, which the daemon will understand: it alone knows this host's interfaces.
pub fn address(given: &str) -> Result<String, String> {
    match given.trim() {
        "" => Err("must not be empty".into()),
        text => Ok(text.to_owned()),
    }
}

/// `HOST:PORT`, or `HOST` alone: where a manager is. What a name stands for, the daemon finds out.
pub fn manager(given: &str) -> Result<String, String> {
    let text = address(given)?;
    let whole = text.parse::<Ipv6Addr>().is_ok() || text.ends_with(']');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !whole => (host, Some(port)),
        _ => (text.as_str(), None),
    };
    if port.is_some_and(|port| port.starts_with('+') || port.parse::<NonZeroU16>().is_err()) {
        return Err("expected HOST:PORT with a port from 1 to 65535".into());
    }
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let known = match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && (port.is_none() || !host.contains(':')),
    };
    match known {
        true => Ok(text),
        false => Err("expected HOST:PORT, an IPv6 address in brackets, as in [2001:db8::1]:2377".into()),
    }
}

/// A name or id as typed.
pub fn reference(given: &str) -> Result<String, String> {
    match given {
        "" => Err("a name or id must not be empty".into()),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(duration_ms("2160h0m0s"), Ok(90 * 24 * 3_600_000));
        assert_eq!(duration_ms("30d"), Ok(30 * 24 * 3_600_000));
        assert_eq!(duration_ms("1h30m"), Ok(5_400_000));
        assert_eq!(duration_ms("1.5s"), Ok(1_500));
        assert_eq!((duration_ms("500ms"), duration_ms("0s")), (Ok(500), Ok(0)));
        for bad in ["", "5", "s", "-5s", "5 s", "1y", "1e9h", "..s", "999999999999999999999d", "5s5"] {
            assert!(duration_ms(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn hosts_are_unix_sockets_or_managers() {
        assert_eq!(host("unix:///run/x.sock"), Ok(Host::Socket("/run/x.sock".into())));
        for (given, addr) in [
            ("tcp://10.0.0.1:2378", "10.0.0.1:2378"),
            ("tcp://m1", "m1:2377"),
            ("tcp://[fd00::1]", "[fd00::1]:2377"),
            ("tcp://fd00::1", "[fd00::1]:2377"),
        ] {
            assert_eq!(host(given), Ok(Host::Manager(addr.into())));
        }
        for bad in ["", "unix://", "unix://x", "tcp://", "tcp://m:0", "/run/x.sock"] {
            assert!(host(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn managers_are_hosts_with_or_without_a_port() {
        for fine in
            ["10.0.0.1", "10.0.0.1:2377", "m_1.example:1", "fd00::1", "[fd00::1]", "[fd00::1]:2377", " m "]
        {
            assert_eq!(manager(fine).as_deref(), Ok(fine.trim()), "{fine:?}");
        }
        for bad in
            ["", ":", ":2377", "m:", "m:0", "m:99999", "m:+1", "m:bar", "a:b:1", "[fd00::1", "[x]:1", "[]:1"]
        {
            assert!(manager(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn pairs_need_a_key() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert!(label("=b").is_err() && env("a").is_err() && env("=a").is_err());
        assert!(
            aux_address("a").is_err() && aux_address("a=b").is_err() && aux_address("=10.0.0.1").is_err()
        );
        assert_eq!(aux_address("r=10.0.0.1"), Ok(("r".into(), "10.0.0.1".parse().unwrap())));
    }

    #[test]
    fn hostnames_are_labels_with_dots() {
        assert!(hostname("a.example.org").is_ok() && hostname("web-1").is_ok());
        for bad in ["", ".", "a..b", "a b", "-a", &"a".repeat(64), &"a.".repeat(33)] {
            assert!(hostname(bad).is_err(), "{bad:?} was taken");
        }
    }
}
