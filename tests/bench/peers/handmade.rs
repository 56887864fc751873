//! An overlay made by hand: vxlan, bridge and veth with `ip`, between two hosts without a daemon. Knows `ip`; must not
//! know how the product makes one.

use crate::site::Site;
use anyhow::Result;
use swarm_tests::Host;

const VNI: u32 = 42;

/// Builds it; the two ends, 10.99.0.1 and 10.99.0.2, in namespaces of their own. `mtu` is the inner one.
pub fn build<'h>(hosts: [&'h Host; 2], mtu: u32) -> Result<[Site<'h>; 2]> {
    let [one, two] = hosts;
    one.sh(&script(1, mtu, one, two))?.ok()?;
    two.sh(&script(2, mtu, two, one))?.ok()?;
    let site = |host: &'h Host, end: u32| Site {
        host,
        netns: "/run/netns/end".to_owned(),
        ip: format!("10.99.0.{end}"),
    };
    Ok([site(one, 1), site(two, 2)])
}

fn script(end: u32, mtu: u32, here: &Host, there: &Host) -> String {
    let other = 3 - end;
    format!(
        "set -e
        for n in overlay end; do ip netns add $n; ip -n $n link set lo up; done
        ip link add vx type vxlan id {VNI} local {here} dstport 4789 nolearning
        ip link set vx netns overlay
        ip -n overlay link add br0 mtu {mtu} type bridge
        ip -n overlay link set br0 up
        ip -n overlay link set vx mtu {mtu} master br0 up
        ip -n overlay link add port mtu {mtu} type veth peer name eth0 mtu {mtu} address 02:63:00:00:00:0{end} netns end
        ip -n overlay link set port master br0 up
        ip -n end addr add 10.99.0.{end}/24 dev eth0
        ip -n end link set eth0 up
        ip netns exec overlay bridge fdb replace 02:63:00:00:00:0{other} dev vx dst {there} self master static
        ip -n end neigh replace 10.99.0.{other} lladdr 02:63:00:00:00:0{other} dev eth0 nud permanent",
        here = here.ip,
        there = there.ip
    )
}
