//! The daemon's local socket, spoken to as `swarmctl` does, without starting a program. Knows the requests that are
//! timed; must not know why.

use anyhow::{Context, Result};
use std::future::Future;
use std::time::{Duration, Instant};
use swarm_proto::v1;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::v1::local_client::LocalClient;
use swarm_tests::Host;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

const LIMIT: Duration = Duration::from_secs(30);

pub struct Client {
    runtime: Runtime,
    channel: Channel,
}

impl Client {
    pub fn of(host: &Host) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let channel = runtime.block_on(Self::channel(host))?;
        Ok(Self { runtime, channel })
    }

    /// A connection of its own.
    pub async fn channel(host: &Host) -> Result<Channel> {
        let socket = host.space.path("/run/swarmd/swarmd.sock");
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?.timeout(LIMIT);
        endpoint.connect().await.context("cannot reach the daemon")
    }

    fn local(&self) -> LocalClient<Channel> {
        LocalClient::new(self.channel.clone())
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<T> {
        let answer = self.runtime.block_on(answer);
        Ok(answer.map_err(|status| anyhow::anyhow!("{}", status.message()))?.into_inner())
    }

    /// Attaches the namespace of that name under `/run/netns`, and times the request.
    pub fn attach(&self, network: &str, name: &str) -> Result<(Duration, v1::Sandbox)> {
        let begun = Instant::now();
        let answer = self.wait(self.local().attach(request(network, name)))?;
        let took = begun.elapsed();
        Ok((took, answer.sandbox.context("an answer without a sandbox")?))
    }

    /// All at once over this one connection: each one's time and its sandbox.
    pub fn attach_all(&self, network: &str, names: &[String]) -> Result<Vec<(Duration, v1::Sandbox)>> {
        self.runtime.block_on(async {
            let one = |name: &String| {
                let (mut local, request) = (self.local(), request(network, name));
                tokio::spawn(async move {
                    let begun = Instant::now();
                    let answer = local.attach(request).await;
                    (begun.elapsed(), answer)
                })
            };
            let tasks: Vec<_> = names.iter().map(one).collect();
            let mut all = Vec::new();
            for task in tasks {
                let (took, answer) = task.await?;
                let answer = answer.map_err(|status| anyhow::anyhow!("{}", status.message()))?.into_inner();
                all.push((took, answer.sandbox.context("an answer without a sandbox")?));
            }
            Ok(all)
        })
    }

    pub fn detach(&self, name: &str) -> Result<()> {
        let request = v1::DetachRequest { reference: name.to_owned(), network: String::new() };
        self.wait(self.local().detach(request)).map(drop)
    }

    pub fn create_network(&self, name: &str) -> Result<()> {
        let spec = v1::NetworkSpec {
            name: name.to_owned(),
            driver: v1::Driver::Overlay.into(),
            attachable: true,
            ..v1::NetworkSpec::default()
        };
        let request = v1::CreateNetworkRequest { spec: Some(spec), request_id: String::new() };
        self.wait(ControlClient::new(self.channel.clone()).create_network(request)).map(drop)
    }

    /// Sets one label of a node.
    pub async fn label(channel: Channel, node: &str, label: (String, String)) -> Result<()> {
        let request = v1::UpdateNodeRequest {
            reference: node.to_owned(),
            labels_add: [label].into(),
            ..v1::UpdateNodeRequest::default()
        };
        Ok(ControlClient::new(channel).update_node(request).await.map(drop)?)
    }

    pub fn set_role(&self, node: &str, role: v1::Role) -> Result<()> {
        let request = v1::UpdateNodeRequest {
            reference: node.to_owned(),
            role: role.into(),
            ..v1::UpdateNodeRequest::default()
        };
        self.wait(ControlClient::new(self.channel.clone()).update_node(request)).map(drop)
    }

    /// The nodes as this manager lists them.
    pub fn nodes(&self) -> Result<Vec<v1::Node>> {
        let mut control = ControlClient::new(self.channel.clone());
        Ok(self.wait(control.list_nodes(v1::ListNodesRequest {}))?.nodes)
    }
}

fn request(network: &str, name: &str) -> v1::AttachRequest {
    v1::AttachRequest {
        name: name.to_owned(),
        attachment: Some(v1::Attachment { network: network.to_owned(), ..v1::Attachment::default() }),
        netns: format!("/run/netns/{name}"),
        ..v1::AttachRequest::default()
    }
}
