//! What one key may do: a place that is empty or holds one value. A node's label, the name of a network and the address
//! of an endpoint are such places. Knows the sequential rules; must not know time.

use super::search::Spec;
use serde::{Deserialize, Serialize};

/// Values are unique in a history wherever that can be had: it makes the verdict sharp and the search short.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    Read,
    Write(String),
    /// Puts `to` where `from` is.
    Swap {
        from: Option<String>,
        to: String,
    },
    /// Fills an empty place.
    Claim(String),
    /// Empties a filled one.
    Clear,
    /// Empties it if this value is there; fine if it is not.
    Release(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    Value(Option<String>),
    Done,
    /// As things stand it cannot be done; nothing was changed.
    Refused,
}

pub struct Slot;

impl Spec for Slot {
    type State = Option<String>;
    type Op = Op;
    type Answer = Answer;

    fn step(state: &Self::State, op: &Op, answer: Option<&Answer>) -> Option<Self::State> {
        let (next, due) = apply(state, op);
        answer.is_none_or(|given| *given == due).then_some(next)
    }
}

/// What is there afterwards, and what is answered.
pub fn apply(state: &Option<String>, op: &Op) -> (Option<String>, Answer) {
    let kept = || (state.clone(), Answer::Refused);
    match op {
        Op::Read => (state.clone(), Answer::Value(state.clone())),
        Op::Write(value) => (Some(value.clone()), Answer::Done),
        Op::Swap { from, to } if from == state => (Some(to.clone()), Answer::Done),
        Op::Claim(value) if state.is_none() => (Some(value.clone()), Answer::Done),
        Op::Clear if state.is_some() => (None, Answer::Done),
        Op::Swap { .. } | Op::Claim(_) | Op::Clear => kept(),
        Op::Release(value) if state.as_ref() == Some(value) => (None, Answer::Done),
        Op::Release(_) => (state.clone(), Answer::Done),
    }
}
