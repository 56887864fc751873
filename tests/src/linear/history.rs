//! Histories as values: who asked what of which key, from when to when, and what came of it. Can be kept as lines of
//! JSON. Knows no rules.

use super::slot::{Answer, Op};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// One call. Times are microseconds on one monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub client: u32,
    pub key: String,
    pub op: Op,
    pub invoked_us: u64,
    /// `None`: what became of it is not known. It may take effect at any later time, or never.
    pub returned: Option<Returned>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    pub at_us: u64,
    pub answer: Answer,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1e3;
        write!(f, "{:>10.1} ", ms(self.invoked_us))?;
        match &self.returned {
            Some(returned) => write!(f, "… {:>10.1} ms", ms(returned.at_us))?,
            None => write!(f, "…       open   ")?,
        }
        write!(f, "  client {:<3} {:?}", self.client, self.op)?;
        match &self.returned {
            Some(returned) => write!(f, " → {:?}", returned.answer),
            None => write!(f, " → unknown"),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub calls: Vec<Call>,
}

impl History {
    /// The calls on each key, in the order they were made.
    pub fn by_key(&self) -> BTreeMap<&str, Vec<&Call>> {
        let mut parts: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
        for call in &self.calls {
            parts.entry(&call.key).or_default().push(call);
        }
        parts.values_mut().for_each(|calls| calls.sort_by_key(|call| call.invoked_us));
        parts
    }

    /// One JSON object a line.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut file = BufWriter::new(file);
        for call in &self.calls {
            serde_json::to_writer(&mut file, call)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    }

    pub fn load(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut calls = Vec::new();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let call = serde_json::from_str(&line?);
            calls.push(call.with_context(|| format!("{}:{}", path.display(), number + 1))?);
        }
        Ok(Self { calls })
    }
}
