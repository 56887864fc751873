//! The accept loop rests when the host is out of something, and only then.

use super::pause_after;
use nix::errno::Errno;
use std::io;
use std::time::Duration;

#[test]
fn an_aborted_connection_costs_no_time() {
    let aborted = io::Error::from(Errno::ECONNABORTED);
    assert_eq!(pause_after(&aborted, 5), Duration::ZERO);
}

#[test]
fn out_of_descriptors_backs_off_to_a_bound() {
    for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM] {
        let error = io::Error::from(errno);
        let pauses: Vec<_> = (0..100).map(|failures| pause_after(&error, failures)).collect();
        assert_eq!(pauses.first(), Some(&Duration::from_millis(10)), "{errno}");
        assert!(pauses.is_sorted(), "{errno}: {pauses:?}");
        assert_eq!(pauses.last(), Some(&Duration::from_millis(500)), "{errno}");
    }
}
