//! The local socket's own service: each call is handed to the part of this host it concerns.
//! Knows who answers what; must not know how.

use crate::daemon::Daemon;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use swarm_proto::v1::local_server::Local;
use swarm_proto::v1::{self as pb, run_event::Event, run_step::Step};
use swarm_worker::{PendingRun, WorkerHandle};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// How long a caller of `run` may take from Ready to Started.
const START_DEADLINE: Duration = Duration::from_secs(30);

pub struct LocalService(pub Arc<Daemon>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Local for LocalService {
    type RunStream = Pin<Box<dyn Stream<Item = Result<pb::RunEvent, Status>> + Send>>;

    async fn init(&self, request: Request<pb::InitRequest>) -> Answer<pb::InitResponse> {
        crate::init::init(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn join(&self, request: Request<pb::JoinRequest>) -> Answer<pb::JoinResponse> {
        crate::join::join(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn leave(&self, request: Request<pb::LeaveRequest>) -> Answer<pb::LeaveResponse> {
        crate::leave::leave(&self.0, request.into_inner().force).await.map(Response::new)
    }

    async fn rejoin(&self, request: Request<pb::RejoinRequest>) -> Answer<pb::RejoinResponse> {
        crate::rejoin::rejoin(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn info(&self, _: Request<pb::InfoRequest>) -> Answer<pb::InfoResponse> {
        Ok(Response::new(crate::info::info(&self.0).await))
    }

    async fn unlock(&self, request: Request<pb::UnlockRequest>) -> Answer<pb::UnlockResponse> {
        crate::lock::unlock(&self.0, request.into_inner()).await?;
        Ok(Response::new(pb::UnlockResponse {}))
    }

    async fn restore(&self, request: Request<Streaming<pb::RestorePart>>) -> Answer<pb::RestoreResponse> {
        crate::restore::restore(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn run(&self, request: Request<Streaming<pb::RunStep>>) -> Answer<Self::RunStream> {
        let worker = self.0.worker()?;
        let (events, stream) = mpsc::channel(2);
        let steps = request.into_inner();
        tokio::spawn(async move {
            if let Err(status) = run(worker, steps, &events).await {
                let _ = events.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn attach(&self, request: Request<pb::AttachRequest>) -> Answer<pb::SandboxResponse> {
        let sandbox = self.0.worker()?.attach(request.into_inner()).await?;
        Ok(answer(sandbox))
    }

    async fn detach(&self, request: Request<pb::DetachRequest>) -> Answer<pb::DetachResponse> {
        self.0.local_worker()?.detach(request.into_inner()).await?;
        Ok(Response::new(pb::DetachResponse {}))
    }

    async fn list_sandboxes(
        &self,
        request: Request<pb::ListSandboxesRequest>,
    ) -> Answer<pb::ListSandboxesResponse> {
        let sandboxes = self.0.local_worker()?.list(request.into_inner().all);
        Ok(Response::new(pb::ListSandboxesResponse { sandboxes }))
    }

    async fn get_sandbox(&self, request: Request<pb::GetSandboxRequest>) -> Answer<pb::SandboxResponse> {
        let sandbox = self.0.local_worker()?.get(&request.into_inner().reference)?;
        Ok(answer(sandbox))
    }

    async fn remove_sandbox(
        &self,
        request: Request<pb::RemoveSandboxRequest>,
    ) -> Answer<pb::RemoveSandboxResponse> {
        let request = request.into_inner();
        let id = self.0.local_worker()?.remove(&request.reference, request.force).await?;
        Ok(Response::new(pb::RemoveSandboxResponse { id }))
    }

    async fn connect_network(&self, request: Request<pb::ConnectRequest>) -> Answer<pb::SandboxResponse> {
        let sandbox = self.0.worker()?.connect(request.into_inner()).await?;
        Ok(answer(sandbox))
    }

    async fn disconnect_network(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> Answer<pb::DisconnectResponse> {
        self.0.worker()?.disconnect(request.into_inner()).await?;
        Ok(Response::new(pb::DisconnectResponse {}))
    }

    async fn list_local_networks(
        &self,
        request: Request<pb::ListLocalNetworksRequest>,
    ) -> Answer<pb::ListLocalNetworksResponse> {
        crate::networks::list(&self.0, request).await
    }
}

fn answer(sandbox: pb::Sandbox) -> Response<pb::SandboxResponse> {
    Response::new(pb::SandboxResponse { sandbox: Some(sandbox) })
}

/// Create → Ready → Started → Running → the end. Whatever ends it before Started drops the pending sandbox, which takes
/// everything back.
async fn run(
    worker: WorkerHandle,
    mut steps: Streaming<pb::RunStep>,
    events: &mpsc::Sender<Result<pb::RunEvent, Status>>,
) -> Result<(), Status> {
    let Some(Step::Create(create)) = next(&mut steps).await? else {
        return Err(Status::invalid_argument("run begins with what is to be created"));
    };
    let pending: PendingRun = tokio::select! {
        made = worker.run(create) => made?,
        () = events.closed() => return Ok(()),
    };
    let ready = pb::RunEvent { event: Some(Event::Ready(pending.sandbox().clone())) };
    if events.send(Ok(ready)).await.is_err() {
        return Ok(());
    }
    let step = tokio::time::timeout(START_DEADLINE, next(&mut steps)).await;
    let Ok(Some(Step::Started(started))) = step.unwrap_or(Ok(None)) else {
        return Err(Status::cancelled("the command was not started: the sandbox is taken back"));
    };
    let running = pending.started(started.pid).await?;
    let id = running.id.clone();
    let _ = events.send(Ok(pb::RunEvent { event: Some(Event::Running(running)) })).await;
    // The stream ends with the sandbox: whoever waits for it finds the name and the address free again.
    tokio::select! {
        () = worker.ended(&id) => {}
        () = events.closed() => {}
    }
    Ok(())
}

async fn next(steps: &mut Streaming<pb::RunStep>) -> Result<Option<Step>, Status> {
    Ok(steps.message().await?.and_then(|step| step.step))
}
