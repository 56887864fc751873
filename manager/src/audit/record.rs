//! One line of the audit log. Knows: its fields and their order. Must not know: files, what a call does.

use crate::applied::AppliedState;
use crate::caller::{Arrival, Caller};
use crate::gate::Door;
use crate::propose::now_ms;
use serde::Serialize;
use swarm_model::{Role, rfc3339};
use tonic::transport::server::UdsConnectInfo;
use tonic::{Code, Request, Status};

/// Most bytes one field has in the file, where a control character takes six; more of it is cut.
const MOST_BYTES: usize = 640;

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Who {
    pub who: String,
    pub from: String,
    /// The manager that handed the call on.
    pub via: Option<String>,
    pub kind: Kind,
}

/// What kind of caller it is, for how much room it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Local,
    User,
    Node,
    Stranger,
}

impl Who {
    pub fn of<R>(door: Door, request: &Request<R>, applied: &AppliedState) -> Self {
        match door {
            Door::Local => local(request),
            Door::Tls => remote(request, applied),
        }
    }
}

pub fn local<R>(request: &Request<R>) -> Who {
    let cred = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
    let who = match cred {
        Some(cred) => format!("local uid {}", cred.uid()),
        None => "local".to_owned(),
    };
    let from = cred.and_then(|cred| cred.pid()).map_or("local socket".to_owned(), |pid| format!("pid {pid}"));
    Who { who, from, via: None, kind: Kind::Local }
}

fn remote<R>(request: &Request<R>, applied: &AppliedState) -> Who {
    let (connection, addr) = Arrival::connection(request);
    let from = addr.map_or_else(String::new, |addr| addr.to_string());
    match Arrival::of(request).ok().and_then(|arrival| arrival.forwarded) {
        Some(caller) => {
            let via = Some(name(&connection, applied));
            Who { who: name(&caller, applied), from, via, kind: kind(&caller) }
        }
        None => Who { who: name(&connection, applied), from, via: None, kind: kind(&connection) },
    }
}

fn kind(caller: &Caller) -> Kind {
    match caller {
        Caller::LocalOperator => Kind::Local,
        Caller::User(_) => Kind::User,
        Caller::Node(_) => Kind::Node,
        Caller::Anonymous => Kind::Stranger,
    }
}

fn name(caller: &Caller, applied: &AppliedState) -> String {
    match caller {
        Caller::LocalOperator => "local".to_owned(),
        Caller::Anonymous => "nobody".to_owned(),
        Caller::Node(identity) => {
            let role = match identity.role {
                Role::Manager => "manager",
                Role::Worker => "worker",
            };
            format!("{role} {}", identity.node)
        }
        Caller::User(identity) => {
            let name = applied.read(|state| state.user(&identity.user).map(|user| user.name.clone()));
            format!("user {} {}", name.as_deref().unwrap_or("(removed)"), identity.user)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    Refused,
    Failed,
    /// The caller did not wait for the answer; what was asked may have been done.
    GivenUp,
}

#[derive(Debug)]
pub struct Record {
    pub at_ms: u64,
    pub who: Who,
    pub method: &'static str,
    pub what: String,
    pub outcome: Outcome,
    /// Why not.
    pub said: Option<String>,
    pub took_ms: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    who: &'a str,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'a str>,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    what: &'a str,
    result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<&'a str>,
    took_ms: u64,
}

#[derive(Serialize)]
struct Missing<'a> {
    at: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    count: u64,
    said: &'static str,
}

impl Record {
    /// Told by number only, above some. A stranger gets nothing done by asking.
    pub fn may_be_counted(&self) -> bool {
        match self.who.kind {
            Kind::Local => false,
            Kind::User | Kind::Node => self.outcome == Outcome::Refused,
            Kind::Stranger => self.outcome != Outcome::Done,
        }
    }

    /// Told apart from what operators do: whoever has one node's key may ask as often as it likes.
    pub fn stands_apart(&self) -> bool {
        self.who.kind == Kind::Node || self.may_be_counted()
    }

    pub fn line(&self) -> String {
        let said = self.said.as_deref().map(cut);
        let line = Line {
            at: rfc3339(self.at_ms),
            who: cut(&self.who.who),
            from: cut(&self.who.from),
            via: self.who.via.as_deref().map(cut),
            method: self.method,
            what: cut(&self.what),
            result: self.outcome,
            said,
            took_ms: self.took_ms,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// In place of what is not in the log.
pub fn missing(who: Option<&str>, count: u64, why: &'static str) -> String {
    let line = Missing { at: rfc3339(now_ms()), result: "not_recorded", who: who.map(cut), count, said: why };
    serde_json::to_string(&line).unwrap_or_default()
}

fn cut(text: &str) -> &str {
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, c)| {
        bytes += in_json(*c);
        bytes > MOST_BYTES
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Bytes of a character in a line, at most.
fn in_json(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}

/// What an error means for the record: a decision against the caller, or that it could not be done.
pub fn outcome(status: &Status) -> Outcome {
    match status.code() {
        Code::PermissionDenied
        | Code::Unauthenticated
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::ResourceExhausted => Outcome::Refused,
        _ => Outcome::Failed,
    }
}
