//! Kills a manager's log at any moment and cuts its power, and looks whether every promise was kept.
//!
//! Short by default; `CRASH_ROUNDS=200` runs that many rounds of each kind. `CRASH_SEED` repeats a run (its timing
//! aside). Power-cut and disk-full rounds mount ext4 images and need root.
//!
//! The rounds must fail when the log is not synced: `CRASH_CONTROL=1` runs the power cuts with fdatasync made to do
//! nothing (by strace) and fails if the harness does not see it.

mod child;
mod disk;
mod kill;
mod model;
mod node;
mod power;
mod rig;
