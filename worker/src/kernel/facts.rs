//! What the host itself says: path MTU, free gateway subnet. Knows: links, addresses and routes. Must not
//! know: networks.

use super::KernelError;
use super::events::EventSocket;
use super::observe::{addresses, dump_routes, links};
use super::read::{self, Link};
use super::socket::NetlinkSocket;
use super::xfrm::{self, Context};
use ipnet::{IpNet, Ipv4Net};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swarm_model::NodeId;
use swarm_overlay::{GATEWAY_BRIDGE, HostFacts, Route, gateway};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::sleep;

/// Changes come in bunches; the host is read once per bunch.
const SETTLE: Duration = Duration::from_millis(100);
/// Notifications taken for one bunch at most.
const BUNCH: usize = 4096;
const READ_BYTES: usize = 16 * 1024;
/// A kernel that cannot encrypt is not asked again before.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Until what was just found out stands in the facts.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// Where no link says otherwise.
const ETHERNET_MTU: u32 = 1500;

/// Follows the host's links, addresses and routes.
pub struct FactsWatch {
    pub facts: watch::Receiver<HostFacts>,
    /// The address that VXLAN leaves from.
    pub data_path_addr: watch::Sender<IpAddr>,
}

impl FactsWatch {
    /// Reads the facts and keeps them current until every receiver is dropped. Must be called within a tokio
    /// runtime whose threads are in the host's namespace.
    /// Errors are sentences.
    pub async fn start(node: NodeId, data_path_addr: IpAddr) -> Result<Self, String> {
        Self::begin(node, data_path_addr).map_err(|e| e.to_string())
    }

    fn begin(node: NodeId, data_path_addr: IpAddr) -> Result<Self, KernelError> {
        // Listening comes before reading, so that nothing falls between.
        let heard = EventSocket::host()?.into_async()?;
        let mut encryption = Encryption::default();
        let first = read_facts(node, data_path_addr, &mut encryption)?;
        let (sender, facts) = watch::channel(first);
        let (moves, moved) = watch::channel(data_path_addr);
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = follow(&heard, moved, &sender, encryption) => tracing::warn!("cannot follow the host's links any more"),
            }
        });
        Ok(Self { facts, data_path_addr: moves })
    }

    /// This kernel has come to be able to encrypt, which no event tells: waits until the facts say so.
    pub async fn can_encrypt_now(&self) -> bool {
        self.data_path_addr.send_modify(|_| {});
        let mut facts = self.facts.clone();
        let seen = facts.wait_for(|facts| facts.lacks_esp.is_none());
        matches!(tokio::time::timeout(SEEN_WITHIN, seen).await, Ok(Ok(_)))
    }
}

/// What was found of encryption, by the family of addresses it was found for. The kernel is asked by making an association,
/// which it may look for modules for: not at every change of a link.
#[derive(Default)]
struct Encryption {
    can: Option<bool>,
    lacks: Option<(bool, Instant, Arc<str>)>,
}

impl Encryption {
    /// What is missing. What can be done once can be done for good.
    fn lacks(
        &mut self,
        ipv4: bool,
        detect: impl FnOnce(bool) -> Result<Context, String>,
    ) -> Option<Arc<str>> {
        if self.can == Some(ipv4) {
            return None;
        }
        let held = self.lacks.as_ref().filter(|(of, at, _)| *of == ipv4 && at.elapsed() < ASK_AGAIN);
        if let Some((_, _, sentence)) = held {
            return Some(sentence.clone());
        }
        match detect(ipv4) {
            Ok(_) => {
                self.can = Some(ipv4);
                None
            }
            Err(sentence) => {
                let sentence: Arc<str> = Arc::from(sentence);
                self.lacks = Some((ipv4, Instant::now(), sentence.clone()));
                Some(sentence)
            }
        }
    }
}

async fn follow(
    heard: &AsyncFd<EventSocket>,
    mut moved: watch::Receiver<IpAddr>,
    sender: &watch::Sender<HostFacts>,
    mut encryption: Encryption,
) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let asked = tokio::select! {
            ready = heard.readable() => match ready {
                Ok(mut ready) => match ready.try_io(|socket| Ok(socket.get_ref().foreign(&mut buffer)?)) {
                    Ok(Ok(true)) => false,
                    Ok(Ok(false)) | Err(_) => continue,
                    Ok(Err(_)) => return,
                },
                Err(_) => return,
            },
            Ok(()) = moved.changed() => true,
        };
        sleep(SETTLE).await;
        // What was told meanwhile is seen in what is read now.
        let _told = (0..BUNCH).take_while(|_| heard.get_ref().discard(&mut buffer).is_ok()).count();
        let (node, addr) = (sender.borrow().node, *moved.borrow_and_update());
        if asked {
            encryption.lacks = None;
        }
        match read_facts(node, addr, &mut encryption) {
            Ok(facts) => drop(sender.send_if_modified(|held| {
                let changed = *held != facts;
                *held = facts;
                changed
            })),
            Err(error) => tracing::warn!(%error, "cannot read the host's links"),
        }
    }
}

fn read_facts(
    node: NodeId,
    data_path_addr: IpAddr,
    encryption: &mut Encryption,
) -> Result<HostFacts, KernelError> {
    let mut route = NetlinkSocket::route()?;
    let (links, addresses) = (links(&mut route)?, addresses(&mut route)?);
    let routes: Vec<(u32, Route)> =
        dump_routes(&mut route)?.iter().filter_map(|a| read::any_route(&a.body)).collect();
    let outside = outside(&links, &routes);
    let underlay = holder(&links, &addresses, data_path_addr).or(outside);
    let mtu = |link: Option<&Link>| link.map_or(ETHERNET_MTU, |l| l.mtu);
    Ok(HostFacts {
        node,
        data_path_addr,
        underlay_mtu: mtu(underlay),
        outside_mtu: mtu(outside.or(underlay)),
        lacks_esp: encryption.lacks(data_path_addr.is_ipv4(), xfrm::detect),
        gateway: gateway_subnet(&links, &addresses, &routes),
    })
}

/// The link that has this address. A loopback or dummy carries the address only; packets take another way.
fn holder<'a>(
    links: &'a [Link],
    addresses: &BTreeMap<u32, BTreeSet<IpNet>>,
    addr: IpAddr,
) -> Option<&'a Link> {
    let holds = |l: &&Link| addresses.get(&l.index).is_some_and(|all| all.iter().any(|a| a.addr() == addr));
    links.iter().filter(|l| !l.loopback && l.kind != "dummy").find(holds)
}

/// The link of the default route.
fn outside<'a>(links: &'a [Link], routes: &[(u32, Route)]) -> Option<&'a Link> {
    let (index, _) = routes.iter().find(|(_, r)| r.to.prefix_len() == 0 && r.via.is_some())?;
    links.iter().find(|l| l.index == *index)
}

fn gateway_subnet(
    links: &[Link],
    addresses: &BTreeMap<u32, BTreeSet<IpNet>>,
    routes: &[(u32, Route)],
) -> Option<Ipv4Net> {
    let ours = links.iter().find(|l| l.name == GATEWAY_BRIDGE).map(|l| l.index);
    let held = ours.and_then(|index| addresses.get(&index)).into_iter().flatten().find_map(|a| match a {
        IpNet::V4(v4) => Some(*v4),
        IpNet::V6(_) => None,
    });
    let foreign = routes.iter().filter(|(index, r)| Some(*index) != ours && r.to.prefix_len() > 0);
    gateway::choose_subnet(held, &foreign.map(|(_, r)| r.to).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_whether_it_can_encrypt_no_oftener_than_it_takes() {
        let mut asked = 0;
        let mut encryption = Encryption::default();
        let mut ask = |encryption: &mut Encryption, ipv4, can: bool| {
            let lacks = encryption.lacks(ipv4, |_| {
                asked += 1;
                if can { Ok(Context { port: 0, extended: true }) } else { Err("no ESP".to_owned()) }
            });
            (lacks.is_some(), asked)
        };
        assert_eq!(ask(&mut encryption, true, false), (true, 1));
        assert_eq!(ask(&mut encryption, true, true), (true, 1), "so soon it is not asked again");
        assert_eq!(ask(&mut encryption, false, false), (true, 2), "another family is another module");
        encryption.lacks = None;
        assert_eq!(ask(&mut encryption, true, true), (false, 3), "somebody wants to know");
        assert_eq!(ask(&mut encryption, true, false), (false, 3), "for good");
    }
}
