//! What foca asks for during one call, kept until the call has ended.

use crate::inner::Name;
use alloc::vec::Vec;
use core::time::Duration;
use foca::{Notification, OwnedNotification, Runtime, Timer};

#[derive(Default)]
pub(crate) struct Effects {
    pub sent: Vec<Vec<u8>>,
    pub timers: Vec<(Timer<Name>, Duration)>,
    pub notes: Vec<OwnedNotification<Name>>,
}

impl Runtime<Name> for Effects {
    fn notify(&mut self, notification: Notification<'_, Name>) {
        self.notes.push(notification.to_owned());
    }

    /// The receiver stands in the packet.
    fn send_to(&mut self, _to: Name, packet: &[u8]) {
        self.sent.push(packet.to_vec());
    }

    fn submit_after(&mut self, timer: Timer<Name>, after: Duration) {
        self.timers.push((timer, after));
    }
}
