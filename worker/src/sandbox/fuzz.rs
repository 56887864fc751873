//! Any bytes as the file of this host's sandboxes.

use super::store::decode;

/// # Panics
/// What was read is not written and read the same.
pub fn sandbox_file(bytes: &[u8]) {
    if let Ok(contents) = decode(bytes) {
        let again = serde_json::to_vec(&contents).map_err(|e| e.to_string()).and_then(|b| decode(&b));
        assert!(again == Ok(contents), "not the same again");
    }
}
