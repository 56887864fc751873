//! The gate every call passes: reads who calls, judges it, and waits for fresher records before it says "not a member".
//! Knows: connections and the table of permissions. Must not know: what the call does.

use crate::applied::AppliedState;
use crate::authorise::{Authorized, Denied, authorise, by_certificate_alone};
use crate::caller::{Arrival, Caller};
use crate::linearize::Linearizer;
use crate::method::Method;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Status};

/// By which way calls come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// TCP 2377: the certificate says who calls.
    Tls,
    /// The local socket: its file mode has let the operator through.
    Local,
}

/// For the records to be brought up to date: whoever asks in this way waits for an answer no longer than a second.
const FRESH_WITHIN: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Gate {
    applied: Arc<AppliedState>,
    linearizer: Linearizer,
}

/// A permitted request, and where it came from.
pub struct Admitted<R> {
    pub permit: Authorized<R>,
    /// `None` for the local socket.
    pub addr: Option<IpAddr>,
    /// True when another manager handed it on: it is not handed on again.
    pub forwarded: bool,
}

impl Gate {
    pub fn new(applied: Arc<AppliedState>, linearizer: Linearizer) -> Self {
        Self { applied, linearizer }
    }

    /// Admits a call of `method` that came by `door`.
    pub async fn admit<R>(
        &self,
        door: Door,
        method: Method,
        request: Request<R>,
    ) -> Result<Admitted<R>, Status> {
        let arrival = match door {
            Door::Tls => Arrival::of(&request)?,
            Door::Local => Arrival::local(),
        };
        let forwarded = arrival.forwarded.is_some();
        let caller = match arrival.forwarded {
            Some(caller) => {
                self.judge(arrival.connection, Method::Propose, ()).await?;
                caller
            }
            None => arrival.connection,
        };
        let permit = self.judge(caller, method, request.into_inner()).await?;
        Ok(Admitted { permit, addr: arrival.addr, forwarded })
    }

    /// Judges a caller. Records from before a restart may still grant what was taken since: they are not judged by. One
    /// that is not on record may be newer than the records here, so these are brought up to date.
    pub async fn judge<R>(
        &self,
        caller: Caller,
        method: Method,
        request: R,
    ) -> Result<Authorized<R>, Status> {
        // The operator's permission is a file mode, and whoever looks for what is wrong with Raft must not wait for Raft.
        if caller != Caller::LocalOperator {
            self.linearizer.recovered().await?;
        }
        match self.look(&caller, method) {
            Ok(permit) => return Ok(permit.map(|()| request)),
            Err(Denied::NotMember { .. } | Denied::NotAUser { .. }) => self.linearizer.barrier().await?,
            Err(denied) => return Err(denied.into()),
        }
        Ok(self.look(&caller, method)?.map(|()| request))
    }

    /// Judges a caller for questions that must be answered without a quorum: by the records as they are. For one that is not
    /// on record they are brought up to date; where nobody can say what is new, its certificate lets it in, and whoever lets
    /// it in believes nothing of what it says.
    pub async fn glance(&self, method: Method, caller: &Caller) -> Result<(), Denied> {
        match (self.look(caller, method), caller) {
            (Ok(_), _) => Ok(()),
            (Err(Denied::NotMember { .. }), Caller::Node(identity)) => {
                match timeout(FRESH_WITHIN, self.linearizer.barrier()).await {
                    Ok(Ok(())) => self.look(caller, method).map(drop),
                    Ok(Err(_)) | Err(_) => by_certificate_alone(identity, method),
                }
            }
            (Err(denied), _) => Err(denied),
        }
    }

    /// Whether a call that was admitted once would be admitted now: for those that last.
    pub fn still_permits<R>(&self, permit: &Authorized<R>) -> bool {
        self.look(permit.caller(), permit.method()).is_ok()
    }

    fn look(&self, caller: &Caller, method: Method) -> Result<Authorized<()>, Denied> {
        self.applied.read(|state| authorise(caller.clone(), method, (), state))
    }
}
