//! One netlink socket. Knows: how to send a batch and tell which of its messages failed, how to read a dump.
//! Must not know: what the messages mean. It belongs for ever to the namespace of the thread that made it.

use super::KernelError;
use super::uapi::{ACK, CAPPED, DUMP, DUMP_INTERRUPTED, ERROR_TEXT, MESSAGE_DONE, MESSAGE_ERROR, REQUEST};
use super::wire::{self, HEADER, Messages, Received};
use netlink_sys::Socket;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::AsRawFd;

/// Bytes handed to the kernel with one system call: some 400 table entries.
const PIECE_BYTES: usize = 32 * 1024;
const RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// The kernel answers before `send` returns; waiting means that an answer was lost.
const DEADLINE_S: i64 = 5;
const DUMP_ATTEMPTS: usize = 5;
/// The kernel fills at most 32 KiB of a dump at a time.
const DUMP_BYTES: usize = 64 * 1024;
/// One answer to a request, with the kernel's words.
const ANSWER_BYTES: usize = 8 * 1024;

pub struct NetlinkSocket {
    socket: Socket,
    sequence: u32,
}

/// One message of a batch that the kernel refused.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its place in the batch.
    pub index: usize,
    pub errno: Errno,
    pub text: String,
}

impl Failure {
    pub fn into_error(self, act: impl Into<String>) -> KernelError {
        KernelError::Refused { act: act.into(), errno: self.errno, text: self.text }
    }
}

/// One answer of a dump: its type and its body.
pub struct Answer {
    pub kind: u16,
    pub body: Vec<u8>,
}

impl NetlinkSocket {
    /// Links, addresses, routes, neighbours of the calling thread's namespace.
    pub fn route() -> Result<Self, KernelError> {
        Self::open(netlink_sys::protocols::NETLINK_ROUTE)
    }

    /// nftables of the calling thread's namespace.
    pub fn filter() -> Result<Self, KernelError> {
        Self::open(netlink_sys::protocols::NETLINK_NETFILTER)
    }

    /// IPsec of the calling thread's namespace.
    pub fn xfrm() -> Result<Self, KernelError> {
        Self::open(netlink_sys::protocols::NETLINK_XFRM)
    }

    fn open(protocol: isize) -> Result<Self, KernelError> {
        let socket = prepared(protocol).map_err(|e| KernelError::io("open a netlink socket", e))?;
        Ok(Self { socket, sequence: 1 })
    }

    /// Sends all and returns those that failed; the others took effect. An answer is asked of the last
    /// message of each piece only, failures come unasked.
    pub fn run(&mut self, messages: Messages) -> Result<Vec<Failure>, KernelError> {
        self.send_all(messages, PIECE_BYTES)
    }

    /// As `run`, in one piece, for batches the kernel takes as one transaction. `messages` asks for its
    /// answers itself.
    pub fn transact(&mut self, messages: Messages, answers_to: usize) -> Result<Vec<Failure>, KernelError> {
        let first = self.advance(messages.len());
        let mut failures = Vec::new();
        for piece in messages.pieces(first, usize::MAX, REQUEST, 0) {
            self.send(&piece.bytes)?;
            self.collect(first, answers_to, &mut failures)?;
        }
        Ok(failures)
    }

    fn send_all(&mut self, messages: Messages, most: usize) -> Result<Vec<Failure>, KernelError> {
        let first = self.advance(messages.len());
        let mut failures = Vec::new();
        for piece in messages.pieces(first, most, REQUEST, ACK) {
            self.send(&piece.bytes)?;
            self.collect(first, piece.last, &mut failures)?;
        }
        Ok(failures)
    }

    /// As `run`, for messages of which none may fail.
    pub fn run_all(&mut self, messages: Messages, act: &str) -> Result<(), KernelError> {
        match self.run(messages)?.into_iter().next() {
            Some(failure) => Err(failure.into_error(act)),
            None => Ok(()),
        }
    }

    /// Asks for one object. `None` when the kernel knows none.
    pub fn get(&mut self, message: Messages, act: &str) -> Result<Option<Answer>, KernelError> {
        let mut answers = Vec::new();
        match self.ask(message, 0, &mut answers)? {
            Some(f) if matches!(f.errno, Errno::ENODEV | Errno::ENOENT) => Ok(None),
            Some(failure) => Err(failure.into_error(act)),
            None => Ok(answers.into_iter().next()),
        }
    }

    /// Reads a whole table. What changes under it is read again.
    pub fn dump(&mut self, message: impl Fn(&mut Messages), act: &str) -> Result<Vec<Answer>, KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            let (mut messages, mut answers) = (Messages::default(), Vec::new());
            message(&mut messages);
            match self.ask(messages, DUMP, &mut answers)? {
                None => return Ok(answers),
                Some(f) if matches!(f.errno, Errno::EINTR | Errno::EAGAIN) => {}
                Some(failure) => return Err(failure.into_error(act)),
            }
        }
        Err(KernelError::Unsteady { act: act.to_owned() })
    }

    fn ask(
        &mut self,
        messages: Messages,
        flags: u16,
        answers: &mut Vec<Answer>,
    ) -> Result<Option<Failure>, KernelError> {
        let first = self.advance(1);
        let flags = if flags == 0 { REQUEST | ACK } else { REQUEST | flags };
        for piece in messages.pieces(first, usize::MAX, flags, 0) {
            self.send(&piece.bytes)?;
        }
        let (mut interrupted, mut buffer) = (false, vec![0; DUMP_BYTES]);
        loop {
            let bytes = self.receive(&mut buffer)?;
            for received in wire::split(bytes).filter(|r| r.sequence == first) {
                interrupted |= received.flags & DUMP_INTERRUPTED != 0;
                match received.kind {
                    MESSAGE_DONE if interrupted => {
                        return Ok(Some(Failure { index: 0, errno: Errno::EINTR, text: String::new() }));
                    }
                    MESSAGE_DONE => return Ok(None),
                    MESSAGE_ERROR => return Ok(failure(&received, first)),
                    kind => answers.push(Answer { kind, body: received.body.to_vec() }),
                }
            }
        }
    }

    /// Reads answers until the one to message `last`.
    fn collect(&mut self, first: u32, last: usize, failures: &mut Vec<Failure>) -> Result<(), KernelError> {
        let until = first.wrapping_add(u32::try_from(last).unwrap_or_default());
        let mut buffer = vec![0; ANSWER_BYTES];
        loop {
            let bytes = self.receive(&mut buffer)?;
            let ours =
                |r: &Received<'_>| r.kind == MESSAGE_ERROR && r.sequence.wrapping_sub(first) <= until - first;
            let mut done = false;
            for received in wire::split(bytes).filter(ours) {
                failures.extend(failure(&received, first));
                done |= received.sequence == until;
            }
            if done {
                return Ok(());
            }
        }
    }

    fn advance(&mut self, messages: usize) -> u32 {
        // Far from the wrap, so that sequence numbers of one batch compare as numbers.
        if self.sequence > u32::MAX / 2 {
            self.sequence = 1;
        }
        let first = self.sequence;
        self.sequence += u32::try_from(messages).unwrap_or_default() + 1;
        first
    }

    fn send(&self, bytes: &[u8]) -> Result<(), KernelError> {
        let sent = self.socket.send(bytes, 0).map_err(|e| KernelError::io("send to the kernel", e))?;
        if sent == bytes.len() {
            return Ok(());
        }
        Err(KernelError::io("send to the kernel", std::io::Error::other("only a part went out")))
    }

    fn receive<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], KernelError> {
        let lost = |source| KernelError::io("read the kernel's answer", source);
        loop {
            match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
                Ok(got) => {
                    let large = || lost(std::io::Error::other("an answer was larger than the buffer"));
                    return buffer.get(..got).ok_or_else(large);
                }
                Err(Errno::EINTR) => {}
                Err(e) => return Err(lost(e.into())),
            }
        }
    }
}

/// A netlink socket with room for many answers, short error answers and the kernel's own words in them.
fn prepared(protocol: isize) -> std::io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    grow_receive_buffer(&socket);
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(DEADLINE_S))?;
    // Kernels before 4.12 know neither; the answers are only longer and without words then.
    let _ = socket.set_cap_ack(true);
    let _ = socket.set_ext_ack(true);
    Ok(socket)
}

/// Room for bursts. Beyond the system's bound where we may, else up to it.
pub fn grow_receive_buffer(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BYTES).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BYTES);
    }
}

/// What an error message says; `None` when it says that all is well.
pub(super) fn failure(received: &Received<'_>, first: u32) -> Option<Failure> {
    let code = wire::u32_at(received.body, 0)?.cast_signed();
    let errno = Errno::from_raw(code.checked_neg()?);
    // The refused message follows the code: only its header when capped.
    let refused = wire::u32_at(received.body, 4).unwrap_or_default() as usize;
    let skip = 4 + if received.flags & CAPPED != 0 { HEADER } else { refused };
    let text = wire::attr(received.body, skip, ERROR_TEXT).map(wire::text).unwrap_or_default();
    let index = received.sequence.wrapping_sub(first) as usize;
    (code != 0).then(|| Failure { index, errno, text: text.to_owned() })
}
