//! Secrets of the cluster do not outlive the objects they are in. Knows which fields are secret.

use crate::{Cluster, JoinSecrets, RootRotation, UnlockSecret};
use zeroize::{Zeroize, ZeroizeOnDrop};

macro_rules! wiped {
    ($($object:ident { $($secret:tt),+ })+) => {
        $(
            /// Wipes the secrets alone.
            impl Zeroize for $object {
                fn zeroize(&mut self) {
                    $(self.$secret.zeroize();)+
                }
            }
            impl Drop for $object {
                fn drop(&mut self) {
                    self.zeroize();
                }
            }
            impl ZeroizeOnDrop for $object {}
        )+
    };
}

// The lock key and the rotation of a cluster are wiped as objects of their own.
wiped! {
    Cluster { root_ca_key }
    RootRotation { root_ca_key }
    JoinSecrets { worker, manager }
    UnlockSecret { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::String;

    fn is_wiped_when_dropped<T: ZeroizeOnDrop>() {}

    #[test]
    fn secrets_are_wiped_and_nothing_else() {
        is_wiped_when_dropped::<Cluster>();
        let mut secrets = JoinSecrets { worker: "w".into(), manager: "m".into() };
        let mut key = UnlockSecret("SWMKEY".into());
        let mut rotation = RootRotation {
            number: 1,
            started_ms: 2,
            root_ca_cert: "public".into(),
            root_ca_key: "private".into(),
            cross_cert: String::new(),
            renewed: BTreeSet::new(),
        };
        secrets.zeroize();
        key.zeroize();
        rotation.zeroize();
        assert_eq!((secrets.worker.as_str(), secrets.manager.as_str(), key.0.as_str()), ("", "", ""));
        assert_eq!((rotation.root_ca_key.as_str(), rotation.root_ca_cert.as_str()), ("", "public"));
    }
}
