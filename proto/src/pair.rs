//! What nodes encrypt with, on the wire and in the model. No error shows a secret.

use crate::convert::{ConvertError, ID, parse};
use crate::v1;
use swarm_model as model;

impl From<&model::Pair> for v1::Pair {
    fn from(pair: &model::Pair) -> Self {
        let secret = |(generation, secret): (&u64, &model::PairSecret)| v1::PairSecret {
            generation: *generation,
            secret: secret.0.to_vec(),
        };
        Self {
            node: pair.node.to_string(),
            incarnation: pair.incarnation.map(|drawn| drawn.0.to_vec()).unwrap_or_default(),
            current: pair.ring.current,
            generations: pair.ring.secrets.iter().map(secret).collect(),
        }
    }
}

impl TryFrom<v1::Pair> for model::Pair {
    type Error = ConvertError;

    fn try_from(pair: v1::Pair) -> Result<Self, ConvertError> {
        let secret = |s: v1::PairSecret| {
            let bytes = <[u8; 32]>::try_from(s.secret.as_slice());
            let bytes = bytes.map_err(|_| ConvertError::new("secret", &"(not shown)", "32 bytes"))?;
            Ok((s.generation, model::PairSecret(bytes)))
        };
        let secrets = pair.generations.into_iter().map(secret).collect::<Result<_, ConvertError>>()?;
        Ok(Self {
            node: parse("node", &pair.node, ID)?,
            incarnation: match pair.incarnation.is_empty() {
                true => None,
                false => Some(incarnation(&pair.incarnation)?),
            },
            ring: model::PairRing { current: pair.current, secrets },
        })
    }
}

pub fn incarnation(bytes: &[u8]) -> Result<model::Incarnation, ConvertError> {
    let drawn = <[u8; 16]>::try_from(bytes);
    let shown = || format!("{} bytes", bytes.len());
    drawn.map(model::Incarnation).map_err(|_| ConvertError::new("incarnation", &shown(), "16 bytes"))
}
