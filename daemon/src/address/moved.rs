//! The same wishes on a host whose addresses have changed: plain functions. What is still there stays; what cannot be
//! chosen anew stays too, because an address that is wrong is no worse than none.

use super::{Chosen, HostAddress, of_interface, only, own_or_only, split};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What was typed, kept for the day on which it means another address. Empty: it was left to this program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    pub advertise: String,
    pub listen: String,
    pub data_path: String,
}

/// Where this host is found now. `towards`: the address its packets to the managers leave by, for a host with several.
pub fn moved(
    wishes: &Wishes,
    now: &Chosen,
    host: &[HostAddress],
    towards: impl FnOnce() -> Option<IpAddr>,
) -> Chosen {
    let listen = SocketAddr::new(follow(&wishes.listen, now.listen.ip(), host), now.listen.port());
    let ip = match wishes.advertise.as_str() {
        "" if !listen.ip().is_unspecified() => listen.ip(),
        "" if has(host, now.advertise.ip()) => now.advertise.ip(),
        "" => only(host).ok().or_else(towards).unwrap_or(now.advertise.ip()),
        given => follow(given, now.advertise.ip(), host),
    };
    let data_path = match wishes.data_path.as_str() {
        "" if ip == now.advertise.ip() && has(host, now.data_path) => now.data_path,
        "" => own_or_only(ip, host).unwrap_or(now.data_path),
        given => follow(given, now.data_path, host),
    };
    Chosen { advertise: SocketAddr::new(ip, now.advertise.port()), listen, data_path }
}

fn has(host: &[HostAddress], ip: IpAddr) -> bool {
    ip.is_loopback() || host.iter().any(|address| address.ip == ip)
}

/// An interface's address, if an interface was typed. One typed as such stays: it may be in front of this host (NAT).
fn follow(given: &str, now: IpAddr, host: &[HostAddress]) -> IpAddr {
    let Ok((name, _)) = split("", given) else { return now };
    let stays = host.iter().any(|address| address.interface == name && address.ip == now);
    match stays || name.is_empty() || name.parse::<IpAddr>().is_ok() {
        true => now,
        false => of_interface("", given, name, host).unwrap_or(now),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    fn wishes(advertise: &str, listen: &str, data_path: &str) -> Wishes {
        Wishes { advertise: advertise.into(), listen: listen.into(), data_path: data_path.into() }
    }

    /// Advertised and data-path address of a host that had 10.1.0.1.
    fn then(wishes: &Wishes, addresses: &[(&str, &str)]) -> (String, String) {
        let now = Chosen {
            advertise: "10.1.0.1:2377".parse().unwrap(),
            listen: "[::]:2377".parse().unwrap(),
            data_path: "10.1.0.1".parse().unwrap(),
        };
        let found = moved(wishes, &now, &host(addresses), || "10.3.0.3".parse().ok());
        assert_eq!(found.listen, now.listen);
        (found.advertise.to_string(), found.data_path.to_string())
    }

    fn pair(advertise: &str, data_path: &str) -> (String, String) {
        (format!("{advertise}:2377"), data_path.into())
    }

    #[test]
    fn an_address_that_was_chosen_follows_the_host_and_the_data_path_follows_it() {
        let chosen = Wishes::default();
        assert_eq!(then(&chosen, &[("eth0", "10.2.0.2")]), pair("10.2.0.2", "10.2.0.2"));
        // While it is there, it stays, whatever comes beside it.
        assert_eq!(
            then(&chosen, &[("eth1", "10.2.0.2"), ("eth0", "10.1.0.1")]),
            pair("10.1.0.1", "10.1.0.1")
        );
        // Of several the one that leads to the managers; without any, all stays as it was.
        let several = [("eth0", "10.2.0.2"), ("eth0", "10.3.0.3")];
        assert_eq!(then(&chosen, &several), pair("10.3.0.3", "10.3.0.3"));
        let now = Chosen {
            advertise: "10.1.0.1:2377".parse().unwrap(),
            listen: "[::]:2377".parse().unwrap(),
            data_path: "10.1.0.1".parse().unwrap(),
        };
        assert_eq!(moved(&chosen, &now, &[], || None), now);
    }

    #[test]
    fn an_interface_is_followed_and_an_address_that_was_typed_stays() {
        let both = [("eth0", "10.2.0.2"), ("eth1", "10.4.0.4")];
        assert_eq!(then(&wishes("eth0:2377", "", ""), &both), pair("10.2.0.2", "10.2.0.2"));
        assert_eq!(then(&wishes("eth0", "", "eth1"), &both), pair("10.2.0.2", "10.4.0.4"));
        assert_eq!(then(&wishes("eth9", "", "10.1.0.1"), &both), pair("10.1.0.1", "10.1.0.1"));
        let typed = wishes("10.1.0.1", "", "eth1");
        assert_eq!(then(&typed, &both), pair("10.1.0.1", "10.4.0.4"));
    }

    #[test]
    fn a_listen_address_on_an_interface_takes_the_others_along() {
        let now = Chosen {
            advertise: "10.1.0.1:3000".parse().unwrap(),
            listen: "10.1.0.1:3000".parse().unwrap(),
            data_path: "10.1.0.1".parse().unwrap(),
        };
        let found = moved(&wishes("", "eth0:3000", ""), &now, &host(&[("eth0", "10.2.0.2")]), || None);
        assert_eq!(found.listen.to_string(), "10.2.0.2:3000");
        assert_eq!(found.advertise.to_string(), "10.2.0.2:3000");
        assert_eq!(found.data_path.to_string(), "10.2.0.2");
    }
}
