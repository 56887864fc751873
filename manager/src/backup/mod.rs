//! A backup: everything a cluster needs to begin again, in one file that only a passphrase opens.
//! Knows: what is in it, and how it is sealed. Must not know: who asks for one, or where the file lies.

mod contents;
mod header;
mod seal;
#[cfg(test)]
mod tests;

pub use contents::{Contents, Made};
pub use header::BackupError;
pub use seal::{Cost, Passphrase, Sealer, open, size};
