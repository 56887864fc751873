//! The local socket's bounds, each overrun against a real socket.

use super::{BOUNDS, Bounds, Guest, guests};
use futures::{Stream, StreamExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(20);

/// A socket and who comes in by it, in a folder of its own.
fn open(bounds: Bounds) -> (TempDir, PathBuf, impl Stream<Item = Guest> + Unpin) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let inside =
        guests(UnixListener::bind(&path).expect("bound"), bounds).map(|guest| guest.expect("accepted"));
    (dir, path, inside)
}

async fn call(path: &Path) -> UnixStream {
    UnixStream::connect(path).await.expect("connected")
}

#[tokio::test]
async fn one_caller_too_many_is_closed_and_a_place_that_is_left_is_given_again() {
    let (_dir, path, mut inside) = open(BOUNDS);
    let (mut callers, mut guests) = (Vec::new(), Vec::new());
    for _ in 0..BOUNDS.callers {
        callers.push(call(&path).await);
        guests.push(timeout(LONG, inside.next()).await.expect("in time").expect("let in"));
    }
    let mut late = call(&path).await;
    let end = timeout(LONG, late.read(&mut [0])).await.expect("closed in time");
    assert_eq!(end.expect("an end"), 0);
    drop(guests.pop());
    callers.push(call(&path).await);
    timeout(LONG, inside.next()).await.expect("in time").expect("let in");
}

#[tokio::test]
async fn whoever_says_nothing_is_given_up_and_whoever_spoke_may_be_silent() {
    let speaks_within = Duration::from_millis(200);
    let (_dir, path, mut inside) = open(Bounds { speaks_within, ..BOUNDS });
    let _silent = call(&path).await;
    let mut guest = inside.next().await.expect("let in");
    let began = Instant::now();
    guest.read_u8().await.expect_err("given up");
    assert!(began.elapsed() >= speaks_within / 2);

    let mut speaks = call(&path).await;
    let mut guest = inside.next().await.expect("let in");
    speaks.write_all(&[b'x'; 24]).await.expect("written");
    guest.read_exact(&mut [0; 24]).await.expect("read");
    timeout(3 * speaks_within, guest.read_u8()).await.expect_err("still waited for");
}
