//! `info`: works whenever the daemon answers, whatever the cluster does.

use crate::args::swarm::InfoArgs;
use crate::client::{Client, Target, call, within};
use crate::error::CliError;
use crate::render::Printer;
use crate::render::info::{InfoObject, is_manager};
use crate::verbs::print;
use std::time::Duration;
use swarm_proto::v1;

/// A manager that is cut off takes long to say that it does not know; this node's own state must not wait for it.
const CLUSTER_DEADLINE: Duration = Duration::from_secs(3);

pub async fn run(target: &Target, args: InfoArgs) -> Result<(), CliError> {
    let printer = Printer::<InfoObject>::one(&args.output)?;
    let client = Client::connect(target).await?;
    if client.manager().is_some() {
        let cluster = call(client.control().get_cluster(v1::GetClusterRequest {})).await?;
        return print(&printer.object(InfoObject::of_cluster(cluster))?);
    }
    let info = call(client.local()?.info(v1::InfoRequest {})).await?;
    let cluster = match is_manager(info.state, info.role) {
        true => {
            let mut control = client.control();
            let asked = control.get_cluster(v1::GetClusterRequest {});
            let answer = within(CLUSTER_DEADLINE, asked).await;
            Some(answer.map(tonic::Response::into_inner).map_err(|e| e.to_string()))
        }
        false => None,
    };
    print(&printer.object(InfoObject::new(info, cluster))?)
}
