//! How an answer is wanted: `--format` and `-q`, the same on every list and inspect. Knows the words only.

use clap::Args;

/// As typed after `--format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// The form for people.
    Table,
    Json,
    /// `{{.Field}}` and text around it.
    Template(String),
    /// As a template, with a header line and aligned columns.
    TableTemplate(String),
}

pub fn format(given: &str) -> Result<Format, String> {
    match given {
        "table" | "pretty" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        text => match text.strip_prefix("table ") {
            Some(template) => Ok(Format::TableTemplate(template.to_owned())),
            None if text.contains("{{") => Ok(Format::Template(text.to_owned())),
            None => Err("expected table, json or a template such as '{{.ID}}'".into()),
        },
    }
}

const FORMAT_HELP: &str = "table, json (one object per line) or a template of {{.Field}}s";
const FORMAT_LONG: &str = "\
table, json (one object per line) or a template.

A template is text with fields of the JSON form in it: '{{.ID}}\\t{{.Name}}', nested ones as '{{.Spec.Role}}', \
one of a label as '{{.Labels.KEY}}', '{{json .}}' or '{{json .Field}}' for JSON. \\t and \\n are a tab and a new \
line. With 'table ' before it the fields become columns with a header. A field that does not exist is an error.";

/// The same with an example of fields that nodes have.
pub const FORMAT_LONG_NODES: &str = "\
table, json (one object per line) or a template.

A template is text with fields of the JSON form in it: '{{.ID}}\\t{{.Hostname}}', one of a label as '{{.Labels.KEY}}', \
'{{json .}}' or '{{json .Field}}' for JSON. \\t and \\n are a tab and a new line. With 'table ' before it the fields \
become columns with a header. A field that does not exist is an error.";

/// For lists.
#[derive(Debug, Args)]
pub struct ListOutput {
    #[arg(long, value_name = "FORMAT", value_parser = format, help = FORMAT_HELP, long_help = FORMAT_LONG)]
    pub format: Option<Format>,
    /// Print ids only
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
}

/// For `inspect`: without `--format`, an indented JSON array.
#[derive(Debug, Args)]
pub struct InspectOutput {
    #[arg(short, long, value_name = "FORMAT", value_parser = format, help = FORMAT_HELP, long_help = FORMAT_LONG)]
    pub format: Option<Format>,
    /// Print ids only
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
}

/// For one object that is shown for people unless told otherwise.
#[derive(Debug, Args)]
pub struct OneOutput {
    #[arg(short, long, value_name = "FORMAT", value_parser = format, help = FORMAT_HELP, long_help = FORMAT_LONG)]
    pub format: Option<Format>,
}
