//! F16, F37–F40: somebody on the wire who is no member throws what it can at every port of three managers, while an
//! operator and a sandbox go on with their work.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use swarm_identity::{JoinToken, admission};
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::{GetRootCaRequest, IssueRequest};
use swarm_tests::rng::Rng;
use swarm_tests::space::Space;
use swarm_tests::{Host, Setup, eventually, scenario, view};

const TCP: u16 = 2377;
const VXLAN: u16 = 4789;
const SANDBOX_DNS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
/// How long each attack goes on, at most; the operator's work may end it earlier.
const ATTACK: Duration = Duration::from_secs(30);
/// What an operator waits for a network on a machine whose two cores the attackers share.
const HONEST: Duration = Duration::from_secs(5);
/// How much larger a daemon may be after the attacks.
const GROWTH_KB: u64 = 120 * 1024;
/// Connections held open at once by one attacker: more than a manager lets in from one address.
const HELD: usize = 200;
const NETWORKS: usize = 20;

/// What the attackers share: whether to go on, and how much they did.
struct Attack {
    over: AtomicBool,
    begun: Instant,
    done: AtomicU64,
}

impl Attack {
    fn goes_on(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed) && self.begun.elapsed() < ATTACK
    }
}

fn noise(rng: &mut Rng, most: usize) -> Vec<u8> {
    let length = 1 + rng.below(most);
    (0..length.div_ceil(8)).flat_map(|_| rng.draw().to_le_bytes()).take(length).collect()
}

/// Connections that say nothing, a byte now and then, or noise.
fn strangers(attack: &Attack, managers: &[Ipv4Addr]) {
    let (mut rng, mut held) = (Rng::new(1), Vec::new());
    while attack.goes_on() {
        let Some(to) = rng.pick(managers) else { return };
        let Ok(mut stream) = TcpStream::connect_timeout(&(*to, TCP).into(), Duration::from_secs(2)) else {
            continue;
        };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
        let words = match rng.below(3) {
            0 => Vec::new(),
            // The head of a record of 500 bytes, which never come.
            1 => vec![22, 3, 1, 1, 244],
            _ => noise(&mut rng, 4096),
        };
        let _ = stream.write_all(&words);
        held.push(stream);
        if held.len() > HELD {
            held.remove(rng.below(HELD));
        }
    }
}

/// Callers who know the CA's digest, ask for its certificate and for one of their own with a token of their invention, and
/// give up before they are answered as often as not.
async fn admissions(attack: &Attack, managers: &[Ipv4Addr], token: &JoinToken) {
    let mut rng = Rng::new(2);
    while attack.goes_on() {
        let Some(to) = rng.pick(managers) else { return };
        let Ok(channel) = admission::channel(&format!("{to}:{TCP}"), &token.digest()).await else { continue };
        let calls = (0..500).map(|_| {
            let (mut client, wrong) = (CaClient::new(channel.clone()), noise(&mut rng, 60));
            tokio::spawn(async move {
                let token = String::from_utf8_lossy(&wrong).into_owned();
                let _ = client.issue(IssueRequest { token, csr_der: wrong, ..IssueRequest::default() }).await;
                let _ = client.get_root_ca(GetRootCaRequest {}).await;
            })
        });
        let calls: Vec<_> = calls.collect();
        if rng.percent(50) {
            tokio::task::yield_now().await;
            calls.iter().for_each(tokio::task::JoinHandle::abort);
        }
        for call in calls {
            let _ = tokio::time::timeout(Duration::from_secs(2), call).await;
        }
    }
}

/// Noise and almost VXLAN to the data path's port.
fn datagrams(attack: &Attack, managers: &[Ipv4Addr]) -> Result<()> {
    let (mut rng, socket) = (Rng::new(3), UdpSocket::bind("0.0.0.0:0")?);
    while attack.goes_on() {
        let mut bytes = noise(&mut rng, 1400);
        if rng.percent(50) {
            bytes.splice(..0, [8, 0, 0, 0, 0, 16, rng.draw() as u8, 0]);
        }
        for to in managers {
            let _ = socket.send_to(&bytes, (*to, VXLAN));
        }
    }
    Ok(())
}

/// Noise to the resolver of a sandbox, by a program inside it, over UDP and TCP.
fn questions(attack: &Attack) -> Result<()> {
    let (mut rng, socket) = (Rng::new(4), UdpSocket::bind("0.0.0.0:0")?);
    let mut held = Vec::new();
    while attack.goes_on() {
        let mut bytes = noise(&mut rng, 600);
        if rng.percent(50) {
            // A head that says: one question, standard query. What follows is no name.
            bytes.splice(..0, [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        }
        let _ = socket.send_to(&bytes, SANDBOX_DNS);
        if rng.percent(5)
            && let Ok(mut stream) = TcpStream::connect_timeout(&SANDBOX_DNS, Duration::from_secs(1))
        {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
            let _ = stream.write_all(&bytes);
            let _ = stream.read(&mut [0; 64]);
            held.push(stream);
            held.truncate(HELD);
        }
    }
    Ok(())
}

fn resident_kb(host: &Host) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.daemon_pid()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The operator's work: the slowest of so many new networks.
fn work(host: &Host) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    for round in 0..NETWORKS {
        let asked = Instant::now();
        host.ctl(&format!("network create during{round}"))?.ok()?;
        slowest = slowest.max(asked.elapsed());
    }
    Ok(slowest)
}

#[test]
fn f37_a_hostile_client_at_every_port_disturbs_nobody() {
    scenario(Setup::hosts(3), |w| {
        w.form(&["manager", "manager"])?;
        let h2 = w.host(2);
        h2.ctl("network create --attachable my_net")?.ok()?;
        let (a, b) = (h2.run("a", "--network my_net")?, w.host(3).run("b", "--network my_net")?);
        let token: JoinToken = h2.token("worker")?.parse()?;
        let managers: Vec<Ipv4Addr> = (1..=3).map(|n| Ipv4Addr::new(10, 88, 0, n)).collect();
        let before: Vec<u64> = w.hosts().iter().map(resident_kb).collect::<Result<_>>()?;
        let term = view::number(&h2.info()?, "raft_term");

        let attack = Attack { over: AtomicBool::new(false), begun: Instant::now(), done: AtomicU64::new(0) };
        let (wire, inside) = (w.wire.net(), a.net());
        let slowest = std::thread::scope(|scope| {
            scope.spawn(|| {
                Space::in_net(&wire, || {
                    strangers(&attack, &managers);
                    Ok(())
                })
            });
            scope.spawn(|| Space::in_net(&wire, || datagrams(&attack, &managers)));
            scope.spawn(|| Space::in_net(&inside, || questions(&attack)));
            scope.spawn(|| {
                Space::in_net(&wire, || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    runtime.block_on(admissions(&attack, &managers, &token));
                    Ok(())
                })
            });
            let slowest = work(h2);
            let named = a.pings_name("b").and_then(|()| b.pings_name("a"));
            attack.over.store(true, Ordering::Relaxed);
            named.and(slowest)
        })?;
        println!(
            "{} attacks in {:?}; the slowest network took {slowest:?}",
            attack.done.load(Ordering::Relaxed),
            attack.begun.elapsed()
        );
        ensure!(slowest < HONEST, "an operator waited {slowest:?}");
        ensure!(view::number(&h2.info()?, "raft_term") == term, "there was an election");
        w.settled(3)?;
        for (host, before) in w.hosts().iter().zip(before) {
            eventually("the daemon is not much larger", || {
                let now = resident_kb(host)?;
                ensure!(now < before + GROWTH_KB, "{} has {now} KB, before {before} KB", host.name);
                Ok(())
            })?;
            ensure!(!host.log().contains("panicked"), "{} panicked: {}", host.name, host.log_end(20));
        }
        Ok(())
    });
}
