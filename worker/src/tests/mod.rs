//! The worker as a whole, against the real kernel and a manager of straw. Each test has network and mount namespaces
//! of its own, so that they run side by side and leave nothing behind.

mod calls;
mod manager;
mod names;
mod restart;
mod sandboxes;
mod sessions;
mod world;
