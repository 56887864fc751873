//! Setting `lo` up. Knows: two ioctls on the calling thread's namespace. Must not know: netlink.
#![allow(unsafe_code)] // ioctl(2) has no safe wrapper.

use nix::libc;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Sets the loopback interface of the calling thread's namespace up; without it 127.0.0.0/8 goes nowhere.
/// Does nothing when it is up already.
pub fn set_loopback_up() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: ifreq is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    // SAFETY: the descriptor is open for the duration of the call and `request` is a live, writable ifreq, which
    // is what SIOCGIFFLAGS fills.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let up = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCGIFFLAGS has just written this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    if flags & up != 0 {
        return Ok(());
    }
    request.ifr_ifru.ifru_flags = flags | up;
    // SAFETY: as above; SIOCSIFFLAGS only reads `request`.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
