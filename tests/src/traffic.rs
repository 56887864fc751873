//! TCP and UDP between network namespaces, by threads of this very process. Knows sockets, not who owns them.

use crate::eventually;
use crate::space::Space;
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// Sends `bytes` bytes over TCP from one namespace to an address in another and counts what arrives.
pub fn tcp_transfer(from: &Path, to: &Path, address: IpAddr, bytes: usize) -> Result<()> {
    let (ready, port) = sync_channel(1);
    thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            Space::in_net(to, move || {
                let listener = TcpListener::bind((address, 0))?;
                ready.send(listener.local_addr()?.port())?;
                let (mut stream, _) = accept(&listener)?;
                stream.set_read_timeout(Some(LIMIT))?;
                let mut all = Vec::new();
                stream.read_to_end(&mut all).context("receiving")?;
                Ok(all.len())
            })
        });
        let sent = port.recv_timeout(LIMIT).context("no listener").and_then(|port| {
            Space::in_net(from, move || {
                let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), LIMIT)?;
                stream.set_write_timeout(Some(LIMIT))?;
                Ok(stream.write_all(&vec![7; bytes])?)
            })
        });
        let received = receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.context("sending")?;
        let received = received?;
        ensure!(received == bytes, "{received} of {bytes} bytes arrived");
        Ok(())
    })
}

/// `accept` with a deadline.
pub fn accept(listener: &TcpListener) -> Result<(TcpStream, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let (stream, peer) = eventually("somebody connects", || Ok(listener.accept()?))?;
    stream.set_nonblocking(false)?;
    Ok((stream, peer))
}

/// Sends one datagram and waits for the same bytes to come back from a UDP echo.
pub fn udp_echo(from: &Path, to: &Path, address: IpAddr) -> Result<()> {
    let server = Space::in_net(to, move || Ok(UdpSocket::bind((address, 0))?))?;
    let target = server.local_addr()?;
    let client = Space::in_net(from, move || Ok(UdpSocket::bind(unspecified(address))?))?;
    server.set_read_timeout(Some(Duration::from_millis(500)))?;
    client.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut buffer = [0; 64];
    client.send_to(b"ping", target)?;
    let (length, source) = server.recv_from(&mut buffer).context("nothing arrived")?;
    server.send_to(&buffer[..length], source)?;
    let (length, _) = client.recv_from(&mut buffer).context("nothing came back")?;
    if &buffer[..length] != b"ping" {
        bail!("something else came back");
    }
    Ok(())
}

fn unspecified(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    }
}
