//! A snapshot on its way: a header, then pieces of at most a MiB.
//!
//! Knows: how it is cut up and put together, and the bounds on it. Must not know: what is in it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use openraft::raft::SnapshotResponse;
use serde::{Deserialize, Serialize};
use swarm_proto::v1::SnapshotChunk;
use tonic::{Status, Streaming};

use super::envelope::{Envelope, decode, encode};
use super::link::Link;
use crate::types::{Snapshot, SnapshotMeta, Types, Vote};

/// A snapshot is held in memory while it arrives.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
const PIECE_BYTES: usize = 1024 * 1024;
/// Between two pieces.
const PIECE_DEADLINE: Duration = Duration::from_secs(10);
/// To arrive and be installed, and a second more per MiB.
const DEADLINE: Duration = Duration::from_secs(20);

/// What goes before the pieces.
#[derive(Debug, Serialize, Deserialize)]
pub struct SnapshotHeader {
    pub vote: Vote,
    pub meta: SnapshotMeta,
    pub bytes: u64,
}

/// How long sending and installing so many bytes may take.
pub fn deadline(bytes: usize) -> Duration {
    DEADLINE + Duration::from_secs((bytes / PIECE_BYTES) as u64)
}

pub async fn send(
    link: &Link,
    vote: Envelope<Vote>,
    snapshot: Snapshot,
) -> Result<SnapshotResponse<Types>, Status> {
    let bytes = snapshot.snapshot.len() as u64;
    let header = SnapshotHeader { vote: vote.body, meta: snapshot.meta, bytes };
    let header = encode(&Envelope::new(vote.from, vote.to, header))?;
    let first = futures::stream::iter([SnapshotChunk { header, piece: Vec::new() }]);
    let pieces = futures::stream::iter(pieces(snapshot.snapshot));
    let mut client = link.client().await.map_err(Status::unavailable)?;
    let response = client.install_snapshot(first.chain(pieces)).await?;
    link.works();
    decode(&response.into_inner().payload)
}

fn pieces(mut rest: Bytes) -> impl Iterator<Item = SnapshotChunk> {
    std::iter::from_fn(move || {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES)).to_vec();
        (!piece.is_empty()).then(|| SnapshotChunk { header: Vec::new(), piece })
    })
}

/// Puts the pieces together again; neither more nor fewer than `bytes`.
pub async fn collect(bytes: u64, chunks: &mut Streaming<SnapshotChunk>) -> Result<Bytes, Status> {
    if bytes > MAX_BYTES {
        return Err(Status::resource_exhausted(format!(
            "a snapshot of {bytes} bytes; at most {MAX_BYTES} are taken"
        )));
    }
    let mut snapshot = BytesMut::new();
    while let Some(chunk) = next_chunk(chunks).await? {
        if chunk.piece.len() > PIECE_BYTES || (snapshot.len() + chunk.piece.len()) as u64 > bytes {
            return Err(Status::invalid_argument("a snapshot is longer than it said"));
        }
        snapshot.extend_from_slice(&chunk.piece);
    }
    if snapshot.len() as u64 != bytes {
        return Err(Status::aborted(format!("a snapshot ended after {} of {bytes} bytes", snapshot.len())));
    }
    Ok(snapshot.freeze())
}

pub async fn next_chunk(chunks: &mut Streaming<SnapshotChunk>) -> Result<Option<SnapshotChunk>, Status> {
    tokio::time::timeout(PIECE_DEADLINE, chunks.message()).await.map_err(|_| {
        Status::deadline_exceeded(format!("no piece of a snapshot came for {PIECE_DEADLINE:?}"))
    })?
}
