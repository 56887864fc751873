//! What the kernel says of this host: the addresses others could reach it by, and where it routes by itself.

use crate::address::HostAddress;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Bridges that container engines and we ourselves make: their addresses mean nothing to other hosts.
const NOT_THE_UNDERLAY: [&str; 4] = ["docker", "br-", "swarm_gwbridge", "cni"];

/// Every address of this host that another host could reach: up, not loopback, not link-local.
pub fn addresses() -> Vec<HostAddress> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let mut found: Vec<HostAddress> = all
        .filter(|a| a.flags.contains(InterfaceFlags::IFF_UP))
        .filter(|a| !NOT_THE_UNDERLAY.iter().any(|prefix| a.interface_name.starts_with(prefix)))
        .filter_map(|a| {
            let storage = a.address?;
            let v4 = storage.as_sockaddr_in().map(|s| IpAddr::V4(s.ip()));
            let ip = v4.or_else(|| storage.as_sockaddr_in6().map(|s| IpAddr::V6(s.ip())))?;
            reachable(ip).then_some(HostAddress { interface: a.interface_name, ip })
        })
        .collect();
    found.dedup();
    found
}

fn reachable(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    };
    !ip.is_loopback() && !link_local
}

/// The address that packets to the first of these that there is a way to would leave from. Nothing is sent.
pub fn address_towards(remotes: &[SocketAddr]) -> Option<IpAddr> {
    remotes.iter().find_map(|remote| leaves_from(*remote))
}

fn leaves_from(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// This host's routes but for the default ones: a network of the cluster that overlapped one would hide it.
pub fn routes() -> Vec<IpNet> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut routes = routes_v4(&read("/proc/net/route"));
    routes.extend(routes_v6(&read("/proc/net/ipv6_route")));
    routes
}

/// Columns of `/proc/net/route`: interface, destination, gateway, flags, …, mask (hexadecimal, network byte order as
/// this machine reads it).
fn routes_v4(table: &str) -> Vec<IpNet> {
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|n| Ipv4Addr::from(n.to_ne_bytes()));
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (destination, mask) = (address(columns.get(1)?)?, address(columns.get(7)?)?);
            Ipv4Net::with_netmask(destination, mask).ok().filter(|n| n.prefix_len() > 0).map(IpNet::V4)
        })
        .collect()
}

/// Columns of `/proc/net/ipv6_route`: destination, prefix length (both hexadecimal), …, interface. Only what hosts are
/// behind counts: not loopback, link-local or multicast, and no single address.
fn routes_v6(table: &str) -> Vec<IpNet> {
    table
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let address = Ipv6Addr::from(u128::from_str_radix(columns.first()?, 16).ok()?);
            let length = u8::from_str_radix(columns.get(1)?, 16).ok()?;
            let hosts = (1..128).contains(&length)
                && !address.is_multicast()
                && address.segments()[0] & 0xffc0 != 0xfe80
                && *columns.last()? != "lo";
            Ipv6Net::new(address, length).ok().filter(|_| hosts).map(IpNet::V6)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read_but_for_default_routes() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  eth0\t00000000\tFE00580A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                  eth0\t0000580A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(routes_v4(v4), ["10.88.0.0/24".parse::<IpNet>().unwrap()]);
        let v6 = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
                  00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n\
                  fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
                  00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n\
                  00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                  00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n";
        assert_eq!(routes_v6(v6), ["fd00::/64".parse::<IpNet>().unwrap()]);
    }
}
