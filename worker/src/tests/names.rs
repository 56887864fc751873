//! Names inside sandboxes, asked with real sockets; the host's resolvers are of straw too.

use super::manager::Manager;
use super::world::{attach, on, on_a_host};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use swarm_netns::NetNs;
use swarm_proto::v1;

const SERVER: &str = "127.0.0.11:53";

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn ask(ns: &NetNs, name: &str, kind: RecordType) -> Message {
    let (ns, bytes) = (ns.clone(), query(name, kind).to_vec().unwrap());
    let answer = tokio::task::spawn_blocking(move || {
        let socket = ns.run(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        socket.send_to(&bytes, SERVER).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        Message::from_vec(&buffer[..length]).unwrap()
    });
    answer.await.unwrap()
}

async fn ask_tcp(ns: &NetNs, name: &str, kind: RecordType) -> Message {
    let (ns, bytes) = (ns.clone(), query(name, kind).to_vec().unwrap());
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = ns.run(|| TcpStream::connect(SERVER)).unwrap().unwrap();
        stream.write_all(&[&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).unwrap();
        Message::from_vec(&answer).unwrap()
    });
    answer.await.unwrap()
}

fn addresses(message: &Message) -> Vec<String> {
    let mut all: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
    all.sort();
    all
}

/// A resolver of the host that answers everything the same way; counts what it was asked.
fn resolver(ip: &str, code: Option<ResponseCode>) -> Arc<AtomicU64> {
    let socket = UdpSocket::bind((ip, 53)).unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::Relaxed);
            let Some(code) = code else { continue };
            let mut answer = Message::from_vec(&buffer[..length]).unwrap();
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.response_code = code;
            if code == ResponseCode::NoError {
                let name = answer.queries[0].name.clone();
                let record = RData::A("198.51.100.1".parse().unwrap());
                answer.add_answer(hickory_proto::rr::Record::from_rdata(name, 60, record));
            }
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
    asked
}

#[test]
fn names_of_own_networks_only_over_udp_and_tcp() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        let one = manager.network(1, "one", |_| {});
        let two = manager.network(2, "two", |_| {});
        manager.remote(one, 11, "Far", "10.0.1.77");
        manager.remote(two, 12, "hidden", "10.0.2.77");
        for n in 0..60 {
            manager.remote(one, 100 + n, &format!("r{n}"), &format!("10.0.1.{}", 100 + n));
        }
        let asked = resolver("127.0.0.53", Some(ResponseCode::NXDomain));
        std::fs::write(host.path().join("resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        let a = worker.attach(attach("a", &path, "one")).await.unwrap();

        for name in ["far.", "FAR.One.", "a."] {
            let answer = ask(&ns, name, RecordType::A).await;
            assert_eq!(
                (answer.metadata.response_code, answer.answers.len()),
                (ResponseCode::NoError, 1),
                "{name}"
            );
            assert_eq!(answer.answers[0].ttl, 5);
        }
        for kind in [RecordType::AAAA, RecordType::MX] {
            let answer = ask(&ns, "fAr.", kind).await;
            assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
        }
        assert_eq!(addresses(&ask(&ns, "77.1.0.10.in-addr.arpa.", RecordType::PTR).await), ["far.one."]);
        assert_eq!(asked.load(Ordering::Relaxed), 0, "nothing of this goes outside");

        let cut = ask(&ns, "everybody.", RecordType::A).await;
        assert!(cut.metadata.truncation && cut.to_vec().unwrap().len() <= 512);
        assert_eq!(ask_tcp(&ns, "everybody.", RecordType::A).await.answers.len(), 61);

        assert_eq!(ask(&ns, "hidden.", RecordType::A).await.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(
            ask(&ns, "hidden.two.", RecordType::A).await.metadata.response_code,
            ResponseCode::NXDomain
        );
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        worker.connect(v1::ConnectRequest { target: a.id, attachment: Some(on("two")) }).await.unwrap();
        assert_eq!(addresses(&ask(&ns, "hidden.", RecordType::A).await), ["10.0.2.77"]);
        worker.leave().await.unwrap();
    });
}

#[test]
fn unknown_names_are_asked_of_the_hosts_resolvers_in_turn() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "net", |_| {});
        let (broken, silent) =
            (resolver("127.0.0.51", Some(ResponseCode::ServFail)), resolver("127.0.0.52", None));
        let good = resolver("127.0.0.53", Some(ResponseCode::NoError));
        let conf = host.path().join("resolv.conf");
        std::fs::write(&conf, "nameserver 127.0.0.51\nnameserver 127.0.0.52\nnameserver 127.0.0.53\n")
            .unwrap();
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        worker.attach(attach("a", &path, "net")).await.unwrap();
        let answer = ask(&ns, "www.example.", RecordType::A).await;
        assert_eq!(answer.metadata.id, 4711);
        assert_eq!(addresses(&answer), ["198.51.100.1"]);
        let counts = [&broken, &silent, &good].map(|asked| asked.load(Ordering::Relaxed));
        assert_eq!(counts, [1, 1, 1]);
        // Nobody has an answer: the one that was given is passed on.
        std::fs::write(&conf, "nameserver 127.0.0.51\n").unwrap();
        let answered = async {
            while ask(&ns, "www.example.", RecordType::A).await.metadata.response_code
                != ResponseCode::ServFail
            {}
        };
        tokio::time::timeout(Duration::from_secs(10), answered).await.expect("the changed file is read");
        worker.leave().await.unwrap();
    });
}

#[test]
fn a_sandbox_on_internal_networks_asks_nobody() {
    on_a_host(|host| async move {
        let manager = Manager::start().await;
        manager.network(1, "inside", |spec| spec.internal = true);
        let asked = resolver("127.0.0.53", Some(ResponseCode::NoError));
        std::fs::write(host.path().join("resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
        let worker = host.worker(&[&manager]).await;
        let (path, ns) = host.foreign("a");
        worker.attach(attach("a", &path, "inside")).await.unwrap();
        let answer = ask(&ns, "www.example.", RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert_eq!(ask(&ns, "a.inside.", RecordType::A).await.answers.len(), 1);
        worker.leave().await.unwrap();
    });
}
