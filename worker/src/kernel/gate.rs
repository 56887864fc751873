//! The guard of the data path, shared by all places: no VXLAN device is made before it is covered. Knows: which guard is the
//! newest, and that it is loaded one hand at a time. Must not know: what its rules say.

use super::observe::observe_guard;
use super::socket::NetlinkSocket;
use super::{KernelError, nft};
use parking_lot::Mutex;
use std::sync::Arc;
use swarm_model::Vni;
use swarm_overlay::esp::Guard;

#[derive(Default)]
pub struct Gate {
    newest: Mutex<Option<Arc<Guard>>>,
    /// Held while the table is looked at and loaded.
    hand: Mutex<()>,
}

impl Gate {
    /// States what the guard is to be from here on.
    pub fn set(&self, guard: Option<Arc<Guard>>) {
        *self.newest.lock() = guard;
    }

    pub fn newest(&self) -> Option<Arc<Guard>> {
        self.newest.lock().clone()
    }

    /// Sees that the table in the kernel holds for this network, before its device is there.
    pub fn cover(&self, vni: Vni) -> Result<(), KernelError> {
        let _hand = self.hand.lock();
        let Some(guard) = self.newest().filter(|guard| guard.covers(vni)) else {
            return Err(KernelError::Superseded { vni });
        };
        let held = observe_guard(&mut NetlinkSocket::filter()?, Some(&guard))?;
        if held.as_ref() == Some(&guard) { Ok(()) } else { nft::load(&guard.text()) }
    }

    /// Brings the kernel to the newest.
    pub fn renew(&self) -> Result<(), KernelError> {
        let _hand = self.hand.lock();
        match self.newest() {
            Some(guard) => nft::load(&guard.text()),
            None => nft::load(&Guard::removal()),
        }
    }
}
