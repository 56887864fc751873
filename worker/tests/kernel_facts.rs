//! The host's own facts are read, and followed when they change.

mod net;

use net::{World, must};
use swarm_overlay::HostFacts;
use swarm_worker::kernel::FactsWatch;
use tokio::time::timeout;

#[test]
fn the_path_mtu_and_a_free_gateway_subnet() {
    let world = World::new(1, 1450);
    let host = &world.hosts[0];
    must(&host.ns, "ip address add 172.18.9.1/24 dev eth0");
    let (node, addr, ns) = (host.node, host.addr, host.ns.clone());
    host.block_on(move |_| async move {
        let mut watch = FactsWatch::start(node, addr).await.unwrap();
        let first = watch.facts.borrow_and_update().clone();
        let gateway = Some("172.19.0.1/16".parse().unwrap());
        // Whether this kernel has ESP is another test's business.
        let lacks_esp = first.lacks_esp.clone();
        let expected = HostFacts {
            node,
            data_path_addr: addr,
            underlay_mtu: 1450,
            outside_mtu: 1450,
            lacks_esp,
            gateway,
        };
        assert_eq!(first, expected, "172.18 is in use on this host");
        must(&ns, "ip link set eth0 mtu 1400");
        timeout(net::DEADLINE, watch.facts.wait_for(|f| f.underlay_mtu == 1400)).await.unwrap().unwrap();
        // What does not change the facts is not told.
        watch.facts.borrow_and_update();
        must(&ns, "ip link add other0 type bridge");
        must(&ns, "ip link set eth0 mtu 1300");
        timeout(net::DEADLINE, watch.facts.changed()).await.unwrap().unwrap();
        assert_eq!(watch.facts.borrow().underlay_mtu, 1300);
        // The address VXLAN leaves from may move while everything runs.
        let second = "172.18.9.1".parse().unwrap();
        watch.data_path_addr.send_replace(second);
        let moved = watch.facts.wait_for(|f| f.data_path_addr == second);
        timeout(net::DEADLINE, moved).await.unwrap().unwrap();
    });
}
