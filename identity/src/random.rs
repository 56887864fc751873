//! Ids and secrets from the system's random source. Knows nothing of what they are for.

use ring::rand::{SecureRandom, SystemRandom};
use swarm_model::Id;

/// A fresh id of any kind.
pub fn new_id<K>() -> Id<K> {
    Id::from_random(bytes())
}

/// The secret half of a join token: 128 random bits as 25 characters of base 36.
pub fn secret() -> String {
    enum Secret {}
    new_id::<Secret>().to_string()
}

/// Random bytes fit for keys.
#[expect(clippy::expect_used, reason = "a host without randomness can keep no secret")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    // getrandom(2) fails only on kernels without it.
    SystemRandom::new().fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}
