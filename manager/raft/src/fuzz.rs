//! Any bytes as a record of the log: as it lies on disk, as it was before it was sealed, and as another manager sends it.
//! For fuzzing; knows nothing of where the bytes come from.

use openraft::raft::{AppendEntriesRequest, VoteRequest};

use crate::config::StoreKey;
use crate::types::{Entry, Types};
use crate::vault::Vault;
use crate::wire::{envelope, plausible};

/// # Panics
/// Bytes that were not sealed with the key are opened, or what was sealed is not.
pub fn log_record(bytes: &[u8]) {
    if let Ok(vault) = Vault::new(&StoreKey::new([7; 32])) {
        assert!(vault.open(b"log 1", bytes).is_err(), "opened without having been sealed");
        let sealed = vault.seal(b"log 1", bytes).unwrap_or_default();
        assert!(vault.open(b"log 1", &sealed).as_deref() == Ok(bytes), "what was sealed is not opened");
    }
    let entry: Result<Entry, _> = envelope::decode(bytes);
    if let Ok(entry) = entry {
        let again = envelope::encode(&entry).and_then(|bytes| envelope::decode::<Entry>(&bytes));
        assert!(again.is_ok_and(|again| again == entry), "not the same again");
    }
    if let Ok(append) = envelope::receive::<AppendEntriesRequest<Types>>(bytes, 1) {
        let _ = plausible::append(append.from, &append.body).and_then(|()| plausible::heartbeat(&append));
    }
    if let Ok(vote) = envelope::receive::<VoteRequest<Types>>(bytes, 1) {
        let _ = plausible::vote(vote.from, &vote.body);
    }
}
