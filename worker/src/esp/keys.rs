//! Keys out of their names. Knows: HKDF. Must not know: which keys are used.

use crate::kernel::xfrm::KEY_BYTES;
use ring::hkdf;
use swarm_model::PairSecret;
use swarm_overlay::esp::{Spi, Tunnel};
use zeroize::{Zeroize, Zeroizing};

const SPI_BYTES: usize = 4;
const SALT: &[u8] = b"swarmd esp pair";

/// The key of one tunnel and the index its receiver finds it by.
pub struct TunnelKey {
    pub key: Zeroizing<[u8; KEY_BYTES]>,
    pub spi: Spi,
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[expect(clippy::expect_used, reason = "HKDF fails only for more than 255 blocks of output")]
pub fn derive(secret: &PairSecret, tunnel: &Tunnel) -> TunnelKey {
    let mut bytes = [0; KEY_BYTES + SPI_BYTES];
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&secret.0);
    let label = tunnel.label();
    root.expand(&[&label], Length(bytes.len()))
        .and_then(|okm| okm.fill(&mut bytes))
        .expect("two blocks are expanded");
    let mut made = TunnelKey { key: Zeroizing::new([0; KEY_BYTES]), spi: Spi::from_bytes([0; SPI_BYTES]) };
    let (key, spi) = bytes.split_at(KEY_BYTES);
    made.key.copy_from_slice(key);
    made.spi = Spi::from_bytes(spi.try_into().unwrap_or_default());
    bytes.zeroize();
    made
}

pub fn spi(secret: &PairSecret, tunnel: &Tunnel) -> Spi {
    derive(secret, tunnel).spi
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::IpAddr;
    use swarm_model::{Id, Incarnation};
    use swarm_overlay::esp::End;

    fn end(n: u8, incarnation: u8) -> End {
        End {
            node: Id::from_random([n; 16]),
            incarnation: Incarnation([incarnation; 16]),
            vtep: IpAddr::from([10, 0, 0, n]),
        }
    }

    #[test]
    fn no_two_names_have_one_key() {
        let mut keys = HashSet::new();
        let mut names = 0;
        for secret in 0..3 {
            for generation in 0..3 {
                for (a, b, i, j) in
                    (0..81u8).map(|n| (n % 3, n / 3 % 3, n / 9 % 3, n / 27)).filter(|(a, b, ..)| a != b)
                {
                    let tunnel = Tunnel { generation, from: end(a, i), to: end(b, j) };
                    let made = derive(&PairSecret([secret; 32]), &tunnel);
                    keys.insert(*made.key);
                    names += 1;
                    assert!(made.spi.get() >= 256);
                    assert_eq!(made.key, derive(&PairSecret([secret; 32]), &tunnel).key);
                }
            }
        }
        assert_eq!(keys.len(), names);
    }
}
