//! The local socket's own service: each call is handed to the part of this host it concerns.
//! Knows who answers what; must not know how.

use crate::daemon::Daemon;
use crate::local_audit::Told;
use futures::Stream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use swarm_manager::LocalCaller;
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

impl LocalService {
    /// Carries a call out, and notes what came of it.
    async fn noted<R: Told, T>(
        &self,
        request: Request<R>,
        call: impl AsyncFnOnce(R) -> Answer<T>,
    ) -> Answer<T> {
        let opened = self.0.audit.open(LocalCaller::of(&request), R::METHOD, request.get_ref().told());
        opened.close(call(request.into_inner())).await
    }
}

#[tonic::async_trait]
impl Local for LocalService {
    type RunStream = Pin<Box<dyn Stream<Item = Result<pb::RunEvent, Status>> + Send>>;

    async fn init(&self, request: Request<pb::InitRequest>) -> Answer<pb::InitResponse> {
        self.noted(request, async |asked| crate::init::init(&self.0, asked).await.map(Response::new)).await
    }

    async fn join(&self, request: Request<pb::JoinRequest>) -> Answer<pb::JoinResponse> {
        self.noted(request, async |asked| crate::join::join(&self.0, asked).await.map(Response::new)).await
    }

    async fn leave(&self, request: Request<pb::LeaveRequest>) -> Answer<pb::LeaveResponse> {
        self.noted(request, async |asked: pb::LeaveRequest| {
            crate::leave::leave(&self.0, asked.force).await.map(Response::new)
        })
        .await
    }

    async fn rejoin(&self, request: Request<pb::RejoinRequest>) -> Answer<pb::RejoinResponse> {
        self.noted(request, async |asked| crate::rejoin::rejoin(&self.0, asked).await.map(Response::new))
            .await
    }

    async fn info(&self, _: Request<pb::InfoRequest>) -> Answer<pb::InfoResponse> {
        Ok(Response::new(crate::info::info(&self.0).await))
    }

    async fn unlock(&self, request: Request<pb::UnlockRequest>) -> Answer<pb::UnlockResponse> {
        let unlock = async |asked| {
            crate::lock::unlock(&self.0, asked).await?;
            Ok(Response::new(pb::UnlockResponse {}))
        };
        self.noted(request, unlock).await
    }

    async fn restore(&self, request: Request<Streaming<pb::RestorePart>>) -> Answer<pb::RestoreResponse> {
        let caller = LocalCaller::of(&request);
        crate::restore::restore(&self.0, request.into_inner(), caller).await.map(Response::new)
    }

    async fn run(&self, request: Request<Streaming<pb::RunStep>>) -> Answer<Self::RunStream> {
        let (events, stream) = mpsc::channel(2);
        let caller = LocalCaller::of(&request);
        let (daemon, steps) = (self.0.clone(), request.into_inner());
        tokio::spawn(async move {
            if let Err(status) = run(&daemon, (caller, steps), &events).await {
                let _ = events.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn attach(&self, request: Request<pb::AttachRequest>) -> Answer<pb::SandboxResponse> {
        self.noted(request, async |asked| Ok(answer(self.0.worker()?.attach(asked).await?))).await
    }

    async fn detach(&self, request: Request<pb::DetachRequest>) -> Answer<pb::DetachResponse> {
        let detach = async |asked| {
            self.0.local_worker()?.detach(asked).await?;
            Ok(Response::new(pb::DetachResponse {}))
        };
        self.noted(request, detach).await
    }

    async fn list_sandboxes(
        &self,
        request: Request<pb::ListSandboxesRequest>,
    ) -> Answer<pb::ListSandboxesResponse> {
        let worker = self.0.local_worker()?;
        let sandboxes = worker.list(request.into_inner().all);
        let status = worker.status();
        // What is listed here the cluster may know nothing of any more.
        let refused = status.is_refused.then_some(status.session_error);
        let warnings = refused.map(|why| format!("no manager takes this node: {why}")).into_iter().collect();
        Ok(Response::new(pb::ListSandboxesResponse { sandboxes, warnings }))
    }

    async fn get_sandbox(&self, request: Request<pb::GetSandboxRequest>) -> Answer<pb::SandboxResponse> {
        let sandbox = self.0.local_worker()?.get(&request.into_inner().reference)?;
        Ok(answer(sandbox))
    }

    async fn remove_sandbox(
        &self,
        request: Request<pb::RemoveSandboxRequest>,
    ) -> Answer<pb::RemoveSandboxResponse> {
        let remove = async |asked: pb::RemoveSandboxRequest| {
            let id = self.0.local_worker()?.remove(&asked.reference, asked.force).await?;
            Ok(Response::new(pb::RemoveSandboxResponse { id }))
        };
        self.noted(request, remove).await
    }

    async fn connect_network(&self, request: Request<pb::ConnectRequest>) -> Answer<pb::SandboxResponse> {
        self.noted(request, async |asked| Ok(answer(self.0.worker()?.connect(asked).await?))).await
    }

    async fn disconnect_network(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> Answer<pb::DisconnectResponse> {
        let disconnect = async |asked| {
            self.0.worker()?.disconnect(asked).await?;
            Ok(Response::new(pb::DisconnectResponse {}))
        };
        self.noted(request, disconnect).await
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
    daemon: &Daemon,
    (caller, mut steps): (LocalCaller, Streaming<pb::RunStep>),
    events: &mpsc::Sender<Result<pb::RunEvent, Status>>,
) -> Result<(), Status> {
    let Some(Step::Create(create)) = next(&mut steps).await? else {
        return Err(Status::invalid_argument("run begins with what is to be created"));
    };
    let opened = daemon.audit.open(caller, pb::RunCreate::METHOD, create.told());
    let begun = async {
        let worker = daemon.worker()?;
        Ok((begin(&worker, create, &mut steps, events).await?, worker))
    };
    let (Some(id), worker) = opened.close(begun).await? else { return Ok(()) };
    // The stream ends with the sandbox: whoever waits for it finds the name and the address free again.
    tokio::select! {
        () = worker.ended(&id) => {}
        () = events.closed() => {}
    }
    Ok(())
}

/// The id of the sandbox whose command runs; `None`: whoever asked has gone before it could.
async fn begin(
    worker: &WorkerHandle,
    create: pb::RunCreate,
    steps: &mut Streaming<pb::RunStep>,
    events: &mpsc::Sender<Result<pb::RunEvent, Status>>,
) -> Result<Option<String>, Status> {
    let pending: PendingRun = tokio::select! {
        made = worker.run(create) => made?,
        () = events.closed() => return Ok(None),
    };
    let ready = pb::RunEvent { event: Some(Event::Ready(pending.sandbox().clone())) };
    if events.send(Ok(ready)).await.is_err() {
        return Ok(None);
    }
    let step = tokio::time::timeout(START_DEADLINE, next(steps)).await;
    let Ok(Some(Step::Started(started))) = step.unwrap_or(Ok(None)) else {
        return Err(Status::cancelled("the command was not started: the sandbox is taken back"));
    };
    let running = pending.started(started.pid).await?;
    let id = running.id.clone();
    let _ = events.send(Ok(pb::RunEvent { event: Some(Event::Running(running)) })).await;
    Ok(Some(id))
}

async fn next(steps: &mut Streaming<pb::RunStep>) -> Result<Option<Step>, Status> {
    Ok(steps.message().await?.and_then(|step| step.step))
}
