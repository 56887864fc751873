//! Lines, and what is never in them.

use super::record::{Outcome, Record, Who};
use super::*;
use proptest::prelude::*;
use std::path::Path;
use swarm_proto::v1;
use tonic::{Response, Status};

fn read(dir: &Path) -> Vec<serde_json::Value> {
    lines(dir, OPERATORS)
}

fn lines(dir: &Path, name: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn record(outcome: Outcome, kind: Kind) -> Record {
    let who = Who { who: "nobody".into(), from: "192.0.2.1".into(), via: None, kind };
    Record {
        at_ms: 1,
        who,
        method: Method::Issue.name(),
        what: "node \"x\"\n{}".into(),
        outcome,
        said: Some("no".into()),
        took_ms: 2,
    }
}

#[tokio::test]
async fn every_outcome_has_its_line_also_that_of_a_call_nobody_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::start(dir.path().join("audit"), Arc::default());
    let open = |reference: &str| {
        let request = v1::RemoveNetworkRequest { reference: reference.into(), ..Default::default() };
        audit.open(Door::Local, Method::RemoveNetwork, &Request::new(request))
    };
    open("a").close(async { Ok(Response::new(())) }).await.unwrap();
    open("b").close(async { Err::<(), _>(Status::permission_denied("not you")) }).await.unwrap_err();
    open("c").close(async { Err::<(), _>(Status::unavailable("no leader")) }).await.unwrap_err();
    drop(open("d").close(std::future::pending::<Result<(), Status>>()));
    audit.flush().await;
    let lines = read(&dir.path().join("audit"));
    let told: Vec<_> =
        lines.iter().map(|line| (line["what"].as_str().unwrap(), line["result"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [("network a", "done"), ("network b", "refused"), ("network c", "failed"), ("network d", "given_up")]
    );
    assert_eq!(
        (&lines[1]["said"], &lines[0]["method"]),
        (&"not you".into(), &"Control/RemoveNetwork".into())
    );
}

#[test]
fn what_was_asked_is_told_apart() {
    let lock = |lock: v1::Lock| v1::SetLockRequest { lock: lock.into(), ..Default::default() }.what();
    assert_eq!(lock(v1::Lock::On), "lock the managers' files");
    assert_eq!(lock(v1::Lock::Off), "unlock the managers' files");
    assert_eq!(lock(v1::Lock::Rotate), "another unlock key");
    let token = v1::CreateJoinTokenRequest { role: v1::Role::Worker.into(), ..Default::default() };
    assert_eq!(token.what(), "worker token, any number of uses, no end");
    let token = v1::CreateJoinTokenRequest { uses: 2, ttl_ms: 60_000, ..token };
    assert_eq!(token.what(), "worker token, uses 2, ttl 60000 ms");
    let endpoint = v1::NewEndpoint { name: "a".into(), network: "my_net".into(), ..Default::default() };
    let endpoints = v1::CreateEndpointsRequest { endpoints: vec![endpoint], ..Default::default() };
    assert_eq!(endpoints.what(), "endpoints a on network my_net");
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::start(dir.path().join("audit"), Arc::default());
    audit.missed.lost.store(7, Ordering::Relaxed);
    (0..1_000).for_each(|_| audit.note(record(Outcome::Refused, Kind::Stranger)));
    audit.note(record(Outcome::Done, Kind::User));
    audit.flush().await;
    audit.flush().await;
    let place = dir.path().join("audit");
    let (own, others) = (read(&place), lines(&place, OTHERS));
    let missed: u64 = own.iter().chain(&others).filter_map(|line| line["count"].as_u64()).sum();
    assert_eq!(missed, 7 + 1_000 - 200);
    assert!(others.len() < 220 && own.iter().any(|line| line["result"] == "done"));
    assert_eq!(own.len(), 2);
}

/// Whoever has a node's key asks for what it may not have, as long and as often as it likes.
#[tokio::test]
async fn a_member_that_is_refused_without_end_pushes_nothing_of_the_operators_out() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("audit");
    let audit = Audit::start(place.clone(), Arc::default());
    audit.note(record(Outcome::Done, Kind::Local));
    for _ in 0..100 {
        (0..1_000).for_each(|_| audit.note(record(Outcome::Refused, Kind::Node)));
        (0..10).for_each(|_| audit.note(record(Outcome::Done, Kind::Node)));
        audit.flush().await;
    }
    audit.flush().await;
    assert_eq!(read(&place).len(), 1);
    let others = lines(&place, OTHERS);
    let is = |result: &'static str| others.iter().filter(move |line| line["result"] == result);
    let counted: u64 = is("not_recorded").filter_map(|line| line["count"].as_u64()).sum();
    assert_eq!(is("refused").count() as u64 + counted, 100_000);
    assert_eq!(is("done").count(), 1_000);
    assert!(is("refused").count() < 300 && is("not_recorded").all(|line| line["who"] == "nobody"));
}

/// A file where the folder should be, as a disk that takes nothing.
#[tokio::test]
async fn what_the_disk_did_not_take_is_counted_to_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("audit");
    std::fs::write(&place, "in the way").unwrap();
    let audit = Audit::start(place.clone(), Arc::default());
    for _ in 0..175 {
        audit.note(record(Outcome::Done, Kind::Local));
        audit.flush().await;
    }
    std::fs::remove_file(&place).unwrap();
    audit.note(record(Outcome::Done, Kind::Local));
    audit.flush().await;
    let lines = read(&place);
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["result"], &lines[0]["count"]), (&"not_recorded".into(), &175.into()));
    assert_eq!(audit.counts(), (1, 175));
}

#[tokio::test]
async fn a_full_queue_holds_nobody_up() {
    let (queue, _held) = mpsc::channel(1);
    let audit = Audit { queue, missed: Arc::default(), applied: Arc::default() };
    (0..10).for_each(|_| audit.note(record(Outcome::Done, Kind::User)));
    assert_eq!(audit.missed.lost.load(Ordering::Relaxed), 9);
}

proptest! {
    /// Secrets are planted in every field that may hold one.
    #[test]
    fn secrets_are_in_no_line(canary in "[0-9a-z]{25}", hostname in "[a-z]{1,8}") {
        let bytes = canary.clone().into_bytes();
        let said = [
            v1::IssueRequest { token: canary.clone(), csr_der: bytes.clone(), hostname, request_id: canary.clone(), ..Default::default() }.what(),
            v1::RenewRequest { csr_der: bytes.clone() }.what(),
            v1::BackupRequest { passphrase: canary.clone() }.what(),
            v1::CreateUserRequest { csr_der: bytes, request_id: canary.clone(), ..Default::default() }.what(),
            v1::RotateJoinTokenRequest { request_id: canary.clone(), ..Default::default() }.what(),
            v1::CreateJoinTokenRequest { request_id: canary.clone(), ..Default::default() }.what(),
        ];
        prop_assert!(said.iter().all(|said| !said.contains(&canary)), "{said:?}");
    }

    #[test]
    fn a_line_is_one_line_of_json_and_bounded(what in "(?s)[\\x00-\\x1f\"a\u{1f600}]{0,2000}", said in ".{0,2000}") {
        let mut record = record(Outcome::Failed, Kind::Node);
        (record.what, record.said) = (what, Some(said));
        let line = record.line();
        prop_assert!(!line.contains('\n') && line.len() < 2_500);
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&parsed["result"], "failed");
    }
}
