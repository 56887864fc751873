//! What is printed. Knows columns, JSON names and templates; must not know where an answer came from.

pub mod access;
pub mod event;
pub mod info;
pub mod network;
pub mod node;
pub mod plain;
mod pretty;
pub mod sandbox;
pub mod sort;
mod table;
mod template;
pub mod time;
pub mod words;

use crate::args::output::{Format, InspectOutput, ListOutput, OneOutput};
use crate::error::CliError;
use serde::Serialize;
use std::marker::PhantomData;
use template::Template;

/// Something with a JSON form, whose fields templates name.
pub trait View: Serialize {
    /// One with every optional part present, to check templates against before anything is asked.
    fn example() -> Self;
}

/// A line of a list.
pub trait Row: View {
    const HEADERS: &'static [&'static str];
    fn cells(&self, full_ids: bool) -> Vec<String>;
    /// What `-q` prints.
    fn id(&self, full_ids: bool) -> &str;
}

/// An object shown in full.
pub trait Object: View {
    fn id(&self) -> &str;
    /// For people: lines with a name and a value.
    fn pretty(&self) -> String;
}

/// How one kind of thing will be printed; making it checks the template.
pub struct Printer<V> {
    wanted: Wanted,
    kind: PhantomData<V>,
}

enum Wanted {
    Default,
    Quiet,
    Table,
    Json,
    Template(Template),
    TableTemplate(Template),
}

impl<V: View> Printer<V> {
    pub fn list(output: &ListOutput) -> Result<Self, CliError> {
        Self::new(output.format.as_ref(), output.quiet)
    }

    pub fn inspect(output: &InspectOutput, pretty: bool) -> Result<Self, CliError> {
        let format = if pretty { Some(&Format::Table) } else { output.format.as_ref() };
        Self::new(format, output.quiet)
    }

    pub fn one(output: &OneOutput) -> Result<Self, CliError> {
        Self::new(output.format.as_ref(), false)
    }

    fn new(format: Option<&Format>, quiet: bool) -> Result<Self, CliError> {
        let parse = |text: &str| {
            let template = Template::parse(text).map_err(|e| CliError::Usage(e.to_string()))?;
            let example = to_value(&V::example())?;
            template.check(&example).map_err(|e| CliError::Usage(e.to_string()))?;
            Ok::<_, CliError>(template)
        };
        let wanted = match format {
            _ if quiet => Wanted::Quiet,
            None => Wanted::Default,
            Some(Format::Table) => Wanted::Table,
            Some(Format::Json) => Wanted::Json,
            Some(Format::Template(text)) => Wanted::Template(parse(text)?),
            Some(Format::TableTemplate(text)) => Wanted::TableTemplate(parse(text)?),
        };
        Ok(Self { wanted, kind: PhantomData })
    }
}

impl<R: Row> Printer<R> {
    /// A table unless something else is wanted. `full_ids` concerns the table and `-q`.
    pub fn rows(&self, rows: &[R], full_ids: bool) -> Result<String, CliError> {
        match &self.wanted {
            Wanted::Quiet => Ok(rows.iter().map(|row| format!("{}\n", row.id(full_ids))).collect()),
            Wanted::Default | Wanted::Table => {
                Ok(table::grid(R::HEADERS, rows.iter().map(|row| row.cells(full_ids))))
            }
            Wanted::Json => rows.iter().map(json_line).collect(),
            Wanted::Template(template) => templated(template, rows),
            Wanted::TableTemplate(template) => tabled(template, rows),
        }
    }
}

impl<O: Object> Printer<O> {
    /// An indented JSON array unless something else is wanted.
    pub fn objects(&self, objects: &[O]) -> Result<String, CliError> {
        match &self.wanted {
            Wanted::Default => indented(objects),
            _ => self.shown(objects),
        }
    }

    /// For people unless something else is wanted.
    pub fn object(&self, object: O) -> Result<String, CliError> {
        self.shown(&[object])
    }

    fn shown(&self, objects: &[O]) -> Result<String, CliError> {
        match &self.wanted {
            Wanted::Quiet => Ok(objects.iter().map(|object| format!("{}\n", object.id())).collect()),
            Wanted::Default | Wanted::Table => {
                Ok(objects.iter().map(O::pretty).collect::<Vec<_>>().join("\n"))
            }
            Wanted::Json => objects.iter().map(json_line).collect(),
            Wanted::Template(template) => templated(template, objects),
            Wanted::TableTemplate(template) => tabled(template, objects),
        }
    }
}

fn templated<V: View>(template: &Template, views: &[V]) -> Result<String, CliError> {
    views.iter().map(|view| Ok(filled(template, view)? + "\n")).collect()
}

fn tabled<V: View>(template: &Template, views: &[V]) -> Result<String, CliError> {
    let headers = template.headers();
    let headers: Vec<&str> = headers.split('\t').collect();
    let lines: Vec<String> = views.iter().map(|view| filled(template, view)).collect::<Result<_, _>>()?;
    Ok(table::grid(&headers, lines.iter().map(|line| line.split('\t').map(str::to_owned).collect())))
}

fn filled<V: View>(template: &Template, view: &V) -> Result<String, CliError> {
    Ok(template.fill(&to_value(view)?, &to_json(view)?))
}

fn json_line<V: View>(view: &V) -> Result<String, CliError> {
    Ok(to_json(view)? + "\n")
}

fn to_json<V: View>(view: &V) -> Result<String, CliError> {
    serde_json::to_string(view).map_err(not_json)
}

fn to_value<V: View>(view: &V) -> Result<serde_json::Value, CliError> {
    serde_json::to_value(view).map_err(not_json)
}

/// Four spaces, as people know it from `docker inspect`.
fn indented<V: View>(views: &[V]) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let style = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    views.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, style)).map_err(not_json)?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn not_json(error: serde_json::Error) -> CliError {
    CliError::Failed(format!("cannot write the answer as JSON: {error}"))
}
