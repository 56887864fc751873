//! Reading what `swarmctl` prints: its tables by their fixed headers, its JSON by the words that matter.
//! Tolerant about everything the contract leaves open.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One line of `node ls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    pub id: String,
    pub own: bool,
    pub hostname: String,
    pub status: String,
    pub availability: String,
    pub manager: String,
    pub version: String,
}

/// True for an id: 25 characters of 0-9a-z.
pub fn is_id(text: &str) -> bool {
    text.len() == 25 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

/// Rows of a table with these headers, cut where the headers begin.
pub fn table(text: &str, headers: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut lines = text.lines();
    let head = lines.next().context("an empty table has no header")?;
    let mut starts = Vec::new();
    for header in headers {
        let after = starts.last().copied().unwrap_or(0);
        let at = head.get(after..).and_then(|rest| rest.find(header));
        starts.push(after + at.with_context(|| format!("no column {header:?} in {head:?}"))?);
    }
    let cut = |line: &str| {
        let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
        let cells = starts.iter().zip(ends);
        cells
            .map(|(from, to)| line.get(*from..to.min(line.len())).unwrap_or_default().trim().to_owned())
            .collect()
    };
    Ok(lines.map(cut).collect())
}

/// `node ls`.
pub fn nodes(text: &str) -> Result<Vec<NodeRow>> {
    let rows = table(text, &["ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER STATUS", "VERSION"])?;
    rows.into_iter().map(node).collect()
}

fn node(cells: Vec<String>) -> Result<NodeRow> {
    let shown = cells.join("|");
    let [id, hostname, status, availability, manager, version] =
        <[String; 6]>::try_from(cells).ok().context("six columns")?;
    let own = id.ends_with('*');
    let id = id.trim_end_matches([' ', '*']).to_owned();
    ensure!(is_id(&id), "not an id in {shown:?}");
    Ok(NodeRow { id, own, hostname, status, availability, manager, version })
}

/// One JSON object per line.
pub fn lines(text: &str) -> Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON object: {line}")))
        .collect()
}

/// One JSON object, on one line or many; the first of a list.
pub fn object(text: &str) -> Result<Value> {
    match serde_json::from_str(text).with_context(|| format!("no JSON: {text}"))? {
        Value::Array(many) => many.into_iter().next().context("an empty list"),
        one => Ok(one),
    }
}

fn same_word(one: &str, other: &str) -> bool {
    let letters =
        |w: &str| w.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    letters(one) == letters(other)
}

/// The value under a key, case and punctuation aside, wherever it is; the outermost first.
pub fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => {
            let here = fields.iter().find(|(name, _)| same_word(name, key)).map(|(_, v)| v);
            here.or_else(|| fields.values().find_map(|v| find(v, key)))
        }
        Value::Array(items) => items.iter().find_map(|v| find(v, key)),
        _ => None,
    }
}

pub fn text(value: &Value, key: &str) -> Option<String> {
    match find(value, key)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

pub fn number(value: &Value, key: &str) -> Option<i64> {
    match find(value, key)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// Every text in a value, at any depth: for "is this address anywhere in the answer".
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_cut_at_its_headers() {
        let id = "0123456789abcdefghijklmno";
        let text = format!(
            "{:<27}   HOSTNAME   STATUS   AVAILABILITY   MANAGER STATUS   VERSION\n\
             {:<27}   h1         Ready    Active         Leader           0.1.0\n\
             {id}     h2         Down     Active                          0.1.0",
            "ID",
            format!("{id} *")
        );
        let rows = nodes(&text).unwrap();
        assert!(rows[0].own && rows[0].manager == "Leader" && rows[0].id == id);
        assert!(
            !rows[1].own
                && rows[1].manager.is_empty()
                && rows[1].status == "Down"
                && rows[1].version == "0.1.0"
        );
    }

    #[test]
    fn keys_are_found_whatever_their_spelling() {
        let value = serde_json::json!({"Spec": {"DataPathPort": 7777, "subnets": [{"cidr": "10.0.1.0/24"}]}});
        assert_eq!(number(&value, "data_path_port"), Some(7777));
        assert_eq!(text(&value, "CIDR").as_deref(), Some("10.0.1.0/24"));
        assert!(texts(&value).contains(&"10.0.1.0/24".to_owned()));
    }
}
