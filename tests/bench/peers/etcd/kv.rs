//! The two requests of etcd's API v3 that are needed, by their field numbers in etcd's rpc.proto. Knows gRPC; must not
//! know where a member runs.

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swarm_tests::space::Space;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct Put {
    #[prost(bytes, tag = "1")]
    key: Vec<u8>,
    #[prost(bytes, tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusAnswer {
    #[prost(message, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

/// Who answered, and whom it takes for the leader (0: nobody).
#[derive(Debug)]
pub struct Status {
    pub member: u64,
    pub leader: u64,
}

/// Connects from inside the network namespace `net`.
pub async fn connect(net: &Path, ip: &str, port: u16) -> Result<Channel> {
    let (net, addr) = (net.to_owned(), format!("{ip}:{port}"));
    let dial = move |_| {
        let (net, addr): (PathBuf, String) = (net.clone(), addr.clone());
        async move {
            let dialled = tokio::task::spawn_blocking(move || {
                Space::in_net(&net, || Ok(std::net::TcpStream::connect(&addr)?))
            });
            let stream = dialled.await?.map_err(std::io::Error::other)?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(TokioIo::new(tokio::net::TcpStream::from_std(stream)?))
        }
    };
    let endpoint = Endpoint::from_static("http://etcd").timeout(Duration::from_secs(5));
    Ok(endpoint.connect_with_connector(tower::service_fn(dial)).await?)
}

/// One key put; an error at once when there is no leader.
pub async fn put(channel: Channel, key: &str, value: &str) -> Result<()> {
    let request = Put { key: key.as_bytes().to_vec(), value: value.as_bytes().to_vec() };
    ask::<Put, Nothing>(channel, "/etcdserverpb.KV/Put", request).await.map(drop)
}

pub async fn status(channel: Channel) -> Result<Status> {
    let answer: StatusAnswer = ask(channel, "/etcdserverpb.Maintenance/Status", Nothing {}).await?;
    Ok(Status { member: answer.header.context("an answer without a header")?.member, leader: answer.leader })
}

async fn ask<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let mut request = tonic::Request::new(request);
    request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    let answer = grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await?;
    Ok(answer.into_inner())
}
