//! Callers that stall, speak old TLS, or try to resume.

use crate::world::{Cluster, DAY_MS, Manager, eventually, now_ms, who_am_i};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use swarm_identity::{Cap, DialError, Limits, MANAGER_NAME, Subject, Validity};
use swarm_model::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Takes any certificate: what is tested is what the server does.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn builder() -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
}

/// A client that would resume if it could.
fn client(alpn: &[u8]) -> Arc<ClientConfig> {
    let mut config = builder().with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

/// A client without a certificate.
pub fn stranger() -> Arc<ClientConfig> {
    client(b"h2")
}

/// A client with a certificate of `issuer`, for `subject`.
pub fn client_as(issuer: &Cluster, subject: &Subject) -> Arc<ClientConfig> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let csr = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let valid = Validity::starting(now_ms(), DAY_MS);
    let chain = issuer.ca.sign(csr.der(), subject, valid).expect("a certificate");
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().expect("PEM");
    let mut config = builder().with_client_auth_cert(chain, key.into()).expect("usable");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

pub async fn connect(manager: &Manager, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    connect_by(TcpStream::connect(manager.addr).await?, config).await
}

pub async fn connect_by(tcp: TcpStream, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(MANAGER_NAME).expect("a name");
    TlsConnector::from(config.clone()).connect(name, tcp).await
}

#[tokio::test]
async fn resumption_is_not_offered() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let config = client(b"h2");
    for _ in 0..2 {
        let mut stream = connect(&manager, &config).await.expect("connected");
        // Tickets would come before the server's first bytes.
        stream.read_u8().await.expect("the server's settings");
        let session = stream.get_ref().1;
        assert_eq!(session.tls13_tickets_received(), 0);
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
    }
}

/// Foreign CA: refused in the handshake. Our CA but another cluster: refused after it. Neither gets a byte.
#[tokio::test]
async fn a_certificate_that_is_not_of_our_cluster_gets_no_answer() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let manager = Manager::of(&cluster).await;
    let worker = cluster.subject(Role::Worker);
    let foreign = Subject { cluster: other.id, ..worker.clone() };
    for (issuer, subject, let_in) in
        [(&cluster, &worker, true), (&other, &worker, false), (&cluster, &foreign, false)]
    {
        // The client may think the handshake done before the server has judged.
        let answer = match connect(&manager, &client_as(issuer, subject)).await {
            Ok(mut stream) => stream.read_u8().await,
            Err(error) => Err(error),
        };
        assert_eq!(answer.is_ok(), let_in, "{answer:?}");
    }
    eventually("nobody is inside", || manager.connections.counts().members == 0).await;
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    let mut stream = TcpStream::connect(manager.addr).await.expect("connected");
    stream.write_all(&tls12_hello()).await.expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("hung up");
    let (alert, fatal, protocol_version) = (21, 2, 70);
    assert_eq!(answer, [alert, 3, 3, 0, 2, fatal, protocol_version]);
}

/// A hello of a client that knows TLS 1.2 only (RFC 5246 §7.4.1.2), as our own library can no longer write it.
fn tls12_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]); // no session; ECDHE-ECDSA-AES128-GCM; no compression
    let mut extensions = vec![0, 10, 0, 4, 0, 2, 0, 23]; // supported_groups: P-256
    extensions.extend([0, 13, 0, 4, 0, 2, 4, 3]); // signature_algorithms: ECDSA P-256
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(body);
    hello
}

#[tokio::test]
async fn another_protocol_than_http_2_is_refused() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    connect(&manager, &client(b"http/1.1")).await.expect_err("no common protocol");
}

fn short(handshakes: Cap, deadline_ms: u64) -> Limits {
    let handshake_deadline = Duration::from_millis(deadline_ms);
    Limits { handshakes, handshake_deadline, ..Limits::default() }
}

/// Whether the other side has hung up.
pub async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    match timeout(Duration::from_secs(5), stream.read(&mut byte)).await {
        Ok(Ok(0)) | Ok(Err(_)) => true,
        Ok(Ok(_)) | Err(_) => false,
    }
}

/// As above, through TLS; what the server says before is read over.
pub async fn is_closed_tls(stream: &mut TlsStream<TcpStream>) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn stalled_handshakes_delay_nobody_and_end() {
    let cluster = Cluster::new();
    let limits = short(Cap { total: 512, per_address: 512 }, 1_000);
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let mut stalled = Vec::new();
    for _ in 0..200 {
        stalled.push(TcpStream::connect(manager.addr).await.expect("connected"));
    }
    eventually("all are waited for", || manager.connections.counts().handshakes == 200).await;
    let began = Instant::now();
    let channel = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
    who_am_i(&channel).await.expect("answered");
    assert!(began.elapsed() < Duration::from_millis(900), "took {:?}", began.elapsed());
    eventually("the deadline ends them", || manager.connections.counts().handshakes == 0).await;
    for stream in &mut stalled {
        assert!(is_closed(stream).await);
    }
}

/// One byte of a handshake now and then does not buy time.
#[tokio::test]
async fn a_trickled_handshake_ends_at_the_deadline() {
    let cluster = Cluster::new();
    let limits = short(Cap { total: 512, per_address: 512 }, 300);
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let mut stream = TcpStream::connect(manager.addr).await.expect("connected");
    let began = Instant::now();
    // A record header that announces 500 bytes of handshake, which then come one by one.
    stream.write_all(&[22, 3, 1, 1, 244]).await.expect("written");
    while stream.write_all(&[1]).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "still waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A handshake message that says it is 16 MiB long, and comes as fast as it is taken.
#[tokio::test]
async fn an_endless_handshake_is_cut_short() {
    let cluster = Cluster::new();
    let limits = short(Cap { total: 512, per_address: 512 }, 60_000);
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let mut stream = TcpStream::connect(manager.addr).await.expect("connected");
    let mut record = vec![22, 3, 1, 0x40, 0];
    record.extend([1, 0xff, 0xff, 0xff]);
    record.resize(5 + 0x4000, 0);
    let mut sent = 0;
    while stream.write_all(&record).await.is_ok() {
        sent += record.len();
        record[5..9].fill(0);
        assert!(sent < 8 << 20, "still taken after {sent} bytes");
    }
    eventually("nothing is left", || manager.connections.counts().handshakes == 0).await;
}

#[tokio::test]
async fn one_address_has_so_many_unfinished_handshakes_and_no_more() {
    let cluster = Cluster::new();
    let limits = short(Cap { total: 64, per_address: 3 }, 60_000);
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        stalled.push(TcpStream::connect(manager.addr).await.expect("connected"));
    }
    eventually("three are waited for", || manager.connections.counts().handshakes == 3).await;
    let mut fourth = TcpStream::connect(manager.addr).await.expect("accepted by the kernel");
    assert!(is_closed(&mut stalled[0]).await, "the oldest makes room");
    assert!(timeout(Duration::from_millis(100), fourth.read_u8()).await.is_err(), "the newest is waited for");
    assert_eq!(manager.connections.counts().handshakes, 3);

    // Who is done within moments gets in all the same.
    let dialler = cluster.dialler(Role::Worker);
    dialler.to_manager(&manager.at()).await.expect("connected");
    drop(fourth);
    drop(stalled);
    eventually("places are free", || manager.connections.counts().handshakes == 0).await;
    dialler.to_manager(&manager.at()).await.expect("connected");
}

/// As many as there are places, from several addresses, for ever anew: whoever is done within moments is let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_handshakes_from_many_addresses_keep_nobody_out() {
    let cluster = Cluster::new();
    let limits = short(Cap { total: 16, per_address: 8 }, 60_000);
    let manager = Manager::start(cluster.credentials(Role::Manager), limits).await;
    let mut silent = Vec::new();
    for round in 0..10 {
        for host in 2..8 {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 0, host], 0).into()).expect("bound");
            silent.push(socket.connect(manager.addr).await.expect("connected"));
        }
        let channel = cluster.dialler(Role::Worker).to_manager(&manager.at()).await.expect("connected");
        who_am_i(&channel).await.unwrap_or_else(|e| panic!("round {round}: {e}"));
    }
    assert!(manager.connections.counts().handshakes <= 16);
}

#[tokio::test]
async fn garbage_is_hung_up_on() {
    let cluster = Cluster::new();
    let manager = Manager::of(&cluster).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 4_096]] {
        let mut stream = TcpStream::connect(manager.addr).await.expect("connected");
        stream.write_all(garbage).await.expect("written");
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(4), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "hung up on before the deadline");
    }
    eventually("nothing is left", || manager.connections.counts().handshakes == 0).await;
}

/// A server that takes the connection and says nothing: the dial ends by itself.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let cluster = Cluster::new();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = socket.local_addr().expect("bound").to_string();
    let began = Instant::now();
    let error = cluster.dialler(Role::Worker).to_manager(&addr).await.expect_err("silent");
    assert_eq!(error, DialError::Silent { addr, after_ms: 5_000 });
    assert!(began.elapsed() < Duration::from_secs(7));
}
