//! A watch of the cluster's events while it lasts.
//! Knows: when it ends, and that it ends with the caller's permission. Must not know: what makes an event.

use crate::authorise::Authorized;
use crate::leadership::{Leader, leader};
use crate::news::{Told, Watcher, of_leader};
use crate::propose::now_ms;
use crate::seat::Seat;
use std::sync::Arc;
use std::time::Duration;
use swarm_proto::v1::{ClusterEvent, WatchEventsResponse};
use swarm_raft::Status as RaftStatus;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

pub type EventStream = ReceiverStream<Result<WatchEventsResponse, Status>>;

const AHEAD: usize = 16;
/// Who was removed hears no more after so long.
const PERMISSION_EVERY: Duration = Duration::from_secs(1);

/// Watches from now on: what is done after the answer's first byte is in it.
pub fn watch<R: Send + 'static>(seat: &Arc<Seat>, permit: Authorized<R>) -> Result<EventStream, Status> {
    let watcher = seat.applied.watch().ok_or_else(|| {
        Status::resource_exhausted("too many watch the events of this manager already: ask another one")
    })?;
    let (out, stream) = mpsc::channel(AHEAD);
    let (permit, _) = permit.split();
    let watch = Watch { seat: seat.clone(), permit, status: seat.raft.watch_status(), leads: None, out };
    seat.tasks.spawn(watch.run(watcher));
    Ok(ReceiverStream::new(stream))
}

struct Watch {
    seat: Arc<Seat>,
    permit: Authorized<()>,
    status: watch::Receiver<RaftStatus>,
    leads: Option<String>,
    out: mpsc::Sender<Result<WatchEventsResponse, Status>>,
}

impl Watch {
    async fn run(mut self, watcher: Watcher) {
        let (over, out) = (watcher.over.clone(), self.out.clone());
        let ended = tokio::select! {
            ended = self.serve(watcher) => ended,
            () = over.cancelled() => Status::unavailable("this manager stops: watch the events of another one"),
            () = out.closed() => return,
        };
        // A full stream loses only the reason.
        let _ = out.try_send(Err(ended));
    }

    async fn serve(&mut self, mut watcher: Watcher) -> Status {
        let mut looks = tokio::time::interval(PERMISSION_EVERY);
        self.leads = leads(&self.status.borrow_and_update());
        loop {
            let event = tokio::select! {
                _ = looks.tick() => match self.seat.gate.still_permits(&self.permit) {
                    true => continue,
                    false => return Status::permission_denied("you may not watch the cluster's events any more"),
                },
                told = watcher.told.recv() => match told {
                    Ok(Told::Event(event)) => Some(ClusterEvent::clone(&event)),
                    Ok(Told::Gap) | Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return Status::unavailable("this manager stops"),
                },
                changed = self.status.changed() => match (changed, self.leader_changed()) {
                    (Err(_), _) => return Status::unavailable("this manager stops"),
                    (Ok(()), Some(event)) => Some(event),
                    (Ok(()), None) => continue,
                },
            };
            if self.out.send(Ok(WatchEventsResponse { event })).await.is_err() {
                return Status::cancelled("nobody listens");
            }
        }
    }

    fn leader_changed(&mut self) -> Option<ClusterEvent> {
        let leads = leads(&self.status.borrow_and_update());
        if leads == self.leads {
            return None;
        }
        self.leads = leads;
        Some(self.seat.applied.read(|state| of_leader(state, self.leads.as_deref(), now_ms())))
    }
}

fn leads(status: &RaftStatus) -> Option<String> {
    match leader(status) {
        Leader::There(member) => Some(member.node),
        Leader::Here => status.leader.as_ref().map(|(_, member)| member.node.clone()),
        Leader::Nowhere => None,
    }
}
