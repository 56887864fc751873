//! openraft's own storage conformance suite, run against our log, snapshots and applier.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::api::{Machine, MachineError};
use crate::apply::Applier;
use crate::config::StoreKey;
use crate::log::{DiskEngine, LogStore};
use crate::snapshots::Snapshots;
use crate::types::Types;

/// A machine without state: the suite checks what is kept around it.
pub struct Empty;

impl Machine for Empty {
    fn apply(&mut self, _: u64, _: &[u8]) -> Result<Vec<u8>, MachineError> {
        Ok(Vec::new())
    }
    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        Box::new(Vec::new)
    }
    fn restore(&mut self, _: u64, _: &[u8]) -> Result<(), MachineError> {
        Ok(())
    }
}

struct Builder;

impl StoreBuilder<Types, LogStore, Applier, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Applier), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let key = StoreKey::new([3; 32]);
        let engine = DiskEngine::on_sled(&dir.path().join("log")).unwrap();
        let log = LogStore::open(Box::new(engine), &dir.path().join("mark"), &key, 1).unwrap();
        let snapshots =
            Snapshots::open(dir.path().join("snapshots"), &key, crate::config::Cadence::default().for_good())
                .unwrap();
        let (progress, _) = watch::channel(0);
        let (_, full) = watch::channel(false);
        Ok((dir, log, Applier::new(Box::new(Empty), Arc::new(snapshots), progress, full)))
    }
}

// The suite makes members up; nothing else may.
impl Default for crate::Member {
    fn default() -> Self {
        Self { node: String::new(), addr: ([127, 0, 0, 1], 1).into() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_storage_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}
