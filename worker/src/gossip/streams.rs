//! Streams on port 7946: so many at once, so many of one address, none for long. A frame has its length before it; a stranger
//! gets no byte. Must not know what is in a frame: the member is asked.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use swarm_gossip::frame::{MAX_DATAGRAM, MAX_STREAM_FRAME};
use swarm_gossip::{Exchange, Number};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Of all others, and of each address.
const MOST_TAKEN: usize = 32;
const MOST_OF_ONE: usize = 4;
/// Opened from here. What would be one more is left for the next time.
const MOST_OPENED: usize = 4;
/// That have not said yet who they are; of these the one that has waited longest makes room.
const MOST_SILENT: usize = 256;
/// Between two that are taken: nobody keeps this host busy by calling.
const PACE: Duration = Duration::from_millis(1);
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// Without a whole frame.
const IDLE_DEADLINE: Duration = Duration::from_secs(3);
/// From the first byte to the last.
const DEADLINE: Duration = Duration::from_secs(10);
/// Frames that wait for the member.
pub(super) const MOST_WAITING: usize = 16;

/// What a stream asks the member. No answer: it is closed.
pub(super) enum Call {
    /// It was opened from here, and stands.
    Opened {
        with: Number,
        reply: oneshot::Sender<Option<Turn>>,
    },
    Frame {
        exchange: Option<Exchange>,
        frame: Vec<u8>,
        reply: oneshot::Sender<Option<Turn>>,
    },
}

/// What is sent on it, and how the next frame is taken, if there is one.
#[derive(Default)]
pub(super) struct Turn {
    pub frames: Vec<Vec<u8>>,
    pub next: Option<Exchange>,
}

#[derive(Clone)]
pub(super) struct Streams {
    calls: mpsc::Sender<Call>,
    opened: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    pub(super) fn new(calls: mpsc::Sender<Call>, stop: CancellationToken) -> Self {
        Self { calls, opened: Arc::new(Semaphore::new(MOST_OPENED)), stop }
    }

    /// Opens one, unless there are enough.
    pub(super) fn open(&self, with: Number, to: SocketAddr) {
        let Ok(place) = self.opened.clone().try_acquire_owned() else { return };
        let streams = self.clone();
        tokio::spawn(async move {
            let _place = place;
            let talk = async {
                let mut stream = timeout(CONNECT_DEADLINE, TcpStream::connect(to)).await.ok()?.ok()?;
                let first = ask(&streams.calls, |reply| Call::Opened { with, reply }).await?;
                timeout(DEADLINE, streams.talk(&mut stream, first)).await.ok()
            };
            streams.stop.run_until_cancelled(talk).await;
        });
    }

    /// Takes those that others open, until the worker stops.
    pub(super) async fn accept(self, listener: TcpListener) {
        let (strangers, of_each): (Strangers, Arc<_>) = Default::default();
        let taken = Arc::new(Semaphore::new(MOST_TAKEN));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let Ok((mut stream, from)) = accepted else {
                sleep(PACE).await;
                continue;
            };
            // Whoever has said nothing yet makes room for whoever comes: strangers keep each other from a place, and no member.
            let Some(one) = OneOf::take(&of_each, from.ip()) else { continue };
            let silent = strangers.enter(self.stop.child_token());
            let (streams, taken) = (self.clone(), taken.clone());
            tokio::spawn(async move {
                let _one = one;
                let first =
                    silent.gone.run_until_cancelled(timeout(IDLE_DEADLINE, read(&mut stream, MAX_DATAGRAM)));
                let Some(Ok(Ok(frame))) = first.await else { return };
                let Some(turn) =
                    ask(&streams.calls, |reply| Call::Frame { exchange: None, frame, reply }).await
                else {
                    return;
                };
                drop(silent);
                let Ok(_place) = taken.try_acquire_owned() else { return };
                let talk = timeout(DEADLINE, streams.talk(&mut stream, turn));
                streams.stop.run_until_cancelled(talk).await;
            });
            sleep(PACE).await;
        }
    }

    /// Says what there is to say, listens, and so on until there is no more. How it ended concerns nobody: what was not told
    /// is told another time.
    async fn talk(&self, stream: &mut TcpStream, mut turn: Turn) {
        let _ = stream.set_nodelay(true);
        while send(stream, &turn.frames).await.is_ok() && turn.next.is_some() {
            let Ok(Ok(frame)) = timeout(IDLE_DEADLINE, read(stream, MAX_STREAM_FRAME)).await else { return };
            let exchange = turn.next.take();
            match ask(&self.calls, |reply| Call::Frame { exchange, frame, reply }).await {
                Some(next) => turn = next,
                None => return,
            }
        }
        let _ = stream.shutdown().await;
    }
}

async fn ask(
    calls: &mpsc::Sender<Call>,
    call: impl FnOnce(oneshot::Sender<Option<Turn>>) -> Call,
) -> Option<Turn> {
    let (reply, answer) = oneshot::channel();
    calls.send(call(reply)).await.ok()?;
    answer.await.ok().flatten()
}

async fn send(stream: &mut TcpStream, frames: &[Vec<u8>]) -> io::Result<()> {
    for frame in frames {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let write = async {
            stream.write_all(&length.to_be_bytes()).await?;
            stream.write_all(frame).await
        };
        timeout(IDLE_DEADLINE, write).await??;
    }
    Ok(())
}

async fn read(stream: &mut TcpStream, most: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Those who have not said who they are, in the order they came.
#[derive(Clone, Default)]
struct Strangers(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    came: u64,
    silent: VecDeque<(u64, CancellationToken)>,
}

/// One of them, until it is dropped.
struct Silent {
    strangers: Strangers,
    number: u64,
    gone: CancellationToken,
}

impl Strangers {
    fn enter(&self, gone: CancellationToken) -> Silent {
        let mut waiting = self.0.lock();
        if waiting.silent.len() >= MOST_SILENT
            && let Some((_, oldest)) = waiting.silent.pop_front()
        {
            oldest.cancel();
        }
        waiting.came += 1;
        let number = waiting.came;
        waiting.silent.push_back((number, gone.clone()));
        Silent { strangers: self.clone(), number, gone }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.strangers.0.lock().silent.retain(|(number, _)| *number != self.number);
    }
}

/// One of the streams from an address; given back when it is dropped.
struct OneOf {
    of_each: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl OneOf {
    fn take(of_each: &Arc<Mutex<HashMap<IpAddr, usize>>>, address: IpAddr) -> Option<Self> {
        let mut counts = of_each.lock();
        let count = counts.entry(address).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Self { of_each: of_each.clone(), address })
    }
}

impl Drop for OneOf {
    fn drop(&mut self) {
        let mut counts = self.of_each.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
