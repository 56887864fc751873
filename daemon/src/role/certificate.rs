//! A new certificate from whichever manager answers. Knows whom to ask; must not know what it is wanted for.

use crate::running::Running;
use std::time::Duration;
use swarm_identity::{Dialler, NodeIdentity, NodeKey, new_key_and_csr};
use swarm_model::{Kin, ManagerPeer, Role};
use swarm_proto::v1 as pb;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::recovery_client::RecoveryClient;
use tonic::{Code, Status};

const DEADLINE: Duration = Duration::from_secs(10);

/// What a manager answered. Nothing of it is in use yet.
pub struct Renewed {
    pub identity: NodeIdentity,
    /// As of the answer, not of what this host knew before.
    pub managers: Vec<ManagerPeer>,
}

impl Renewed {
    pub fn role(&self) -> Role {
        self.identity.peer().role
    }
}

/// The managers but this host itself: its own may be the last to hear what became of it.
pub fn others(running: &Running) -> Vec<String> {
    let (member, mut addresses) = (running.member(), running.managers());
    // Who was a manager when this host last looked may have gone since; who let it in may still be there.
    addresses.extend(running.worker.status().managers.iter().map(|manager| manager.addr));
    addresses.retain(|addr| *addr != member.advertise);
    let named = member.seeds().into_iter().filter(|addr| *addr != member.advertise.to_string());
    let mut seen: Vec<String> = Vec::new();
    for addr in addresses.iter().map(ToString::to_string).chain(named) {
        if !seen.contains(&addr) {
            seen.push(addr);
        }
    }
    seen
}

/// # Errors
/// Nobody answered, or this node is no member any more.
pub async fn renew(running: &Running) -> Result<Renewed, Status> {
    let (key, csr_der) = new_key_and_csr().map_err(|e| Status::internal(e.to_string()))?;
    let mut last = Status::unavailable("no other manager is known");
    for addr in others(running) {
        match tokio::time::timeout(DEADLINE, ask(running, &addr, csr_der.clone())).await {
            Ok(Ok(answer)) => return read(key, running, answer),
            // A manager says so only after it has looked at the newest records.
            Ok(Err(status)) if status.code() == Code::PermissionDenied => return Err(status),
            Ok(Err(status)) => last = status,
            Err(_) => last = Status::unavailable(format!("{addr} did not answer within {DEADLINE:?}")),
        }
    }
    Err(last)
}

/// As `renew`, from this host's own manager where there is one, and by the key where the certificate has run out.
pub async fn renew_in_place(running: &Running, expired: bool) -> Result<Renewed, Status> {
    let (key, csr_der) = new_key_and_csr().map_err(|e| Status::internal(e.to_string()))?;
    if let Some(serving) = running.serving() {
        let asked = serving.manager.renew_own(&csr_der, expired);
        let answer = tokio::time::timeout(DEADLINE, asked).await;
        let late = |_| Status::unavailable(format!("the managers did not answer within {DEADLINE:?}"));
        return read(key, running, answer.map_err(late)??);
    }
    if !expired {
        return renew(running).await;
    }
    let mut last = Status::unavailable("no manager is known");
    for addr in others(running) {
        match tokio::time::timeout(DEADLINE, ask_by_key(running, &addr, csr_der.clone())).await {
            Ok(Ok(answer)) => return read(key, running, answer),
            Ok(Err(status)) if status.code() == Code::PermissionDenied => return Err(status),
            Ok(Err(status)) => last = status,
            Err(_) => last = Status::unavailable(format!("{addr} did not answer within {DEADLINE:?}")),
        }
    }
    Err(last)
}

/// Why the manager at `addr` has no certificate for this node any more; `None`: it has, or cannot say now.
pub async fn is_refused(running: &Running, addr: &str) -> Option<String> {
    let (_, csr_der) = new_key_and_csr().ok()?;
    let refused = ask(running, addr, csr_der).await.err()?;
    (refused.code() == Code::PermissionDenied).then(|| refused.message().to_owned())
}

async fn ask_by_key(running: &Running, addr: &str, csr_der: Vec<u8>) -> Result<pb::IssueResponse, Status> {
    let dialler = Dialler::new(running.credentials.clone());
    // A manager that cannot be trusted has not refused anything: the next one may be better.
    let unreached = |e: swarm_identity::DialError| Status::unavailable(e.to_string());
    let channel = dialler.nameless(addr).await.map_err(unreached)?;
    let (certificate_chain, proof) =
        running.credentials.prove(&csr_der).map_err(|e| Status::internal(e.to_string()))?;
    let request = pb::RenewExpiredRequest { csr_der, certificate_chain, proof };
    Ok(CaClient::new(channel).renew_expired(request).await?.into_inner())
}

async fn ask(running: &Running, addr: &str, csr_der: Vec<u8>) -> Result<pb::IssueResponse, Status> {
    let dialler = Dialler::new(running.credentials.clone());
    let channel = dialler.to_manager(addr).await.map_err(|e| e.to_status())?;
    let own = running.lineage();
    let request = pb::SurveyRequest { epoch: own.epoch.as_u64() };
    let survey = RecoveryClient::new(channel.clone()).survey(request).await?.into_inner();
    let theirs = swarm_proto::lineage(survey.epoch, &survey.past);
    if let Some(reason) = own.refusal(&theirs) {
        return Err(Status::aborted(format!("the word of {addr} counts for nothing: {reason}")));
    }
    // A manager follows a later epoch for reasons of its own, and keeps to it from then on.
    if running.is_manager() && own.sees(&theirs) == Kin::Later {
        return Err(Status::aborted(format!(
            "{addr} is at the later epoch {theirs}, and this manager at {own}"
        )));
    }
    Ok(CaClient::new(channel).renew(pb::RenewRequest { csr_der }).await?.into_inner())
}

fn read(key: NodeKey, running: &Running, answer: pb::IssueResponse) -> Result<Renewed, Status> {
    let refuse = |e: String| Status::internal(format!("the manager's answer cannot be used: {e}"));
    let root = running.credentials.root_ca_pem();
    let identity =
        NodeIdentity::new(key, &answer.certificate_chain, &root).map_err(|e| refuse(e.to_string()))?;
    let managers = answer.managers.into_iter().map(TryInto::try_into).collect::<Result<_, _>>();
    Ok(Renewed {
        identity,
        managers: managers.map_err(|e: swarm_proto::ConvertError| refuse(e.to_string()))?,
    })
}
