//! `--metrics-addr`: this host's figures over HTTP, for Prometheus. Knows sockets and just as much HTTP as that takes;
//! must not know what is counted.

mod gather;
mod text;

use crate::daemon::Daemon;
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Served at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 8;
/// For a request to come in and its answer to go out.
const DEADLINE: Duration = Duration::from_secs(5);
const HEAD_BYTES: usize = 8 * 1024;

/// # Errors
/// The address is taken, or none of this host's.
pub async fn bind(addr: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(addr) = addr else { return Ok(None) };
    let bound = TcpListener::bind(addr).await;
    let listener = bound.with_context(|| format!("cannot serve metrics at {addr} (--metrics-addr)"))?;
    tracing::info!(addr = %listener.local_addr().unwrap_or(addr), "serving metrics");
    Ok(Some(listener))
}

/// Without end; nothing where no address was given.
pub async fn serve(listener: Option<TcpListener>, daemon: Arc<Daemon>) {
    let Some(listener) = listener else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut failures = 0;
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                failures = 0;
                let daemon = daemon.clone();
                tokio::spawn(async move {
                    // Whoever breaks off is not missed.
                    let _ = tokio::time::timeout(DEADLINE, answer(stream, &daemon)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tokio::time::sleep(swarm_identity::pause_after(&error, failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

async fn answer(mut stream: TcpStream, daemon: &Daemon) -> std::io::Result<()> {
    let head = head(&mut stream).await?;
    let (status, body) = match asked(&head) {
        Asked::Metrics => ("200 OK", text::page(&gather::samples(daemon))),
        Asked::Elsewhere => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        Asked::OtherMethod => ("405 Method Not Allowed", "ask by GET\n".to_owned()),
        Asked::NoHttp => ("400 Bad Request", "this is no HTTP request\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text::CONTENT_TYPE,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Up to the empty line, or as much as is looked at.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < HEAD_BYTES && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    Elsewhere,
    OtherMethod,
    NoHttp,
}

fn asked(head: &[u8]) -> Asked {
    let text = String::from_utf8_lossy(head);
    let Some((line, _)) = text.split_once("\r\n") else { return Asked::NoHttp };
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["GET", target, version] if version.starts_with("HTTP/1.") => {
            match target.split('?').next() == Some("/metrics") {
                true => Asked::Metrics,
                false => Asked::Elsewhere,
            }
        }
        [_, _, version] if version.starts_with("HTTP/1.") => Asked::OtherMethod,
        _ => Asked::NoHttp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metrics_are_served() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Asked::Metrics),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Asked::Metrics),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("GET /metricsx HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Asked::OtherMethod),
            ("PRI * HTTP/2.0\r\n\r\n", Asked::NoHttp),
            ("\u{16}\u{3}\u{1}", Asked::NoHttp),
            ("GET /metrics", Asked::NoHttp),
        ] {
            assert_eq!(asked(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = bind("127.0.0.1:0".parse().ok()).await.unwrap().unwrap();
        let addr = taken.local_addr().unwrap();
        let error = format!("{:#}", bind(Some(addr)).await.unwrap_err());
        assert!(error.contains(&addr.to_string()) && error.contains("--metrics-addr"), "{error}");
        assert!(bind(None).await.unwrap().is_none());
    }
}
