//! A client that speaks HTTP/2 by hand: whatever it likes in headers and bodies, as often as it likes.

use crate::hostile::{client_as, connect, stranger};
use crate::world::{Cluster, Manager};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request};
use swarm_model::Role;

/// Never answered, and answered at once.
pub const PENDING: &str = "/swarm.v1.Ca/Renew";
pub const PROMPT: &str = "/swarm.v1.Ca/GetRootCa";

pub struct Raw {
    pub send: SendRequest<Bytes>,
}

pub struct Call {
    pub answer: ResponseFuture,
    pub body: SendStream<Bytes>,
}

impl Raw {
    /// With a worker's certificate.
    pub async fn member(cluster: &Cluster, manager: &Manager) -> Self {
        Self::over(connect(manager, &client_as(cluster, &cluster.subject(Role::Worker))).await.expect("in"))
            .await
    }

    pub async fn stranger(manager: &Manager) -> Self {
        Self::over(connect(manager, &stranger()).await.expect("in")).await
    }

    async fn over(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> Self {
        let (send, connection) = h2::client::handshake(io).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self { send }
    }

    pub async fn call(&mut self, path: &str, headers: HeaderMap) -> Result<Call, h2::Error> {
        let mut request = Request::post(format!("https://manager.swarm{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        request.headers_mut().extend(headers);
        let mut ready = self.send.clone().ready().await?;
        let (answer, body) = ready.send_request(request, false)?;
        Ok(Call { answer, body })
    }

    /// What one message, sent as it is, comes to: the gRPC status.
    pub async fn message(&mut self, path: &str, message: &[u8]) -> Result<u32, h2::Error> {
        let mut framed = vec![0];
        framed.extend((message.len() as u32).to_be_bytes());
        framed.extend(message);
        self.bytes(path, framed).await
    }

    /// What a body, sent as it is, comes to: the gRPC status.
    pub async fn bytes(&mut self, path: &str, body: Vec<u8>) -> Result<u32, h2::Error> {
        let mut call = self.call(path, HeaderMap::new()).await?;
        // The server may have answered before all of it is sent.
        let _ = call.body.send_data(body.into(), true);
        let (head, mut rest) = call.answer.await?.into_parts();
        while let Some(data) = rest.data().await {
            rest.flow_control().release_capacity(data?.len())?;
        }
        let trailers = rest.trailers().await?.unwrap_or_default();
        let status = head.headers.get("grpc-status").or_else(|| trailers.get("grpc-status"));
        Ok(status.and_then(|code| code.to_str().ok()?.parse().ok()).expect("a status"))
    }
}

impl Call {
    pub fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }
}
