//! From a query's bytes to an answer's. Knows: DNS messages (RFC 1035, EDNS by RFC 6891). Must not know: sockets, or
//! which names there are. Pure.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use swarm_overlay::dns::{Answer, Kind, MAX_NAME, TTL_S};

/// Without EDNS an answer over UDP has at most this (RFC 1035 §2.3.4).
const PLAIN_UDP: u16 = 512;
/// More than this is not sent over UDP whatever a client says it takes, and is what we say we take.
const MOST_UDP: u16 = 4096;
/// An address record as we write it (the larger of the two): its name is a pointer.
const RECORD_BYTES: usize = 28;
const HEADER_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What to do with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Reply(Vec<u8>),
    /// To be asked of the host's resolvers.
    Forward,
    /// Not a query at all; an answer could start a quarrel between two servers.
    Drop,
}

/// Judges one message. `ask` tells what a name (lower case, no last dot) means, and whether unknown names may be asked
/// for outside.
pub(crate) fn judge(
    bytes: &[u8],
    transport: Transport,
    ask: impl FnOnce(&str, Kind) -> (Answer, bool),
) -> Verdict {
    let Ok(query) = Message::from_vec(bytes) else { return malformed(bytes) };
    if query.metadata.message_type != MessageType::Query {
        return Verdict::Drop;
    }
    if query.metadata.op_code != OpCode::Query {
        return reply(&query, ResponseCode::NotImp, transport);
    }
    let [question] = query.queries.as_slice() else {
        return reply(&query, ResponseCode::FormErr, transport);
    };
    if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return reply(&query, ResponseCode::BADVERS, transport);
    }
    let mut text = [0u8; MAX_NAME + 1];
    let ours = matches!(question.query_class, DNSClass::IN | DNSClass::ANY);
    let name = lookup_text(&question.name, &mut text).filter(|_| ours);
    // A name that cannot be written as text is none of ours, but whether it may go outside is for `ask` to say.
    match ask(name.unwrap_or_default(), kind(question.query_type)) {
        (Answer::Unknown, true) => Verdict::Forward,
        (Answer::Unknown, false) => reply(&query, ResponseCode::NXDomain, transport),
        (Answer::Empty, _) => answered(&query, Vec::new(), transport),
        (Answer::Addresses(ips), _) => {
            let records = ips.into_iter().map(|ip| match ip {
                std::net::IpAddr::V4(ip) => record(question, RData::A(A(ip))),
                std::net::IpAddr::V6(ip) => record(question, RData::AAAA(AAAA(ip))),
            });
            answered(&query, records.collect(), transport)
        }
        (Answer::Names(names), _) => {
            let names = names.iter().filter_map(|name| Name::from_ascii(format!("{name}.")).ok());
            let records = names.map(|name| record(question, RData::PTR(PTR(name))));
            answered(&query, records.collect(), transport)
        }
    }
}

fn kind(asked: RecordType) -> Kind {
    match asked {
        RecordType::A => Kind::A,
        RecordType::AAAA => Kind::Aaaa,
        RecordType::PTR => Kind::Ptr,
        RecordType::ANY => Kind::Any,
        _ => Kind::Other,
    }
}

/// The name in lower case without the last dot, written into `text`. `None` when a label holds a dot or anything else
/// that is not plain ASCII: then its text would mean another name.
fn lookup_text<'a>(name: &Name, text: &'a mut [u8]) -> Option<&'a str> {
    let mut end = 0;
    for label in name.iter() {
        if end > 0 {
            *text.get_mut(end)? = b'.';
            end += 1;
        }
        let place = text.get_mut(end..end + label.len())?;
        for (to, from) in place.iter_mut().zip(label) {
            if !from.is_ascii_graphic() || *from == b'.' {
                return None;
            }
            *to = from.to_ascii_lowercase();
        }
        end += label.len();
    }
    std::str::from_utf8(text.get(..end)?).ok()
}

fn record(question: &Query, data: RData) -> Record {
    Record::from_rdata(question.name.clone(), TTL_S, data)
}

fn response_to(query: &Message, code: ResponseCode) -> Message {
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    let mut metadata = Metadata::response_from_request(&query.metadata);
    metadata.recursion_available = true;
    metadata.response_code = code;
    response.metadata = metadata;
    response.queries.clone_from(&query.queries);
    response.edns = query.edns.as_ref().map(|asked| {
        let mut edns = Edns::new();
        edns.set_max_payload(MOST_UDP).set_version(0).set_dnssec_ok(asked.flags().dnssec_ok);
        edns
    });
    response
}

fn reply(query: &Message, code: ResponseCode, transport: Transport) -> Verdict {
    encode(response_to(query, code), limit(query, transport))
}

fn answered(query: &Message, records: Vec<Record>, transport: Transport) -> Verdict {
    let mut response = response_to(query, ResponseCode::NoError);
    response.metadata.authoritative = true;
    response.answers = records;
    encode(response, limit(query, transport))
}

fn limit(query: &Message, transport: Transport) -> usize {
    let udp = query.edns.as_ref().map_or(PLAIN_UDP, |edns| edns.max_payload().clamp(PLAIN_UDP, MOST_UDP));
    match transport {
        Transport::Udp => udp.into(),
        Transport::Tcp => u16::MAX.into(),
    }
}

/// Writes the answer; what does not fit is left out and TC is set, so that the client asks again over TCP.
fn encode(mut response: Message, limit: usize) -> Verdict {
    match response.to_vec() {
        Ok(bytes) if bytes.len() <= limit => return Verdict::Reply(bytes),
        // Too long for any transport is an error of the encoder; it is cut below like any other.
        Ok(_) | Err(_) => {}
    }
    let records = std::mem::take(&mut response.answers);
    response.metadata.truncation = true;
    let empty = response.to_vec().map_or(limit, |bytes| bytes.len());
    let addresses = records.iter().all(|r| matches!(r.data, RData::A(_) | RData::AAAA(_)));
    let mut fit = if addresses { limit.saturating_sub(empty) / RECORD_BYTES } else { 0 };
    loop {
        response.answers = records.iter().take(fit).cloned().collect();
        match response.to_vec() {
            // Not every name is written as a pointer: then the records are longer than was reckoned.
            Ok(bytes) if bytes.len() > limit && fit > 0 => fit /= 2,
            Ok(bytes) => return Verdict::Reply(bytes),
            Err(_) => return Verdict::Drop,
        }
    }
}

/// A message that cannot be read: told so if it at least has a header and is not itself an answer.
fn malformed(bytes: &[u8]) -> Verdict {
    match bytes {
        [a, b, flags, _, ..] if bytes.len() >= HEADER_BYTES && flags & 0x80 == 0 => {
            let id = u16::from_be_bytes([*a, *b]);
            let error = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
            error.to_vec().map_or(Verdict::Drop, Verdict::Reply)
        }
        _ => Verdict::Drop,
    }
}

/// The answer to a query that nobody outside answered.
pub(crate) fn failure(bytes: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(bytes).ok()?;
    match reply(&query, ResponseCode::ServFail, Transport::Udp) {
        Verdict::Reply(bytes) => Some(bytes),
        Verdict::Forward | Verdict::Drop => None,
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
