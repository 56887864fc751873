//! Writes the first files of each corpus: `cargo test -p swarm-fuzz --test seeds -- --ignored`. Those of `netlink_reply`
//! were read from a kernel with a bridge, a VXLAN device, a veth pair, addresses, routes, neighbours and an nft table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use std::fs;
use std::path::PathBuf;
use swarm_gossip::{Accusation, Digest, Header, Kind, Named, Number, Standing, Update};
use swarm_identity::{JoinToken, RootCa, new_key_and_csr};
use swarm_model::Id;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn put(target: &str, name: &str, bytes: &[u8]) {
    let folder = root().join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// The lines of a golden file: a name and bytes.
fn golden(level: u32, file: &str) -> Vec<(String, Vec<u8>)> {
    let path = root().join(format!("../manager/tests/golden/level-{level}/{file}"));
    let text = fs::read_to_string(path).unwrap();
    let words = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    words.map(|w| (w[0].to_owned(), from_hex(w.get(1).unwrap_or(&w[0])))).collect()
}

fn chain(pieces: &[Vec<u8>]) -> Vec<u8> {
    let piece = |p: &Vec<u8>| [(p.len() as u16).to_be_bytes().as_slice(), p].concat();
    pieces.iter().flat_map(piece).collect()
}

fn query(name: &str, kind: RecordType, edns: bool) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if edns {
        message.edns = Some(Edns::new());
    }
    message.to_vec().unwrap()
}

/// A message of each kind; frames are made of them, and of one the header alone.
fn gossip() {
    let member = |n| Named { number: Number([n; 16]), life: 7 };
    let update = |n, standing| Update { member: member(n), incarnation: 3, standing };
    let kinds = [
        ("ping", Kind::Ping(9)),
        ("ping_req", Kind::PingReq { target: member(4), probe: 9 }),
        ("forwarded_ack", Kind::ForwardedAck { origin: member(4), probe: 9 }),
        ("announce", Kind::Announce),
        ("gossip", Kind::Gossip),
        ("digest", Kind::Digest(Digest { members: 3, hash: 1 << 40 })),
        ("whole", Kind::Whole),
    ];
    for (name, kind) in kinds {
        let updates = match kind {
            Kind::Gossip | Kind::Whole => {
                vec![update(4, Standing::Alive), update(5, Standing::Suspect), update(6, Standing::Down)]
            }
            _ => Vec::new(),
        };
        let accused = Accusation { target: member(5), incarnation: 3, accuser: Number([6; 16]) };
        let accusations = if updates.is_empty() { Vec::new() } else { vec![accused] };
        let message = swarm_gossip::Message { kind, life: 7, incarnation: 3, updates, accusations };
        put("gossip_frame", name, &message.encode());
    }
    let header = Header { key: 2, sender: Number([1; 16]), boot: 1, counter: 1 };
    put("gossip_frame", "frame", &[&header.encode()[..], &[0; 40]].concat());
    put("gossip_frame", "header", &header.encode());
}

#[test]
#[ignore = "a tool that writes files"]
fn write_the_first_corpora() {
    let ca = RootCa::generate(Id::from_random([3; 16]), 1_800_000_000_000).unwrap();
    let token = JoinToken::new(ca.digest(), &swarm_identity::random::secret()).unwrap().to_string();
    put("token", "whole", token.as_bytes());
    put("token", "cut", &token.as_bytes()[..40]);
    put("token", "spaced", format!(" {} ", token.to_uppercase()).as_bytes());

    put("csr", "ours", &new_key_and_csr().unwrap().1);
    put("csr", "rsa", &fs::read(root().join("../identity/tests/identity/rsa-2048.csr.der")).unwrap());
    let mut wishes = rcgen::CertificateParams::new(vec!["manager.swarm".into()]).unwrap();
    wishes.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "swarm-manager");
    wishes.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let csr = wishes.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap();
    put("csr", "wishes", csr.der());

    for (name, kind) in [("a.my_net.", RecordType::A), ("x.", RecordType::AAAA), ("n.", RecordType::PTR)] {
        put("dns_query", &format!("plain-{kind}"), &query(name, kind, false));
        put("dns_query", &format!("edns-{kind}"), &query(name, kind, true));
    }

    for level in [1, 2] {
        let messages = golden(level, "messages.txt");
        let sent: Vec<Vec<u8>> = messages
            .iter()
            .filter(|(name, _)| name == "ManagerMessage")
            .map(|(_, bytes)| bytes.clone())
            .collect();
        put("assignment_chain", &format!("level-{level}"), &chain(&sent));
        for (n, message) in sent.iter().enumerate() {
            put("assignment_chain", &format!("level-{level}-{n}"), &chain(std::slice::from_ref(message)));
        }
        let log: Vec<Vec<u8>> = golden(level, "log.txt").into_iter().map(|(_, bytes)| bytes).collect();
        put("log_record", &format!("level-{level}"), &chain(&log));
        put("snapshot", &format!("level-{level}"), &golden(level, "snapshot.txt")[0].1);
    }
    gossip();
    let log = golden(2, "log.txt");
    put("log_record", "single", &log[1].1);
    let empty = swarm_state::State::default().snapshot();
    put("snapshot", "empty", &rmp_serde::to_vec_named(&empty).unwrap());

    put(
        "state_file",
        "sandboxes",
        br#"{"version":1,"sandboxes":{},"releasing":["0123456789abcdefghijklmno"]}"#,
    );
    put("state_file", "slots", b"swarmd 2 slots 1\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02");
    let whole = swarm_proto::v1::CompleteAssignment {
        revision: 7,
        defaults: Some(Default::default()),
        ..Default::default()
    };
    put("state_file", "assignment", &prost::Message::encode_to_vec(&whole));
}
