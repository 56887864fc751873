//! What was asked for, checked. Knows: what a name, an address, an interface may look like. Must not know: what exists.

use crate::WorkerError;
use std::net::IpAddr;
use swarm_model::{DnsName, MacAddr, is_dns_label};
use swarm_overlay::GATEWAY_IFNAME;
use swarm_proto::v1;

/// Most endpoints one sandbox has.
const MOST_NETWORKS: usize = 64;
const MOST_ALIASES: usize = 64;

/// One network a sandbox is to be on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) network: String,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) aliases: Vec<DnsName>,
    pub(crate) ifname: Option<String>,
}

impl TryFrom<v1::Attachment> for Wanted {
    type Error = WorkerError;

    fn try_from(given: v1::Attachment) -> Result<Self, WorkerError> {
        if given.network.is_empty() {
            return Err(WorkerError::Invalid("no network was named: give one with --network".into()));
        }
        if given.aliases.len() > MOST_ALIASES {
            return Err(WorkerError::Invalid(format!("more than {MOST_ALIASES} aliases")));
        }
        let ip = swarm_proto::optional("ip", &given.ip, "an IP address as in 10.0.1.5")?;
        let mac: Option<MacAddr> =
            swarm_proto::optional("mac", &given.mac, "a MAC address as in 02:42:0a:00:00:05")?;
        if let Some(mac) = mac.filter(|mac| !mac.is_unicast()) {
            return Err(WorkerError::Invalid(format!(
                "{mac} is no address of a station: the first byte must be even"
            )));
        }
        let ifname = Some(given.ifname).filter(|name| !name.is_empty());
        ifname.as_deref().map_or(Ok(()), check_ifname)?;
        let aliases = given.aliases.iter().map(|alias| name(alias)).collect::<Result<_, _>>()?;
        Ok(Self { network: given.network, ip, mac, aliases, ifname })
    }
}

/// All networks of one request. `none` among them means: no network at all.
pub(crate) fn wanted(given: Vec<v1::Attachment>) -> Result<Vec<Wanted>, WorkerError> {
    if given.len() > MOST_NETWORKS {
        return Err(WorkerError::Invalid(format!("more than {MOST_NETWORKS} networks for one sandbox")));
    }
    let wanted = given.into_iter().map(Wanted::try_from).collect::<Result<Vec<_>, _>>()?;
    match wanted.as_slice() {
        [only] if only.network == "none" => return Ok(Vec::new()),
        _ => {}
    }
    for (at, one) in wanted.iter().enumerate() {
        if wanted.iter().skip(at + 1).any(|other| other.network == one.network) {
            return Err(WorkerError::Invalid(format!("network {:?} was named twice", one.network)));
        }
        refuse_local(&one.network)?;
    }
    Ok(wanted)
}

/// The host's own networks have no endpoints of ours.
pub(crate) fn refuse_local(network: &str) -> Result<(), WorkerError> {
    match network {
        "bridge" | "host" | "none" | "swarm_gwbridge" => Err(WorkerError::Precondition(format!(
            "network {network:?} is this host's own and takes no sandboxes: name one made by `swarmctl network create`"
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn name(given: &str) -> Result<DnsName, WorkerError> {
    given.parse().map_err(|e: swarm_model::NameError| WorkerError::Invalid(e.to_string()))
}

/// Dot-separated labels, at most what the kernel takes (64 bytes, `uname(2)`).
pub(crate) fn check_hostname(given: &str) -> Result<(), WorkerError> {
    if given.len() <= 64 && given.split('.').all(is_dns_label) {
        return Ok(());
    }
    Err(WorkerError::Invalid(format!(
        "{given:?} is not a hostname: use at most 64 letters, digits, '-' and '.'"
    )))
}

/// Folders that stand beside those of the interfaces under /proc/sys/net: the kernel takes no interface of their name.
const RESERVED: [&str; 2] = ["all", "default"];

/// What the kernel takes as an interface's name, and nothing a shell or a file name would choke on.
fn check_ifname(given: &str) -> Result<(), WorkerError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let fits = (1..=15).contains(&given.len()) && given.chars().all(plain) && given != "." && given != "..";
    if !fits {
        return Err(WorkerError::Invalid(format!(
            "{given:?} is not an interface name: use 1 to 15 letters, digits, '-', '_' or '.'"
        )));
    }
    if RESERVED.contains(&given) {
        return Err(WorkerError::Invalid(format!(
            "the kernel keeps the interface name {given:?} for its own settings: choose another with --ifname"
        )));
    }
    if given == "lo" || given == GATEWAY_IFNAME {
        return Err(WorkerError::Exists(format!(
            "the interface name {given:?} is taken in every sandbox: choose another with --ifname"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(network: &str) -> v1::Attachment {
        v1::Attachment { network: network.into(), ..v1::Attachment::default() }
    }

    #[test]
    fn what_is_refused_before_anything_happens() {
        let wrong = [
            vec![on("")],
            vec![on("a"), on("a")],
            vec![on("bridge")],
            vec![v1::Attachment { ip: "10.0.0".into(), ..on("a") }],
            vec![v1::Attachment { mac: "01:00:5e:00:00:01".into(), ..on("a") }],
            vec![v1::Attachment { aliases: vec!["-x".into()], ..on("a") }],
            (0..65).map(|n| on(&format!("n{n}"))).collect(),
        ];
        for given in wrong {
            assert!(wanted(given.clone()).is_err(), "{given:?}");
        }
        assert_eq!(wanted(vec![on("none")]).unwrap(), []);
        assert_eq!(wanted(vec![on("a"), on("b")]).unwrap().len(), 2);
    }

    #[test]
    fn interface_names() {
        let asked = |ifname: &str| {
            Wanted::try_from(v1::Attachment { ifname: ifname.into(), ..on("a") }).map(|w| w.ifname)
        };
        for right in ["eth5", "lan0.7", "fifteen-letters"] {
            assert_eq!(asked(right).unwrap().as_deref(), Some(right));
        }
        let wrong = [
            "lo",
            "gw0",
            "all",
            "default",
            ".",
            "..",
            "a/b",
            "a b",
            "a\tb",
            "a\0b",
            "a:1",
            "%d",
            "eth\u{e9}",
            "sixteen-letters-",
        ];
        for wrong in wrong {
            let said = asked(wrong).unwrap_err().to_string();
            assert!(
                said.contains("interface name") && said.contains(&format!("{wrong:?}")),
                "{wrong:?}: {said}"
            );
        }
    }

    #[test]
    fn hostnames() {
        assert!(check_hostname("db-1.example").is_ok());
        for wrong in ["", "a..b", "-a", "a b", &"x".repeat(65)] {
            assert!(check_hostname(wrong).is_err(), "{wrong}");
        }
    }
}
