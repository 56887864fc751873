//! Lines with a name and a value, for people. Knows alignment; must not know what is shown.

use super::plain;
use std::collections::BTreeMap;

/// Collects lines; values that are empty are left out.
#[derive(Default)]
pub struct Lines {
    lines: Vec<(usize, String, String)>,
}

impl Lines {
    pub fn put(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.indented(0, name, value)
    }

    pub fn indented(&mut self, depth: usize, name: &str, value: impl ToString) -> &mut Self {
        let value = plain::line(&value.to_string());
        if !value.is_empty() {
            self.lines.push((depth, plain::line(name), value));
        }
        self
    }

    /// A heading over the lines that follow at depth 1.
    pub fn heading(&mut self, name: &str) -> &mut Self {
        self.lines.push((0, name.to_owned(), String::new()));
        self
    }

    /// `Labels` and one line for each; nothing when there are none.
    pub fn labels(&mut self, labels: &BTreeMap<String, String>) -> &mut Self {
        if !labels.is_empty() {
            self.heading("Labels");
        }
        for (key, value) in labels {
            let text = if value.is_empty() { "\"\"" } else { value };
            self.indented(1, key, text);
        }
        self
    }

    /// Values of one depth stand below each other.
    pub fn finish(&self) -> String {
        let width = |depth: usize| {
            self.lines
                .iter()
                .filter(|(d, _, value)| *d == depth && !value.is_empty())
                .map(|(_, name, _)| name.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths = [width(0), width(1)];
        let line = |(depth, name, value): &(usize, String, String)| {
            let indent = depth * 2;
            let width = widths.get(*depth).copied().unwrap_or(0) + 1;
            let text = format!("{:indent$}{:<width$} {value}", "", format!("{name}:"));
            text.trim_end().to_owned() + "\n"
        };
        self.lines.iter().map(line).collect()
    }
}
