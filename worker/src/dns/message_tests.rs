//! Queries in, answers out, without a socket.

use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn ask(message: &Message, answer: Answer) -> Message {
    match judge(&message.to_vec().unwrap(), Transport::Udp, |_, _| (answer, true)) {
        Verdict::Reply(bytes) => Message::from_vec(&bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn addresses(count: u32) -> Answer {
    Answer::Addresses((0..count).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes())).collect())
}

#[test]
fn an_answer_keeps_the_case_of_the_question() {
    let answer = ask(&query("WeB.My_Net.", RecordType::A), addresses(2));
    assert_eq!(answer.metadata.id, 0x1234);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(
        answer.metadata.authoritative
            && answer.metadata.recursion_available
            && answer.metadata.recursion_desired
    );
    assert_eq!(answer.queries[0].name.to_ascii(), "WeB.My_Net.");
    assert_eq!(answer.answers.len(), 2);
    assert!(answer.answers.iter().all(|r| r.ttl == TTL_S && r.name.to_ascii() == "WeB.My_Net."));
}

#[test]
fn names_are_looked_up_in_lower_case() {
    let mut seen = None;
    let bytes = query("WeB.My_Net.", RecordType::MX).to_vec().unwrap();
    judge(&bytes, Transport::Udp, |name, kind| {
        seen = Some((name.to_owned(), kind));
        (Answer::Empty, true)
    });
    assert_eq!(seen, Some(("web.my_net".into(), Kind::Other)));
}

#[test]
fn a_dot_inside_a_label_is_not_a_separator() {
    let mut message = query("x.", RecordType::A);
    message.queries[0].name = Name::from_labels([b"web.net".as_slice()]).unwrap();
    let bytes = message.to_vec().unwrap();
    let verdict = judge(&bytes, Transport::Udp, |name, _| {
        assert_eq!(name, "");
        (Answer::Unknown, false)
    });
    assert!(matches!(verdict, Verdict::Reply(_)));
}

#[test]
fn unknown_goes_outside_or_nowhere() {
    let bytes = query("example.", RecordType::A).to_vec().unwrap();
    assert_eq!(judge(&bytes, Transport::Udp, |_, _| (Answer::Unknown, true)), Verdict::Forward);
    let Verdict::Reply(inside) = judge(&bytes, Transport::Udp, |_, _| (Answer::Unknown, false)) else {
        panic!()
    };
    assert_eq!(Message::from_vec(&inside).unwrap().metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn known_without_that_type_is_empty() {
    let answer = ask(&query("web.", RecordType::AAAA), Answer::Empty);
    assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
}

#[test]
fn reverse_names_point_at_names() {
    let answer =
        ask(&query("5.1.0.10.in-addr.arpa.", RecordType::PTR), Answer::Names(vec!["web.net".into()]));
    assert_eq!(answer.answers[0].data, RData::PTR(PTR(Name::from_ascii("web.net.").unwrap())));
}

#[test]
fn long_answers_are_cut_to_what_the_client_takes() {
    let plain = query("all.", RecordType::A);
    let cut = ask(&plain, addresses(100));
    assert!(cut.metadata.truncation);
    assert!(!cut.answers.is_empty() && cut.to_vec().unwrap().len() <= 512);
    let mut wide = plain.clone();
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    wide.set_edns(edns);
    let whole = ask(&wide, addresses(100));
    assert!(!whole.metadata.truncation && whole.edns.is_some());
    assert_eq!(whole.answers.len(), 100);
    let cut = ask(&wide, addresses(1000));
    assert!(cut.metadata.truncation && cut.edns.is_some() && cut.to_vec().unwrap().len() <= 4096);
    let bytes = plain.to_vec().unwrap();
    let Verdict::Reply(tcp) = judge(&bytes, Transport::Tcp, |_, _| (addresses(1000), true)) else { panic!() };
    assert_eq!(Message::from_vec(&tcp).unwrap().answers.len(), 1000);
    let Verdict::Reply(most) = judge(&bytes, Transport::Tcp, |_, _| (addresses(10_000), true)) else {
        panic!()
    };
    assert!(most.len() <= 65_535 && Message::from_vec(&most).unwrap().metadata.truncation);
}

#[test]
fn what_is_not_a_plain_query() {
    let mut answer = query("web.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    let never = |_: &str, _: Kind| -> (Answer, bool) { panic!("asked") };
    assert_eq!(judge(&answer.to_vec().unwrap(), Transport::Udp, never), Verdict::Drop);
    let code = |message: &Message| match judge(&message.to_vec().unwrap(), Transport::Udp, never) {
        Verdict::Reply(bytes) => Message::from_vec(&bytes).unwrap().metadata.response_code,
        other => panic!("{other:?}"),
    };
    let mut update = query("web.", RecordType::A);
    update.metadata.op_code = OpCode::Notify;
    assert_eq!(code(&update), ResponseCode::NotImp);
    let mut two = query("web.", RecordType::A);
    two.add_query(Query::query(Name::from_ascii("b.").unwrap(), RecordType::A));
    assert_eq!(code(&two), ResponseCode::FormErr);
    assert_eq!(judge(b"short", Transport::Udp, never), Verdict::Drop);
    assert!(matches!(judge(&[0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0], Transport::Udp, never), Verdict::Reply(_)));
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), known in any::<bool>()) {
        let answer = if known { addresses(3) } else { Answer::Unknown };
        if let Verdict::Reply(reply) = judge(&bytes, Transport::Udp, |_, _| (answer, false)) {
            prop_assert!(Message::from_vec(&reply).is_ok());
            prop_assert!(reply.len() <= usize::from(MOST_UDP));
        }
        let _ = failure(&bytes);
    }
}
