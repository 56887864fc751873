//! The one task that gossips: socket, clock and keys around `swarm_gossip::Gossip`, which decides. Goes on without any
//! manager, with the members and keys of the last assignment.

use super::{GossipKey, Liveness, Ring, boot};
use crate::host::Host;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swarm_gossip::frame::MAX_DATAGRAM;
use swarm_gossip::{Dropped, Effect, Gossip, Inbox, Number, Outbox, Settings};
use swarm_model::{self as model, GOSSIP_PORT};
use tokio::net::UdpSocket;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Until the port is tried again.
const PORT_PAUSE: Duration = Duration::from_secs(10);
/// Datagrams looked at before timers get their turn.
const AT_ONCE: usize = 64;
/// Work in a second: a tenth or two of a processor. More comes only from who wants to keep this host busy, and waits.
const MOST_PER_SECOND: u32 = 100_000;
/// What a datagram costs of that, and one that a cipher was tried on in vain.
const LOOK: u32 = 1;
const CIPHER: u32 = 5;

/// Runs until the worker stops. A host that cannot gossip is a host all the same.
pub(crate) async fn run(host: Arc<Host>) {
    let Some(me) = Number::of(&host.config.node) else { return };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (path, now_s) = (host.config.boot_file(), u32::try_from(now_s).unwrap_or(u32::MAX));
    let number = tokio::task::spawn_blocking(move || boot::begin(path, now_s)).await;
    let number = number.unwrap_or_else(|e| Err(io::Error::other(e)));
    let number = match number {
        Ok(number) => number,
        Err(e) => return tracing::warn!("no gossip from here: {}: {e}", host.config.boot_file().display()),
    };
    let socket = tokio::select! {
        socket = bind() => socket,
        () = host.stop.cancelled() => return,
    };
    let addr = SocketAddr::new(host.config.addr, GOSSIP_PORT);
    let seed = u64::from_be_bytes(swarm_identity::random::bytes());
    let member = Member {
        gossip: Gossip::new(me, addr, number, seed, Settings::default()),
        inbox: Inbox::new(me),
        outbox: Outbox::new(me, number),
        ring: Ring::default(),
        keys: Vec::new(),
        roster: Vec::new(),
        begun: Instant::now(),
        liveness: host.liveness.clone(),
    };
    member.go_on(&host, &socket).await;
}

/// Both families by one socket, where the host has both.
async fn bind() -> UdpSocket {
    let mut said = false;
    loop {
        let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED)];
        let mut failed = None;
        for ip in any {
            match UdpSocket::bind(SocketAddr::new(ip, GOSSIP_PORT)).await {
                Ok(socket) => return socket,
                Err(e) => failed = Some(e),
            }
        }
        if let Some(e) = failed.filter(|_| !std::mem::replace(&mut said, true)) {
            tracing::warn!("no gossip from here until UDP port {GOSSIP_PORT} is free: {e}");
        }
        tokio::time::sleep(PORT_PAUSE).await;
    }
}

struct Member {
    gossip: Gossip,
    inbox: Inbox,
    outbox: Outbox,
    ring: Ring,
    /// What `ring` was made of.
    keys: Vec<model::GossipKey>,
    roster: Vec<(Number, SocketAddr)>,
    begun: Instant,
    liveness: Arc<Liveness>,
}

impl Member {
    async fn go_on(mut self, host: &Host, socket: &UdpSocket) {
        let mut revisions = host.assignments.watch();
        revisions.mark_changed();
        let (mut second, mut spent) = (Instant::now(), 0);
        let mut buffer = [0; MAX_DATAGRAM + 1];
        loop {
            let due = self.gossip.next_timer().map(|ms| self.begun + Duration::from_millis(ms));
            tokio::select! {
                Ok(()) = revisions.changed() => {
                    revisions.mark_unchanged();
                    let effects = self.follow(host);
                    self.act(effects, socket);
                }
                Ok(()) = socket.readable(), if spent < MOST_PER_SECOND => {
                    spent += self.drain(socket, &mut buffer);
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    // What has arrived is heard before anybody is judged.
                    spent += self.drain(socket, &mut buffer);
                    let effects = self.gossip.tick(self.now());
                    self.act(effects, socket);
                }
                () = host.stop.cancelled() => return,
            }
            if second.elapsed() >= Duration::from_secs(1) {
                (second, spent) = (Instant::now(), 0);
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The members and keys that are assigned now.
    fn follow(&mut self, host: &Host) -> Vec<Effect> {
        let member = |m: &model::Member| Some((Number::of(&m.node)?, m.addr));
        let (keys, roster) = host.assignments.read(|assigned| {
            let roster: Vec<_> = assigned.members.values().filter_map(member).collect();
            (assigned.defaults.gossip_keys.clone(), roster)
        });
        if self.keys != keys {
            let key = |k: &model::GossipKey| GossipKey {
                generation: k.generation,
                secret: Zeroizing::new(k.secret.0),
            };
            self.ring = Ring::new(keys.iter().map(key).collect());
            self.keys = keys;
        }
        if self.roster == roster {
            return Vec::new();
        }
        self.roster = roster;
        self.inbox.admit(self.roster.iter().map(|(number, _)| *number));
        let members: BTreeMap<_, _> =
            self.roster.iter().map(|(number, addr)| (number.node(), *addr)).collect();
        self.liveness.keep(|node| members.contains_key(node));
        self.gossip.set_roster(self.now(), &self.roster)
    }

    /// Takes what has arrived, up to a bound. What it cost.
    fn drain(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> u32 {
        let mut cost = 0;
        for _ in 0..AT_ONCE {
            match socket.try_recv_from(buffer) {
                Ok((length, _)) => {
                    let (effects, spent) = self.take(buffer.get(..length).unwrap_or_default());
                    self.act(effects, socket);
                    cost += spent;
                }
                // An answer to what was sent to where nobody listens.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
        cost
    }

    fn take(&mut self, frame: &[u8]) -> (Vec<Effect>, u32) {
        let opened = match frame.len() <= MAX_DATAGRAM {
            true => self.inbox.open(&mut self.ring, frame),
            false => Err(Dropped::Shapeless),
        };
        match opened {
            Err(why) => {
                self.liveness.dropped(why);
                (Vec::new(), if why == Dropped::Forged { CIPHER } else { LOOK })
            }
            Ok(opened) => {
                let effects = self.gossip.receive(self.now(), opened.sender, &opened.message);
                (effects.unwrap_or_default(), LOOK)
            }
        }
    }

    fn act(&mut self, effects: Vec<Effect>, socket: &UdpSocket) {
        for effect in effects {
            match effect {
                Effect::Send { to, addr, message } => {
                    if let Some(frame) = self.outbox.seal(&mut self.ring, to, &message) {
                        // What cannot be sent now is lost on the way.
                        let _ = socket.try_send_to(&frame, mapped(addr, socket));
                    }
                }
                Effect::Verdict { of, verdict } => {
                    tracing::info!(node = %of.node(), ?verdict, "gossip says");
                    self.liveness.set(of.node(), verdict);
                }
                Effect::Unanswered { of } => self.liveness.missed(of.node()),
                Effect::RoundTrip { .. } => {}
            }
        }
    }
}

/// A socket of both families takes IPv4 addresses in IPv6's form.
fn mapped(addr: SocketAddr, socket: &UdpSocket) -> SocketAddr {
    match (addr.ip(), socket.local_addr().is_ok_and(|local| local.is_ipv6())) {
        (IpAddr::V4(ip), true) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        (IpAddr::V4(_) | IpAddr::V6(_), _) => addr,
    }
}
