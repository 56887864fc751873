//! Enums on the wire and in the model. `…_UNSPECIFIED` and unknown numbers have no counterpart: unknown is not guessed.

use crate::convert::ConvertError;
use crate::v1;
use swarm_model as model;

/// Pairs each word of the model with its number on the wire.
macro_rules! enums {
    ($($name:ident { $($variant:ident),+ } expected $expected:literal),+ $(,)?) => { $(
        impl From<model::$name> for v1::$name {
            fn from(word: model::$name) -> Self {
                match word { $(model::$name::$variant => Self::$variant),+ }
            }
        }
        impl TryFrom<v1::$name> for model::$name {
            type Error = ConvertError;
            fn try_from(word: v1::$name) -> Result<Self, ConvertError> {
                match word {
                    $(v1::$name::$variant => Ok(Self::$variant),)+
                    v1::$name::Unspecified => Err(ConvertError::new(stringify!($name), &"", $expected)),
                }
            }
        }
        impl Word for model::$name {
            type Wire = v1::$name;
            const EXPECTED: &'static str = $expected;
        }
    )+ };
}

/// A word of the model that travels as a number.
pub trait Word: Sized + TryFrom<Self::Wire> {
    type Wire: TryFrom<i32>;
    const EXPECTED: &'static str;
}

enums! {
    Role { Worker, Manager } expected "worker or manager",
    Availability { Active, Pause, Drain } expected "active, pause or drain",
    NodeState { Pending, Ready, Unknown, Down, Disconnected }
        expected "pending, ready, unknown, down or disconnected",
    MemberState { Learner, Voter } expected "learner or voter",
    UserRole { Viewer, Operator, Admin } expected "viewer, operator or admin",
    Driver { Overlay, Bridge, Macvlan } expected "overlay, bridge or macvlan",
}

/// An enum field as generated code holds it. Not set and unknown numbers are errors.
pub fn word<T: Word>(field: &str, number: i32) -> Result<T, ConvertError> {
    let wire = T::Wire::try_from(number).ok();
    match (wire.and_then(|wire| T::try_from(wire).ok()), number) {
        (Some(word), _) => Ok(word),
        (None, 0) => Err(ConvertError::new(field, &"", T::EXPECTED)),
        (None, _) => Err(ConvertError::new(field, &number, T::EXPECTED)),
    }
}

/// As [`word`], but "not set" means `default`.
pub fn word_or<T: Word>(field: &str, number: i32, default: T) -> Result<T, ConvertError> {
    if number == 0 { Ok(default) } else { word(field, number) }
}

/// As [`word`], but "not set" is nothing.
pub fn word_or_none<T: Word>(field: &str, number: i32) -> Result<Option<T>, ConvertError> {
    if number == 0 { Ok(None) } else { word(field, number).map(Some) }
}
