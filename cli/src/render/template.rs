//! The part of Go's templates that people type after `--format`: `{{.A.B}}`, `{{json .A}}`, `{{index .Map "key"}}`.
//! Pure. Knows JSON values; must not know which things have which fields.

use super::plain;
use serde_json::Value;
use std::fmt;

/// Fields whose keys are the user's, where a missing one is no mistake.
const MAPS: [&str; 5] = ["Labels", "Attributes", "Options", "AuxiliaryAddresses", "Containers"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Vec<String>),
    Json(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    Unclosed,
    NotKnown { action: String },
    NoSuchField { field: String, known: Vec<String> },
    NoFieldsInside { field: String },
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed => f.write_str("the template has {{ without }}"),
            Self::NotKnown { action } => write!(
                f,
                "the template has {{{{{action}}}}}: expected {{{{.Field}}}}, {{{{json .Field}}}} or {{{{index .Field \"key\"}}}}"
            ),
            Self::NoSuchField { field, known } => {
                write!(
                    f,
                    "the template names {field}, which does not exist: expected one of {}",
                    known.join(", ")
                )
            }
            Self::NoFieldsInside { field } => {
                write!(f, "the template names {field}, but there are no fields inside what stands before it")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, next) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            parts.push(Part::Text(unescape(before)));
            parts.push(parse_action(action.trim())?);
            rest = next;
        }
        parts.push(Part::Text(unescape(rest)));
        Ok(Self { parts })
    }

    /// Every field named must exist in `example`.
    pub fn check(&self, example: &Value) -> Result<(), TemplateError> {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(_) => Ok(()),
            Part::Field(path) | Part::Json(path) => check_path(path, example),
        })
    }

    /// The text for one thing. `json` is its JSON form with the fields in their own order.
    pub fn fill(&self, value: &Value, json: &str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(path) => plain::lines(&bare(find(path, value))),
            Part::Json(path) if path.is_empty() => json.to_owned(),
            Part::Json(path) => find(path, value).to_string(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The header line above such texts: `{{.ManagerStatus}}` becomes `MANAGER STATUS`.
    pub fn headers(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(path) | Part::Json(path) => path.last().map(|name| spaced(name)).unwrap_or_default(),
        };
        self.parts.iter().map(part).collect()
    }
}

fn parse_action(action: &str) -> Result<Part, TemplateError> {
    let not_known = || TemplateError::NotKnown { action: action.to_owned() };
    let mut words = action.split_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(path), None, ..) => parse_path(path).map(Part::Field).ok_or_else(not_known),
        (Some("json"), Some(path), None, _) => parse_path(path).map(Part::Json).ok_or_else(not_known),
        (Some("index"), Some(path), Some(key), None) => {
            let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).ok_or_else(not_known)?;
            let mut path = parse_path(path).ok_or_else(not_known)?;
            path.push(key.to_owned());
            Ok(Part::Field(path))
        }
        _ => Err(not_known()),
    }
}

/// `.` is everything, `.A.B` a field of a field.
fn parse_path(text: &str) -> Option<Vec<String>> {
    match text.strip_prefix('.')? {
        "" => Some(Vec::new()),
        names => names.split('.').map(|name| (!name.is_empty()).then(|| name.to_owned())).collect(),
    }
}

fn check_path(path: &[String], example: &Value) -> Result<(), TemplateError> {
    let mut at = example;
    for (depth, name) in path.iter().enumerate() {
        let so_far = || format!(".{}", path.iter().take(depth + 1).cloned().collect::<Vec<_>>().join("."));
        let Value::Object(fields) = at else {
            return Err(TemplateError::NoFieldsInside { field: so_far() });
        };
        at = match fields.get(name) {
            Some(value) => value,
            None => {
                let known = fields.keys().map(|key| format!(".{key}")).collect();
                return Err(TemplateError::NoSuchField { field: so_far(), known });
            }
        };
        if MAPS.contains(&name.as_str()) {
            return Ok(());
        }
    }
    Ok(())
}

fn find<'a>(path: &[String], value: &'a Value) -> &'a Value {
    path.iter().try_fold(value, |at, name| at.get(name)).unwrap_or(&Value::Null)
}

/// As Go prints it: text bare, lists as `[a b]`, objects as `map[k:v]`; nothing for what is not there.
fn bare(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(bare).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let each: Vec<_> = fields.iter().map(|(key, value)| format!("{key}:{}", bare(value))).collect();
            format!("map[{}]", each.join(" "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Shells do not turn `\t` and `\n` into characters; people expect it done.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// `ManagerStatus` → `MANAGER STATUS`, `NodeID` → `NODE ID`.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    let mut before_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && before_lower {
            text.push(' ');
        }
        before_lower = c.is_lowercase();
        text.extend(c.to_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fill(template: &str) -> Result<String, TemplateError> {
        let value = json!({"ID": "a1", "Self": true, "N": 3, "Spec": {"Labels": {"a.b": "c"}, "List": ["x", "y"]},
            "Nothing": null});
        let template = Template::parse(template)?;
        template.check(&value)?;
        Ok(template.fill(&value, "{whole}"))
    }

    #[test]
    fn fields_and_text() {
        assert_eq!(fill("{{.ID}}\\t{{ .Self }} {{.N}}").unwrap(), "a1\ttrue 3");
        assert_eq!(fill("{{.Spec.List}} {{.Spec.Labels}}").unwrap(), "[x y] map[a.b:c]");
        assert_eq!(fill("{{json .}} {{json .Spec.List}} {{json .ID}}").unwrap(), r#"{whole} ["x","y"] "a1""#);
        assert_eq!(fill(r#"{{index .Spec.Labels "a.b"}}"#).unwrap(), "c");
        assert_eq!(fill("[{{.Spec.Labels.nope}}{{.Nothing}}]").unwrap(), "[]");
    }

    #[test]
    fn what_does_not_exist_is_said() {
        let error = fill("{{.Id}}").unwrap_err().to_string();
        assert_eq!(
            error,
            "the template names .Id, which does not exist: expected one of .ID, .N, .Nothing, .Self, .Spec"
        );
        assert!(fill("{{.ID.Name}}").unwrap_err().to_string().contains(".ID.Name"));
        for bad in [
            "{{.ID",
            "{{range .}}",
            "{{}}",
            "{{ID}}",
            "{{.A..B}}",
            "{{json}}",
            "{{index .Spec x}}",
            "{{.ID | lower}}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn headers_are_spaced_words() {
        assert_eq!(Template::parse("{{.ID}}\\t{{.ManagerStatus}}").unwrap().headers(), "ID\tMANAGER STATUS");
        assert_eq!(Template::parse("{{.Spec.NodeID}}").unwrap().headers(), "NODE ID");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "[{}. a-zA-Z\"\\\\é]{0,24}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.check(&json!({}));
                let _ = template.fill(&json!({}), "");
            }
        }
    }
}
