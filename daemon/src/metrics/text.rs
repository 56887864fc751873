//! Figures in the text format of Prometheus (version 0.0.4). Pure.

use std::fmt::Write;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

/// One name with what it means, and a value for each set of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Metric {
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, kind: Kind::Gauge, help, samples: vec![(Vec::new(), value)] }
    }

    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, kind: Kind::Counter, help, samples: vec![(Vec::new(), number(value))] }
    }

    /// One value for each word of one label.
    pub fn by(self, label: &'static str, values: impl IntoIterator<Item = (impl ToString, u64)>) -> Self {
        let sample = |(word, value): (_, u64)| (vec![(label, ToString::to_string(&word))], number(value));
        Self { samples: values.into_iter().map(sample).collect(), ..self }
    }
}

/// Exact up to 2^53, which nothing counted here reaches.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
pub fn number(value: u64) -> f64 {
    value as f64
}

pub fn page(metrics: &[Metric]) -> String {
    let mut page = String::new();
    for Metric { name, kind, help, samples } in metrics {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(page, "{name}{labels} {value}");
        }
    }
    page
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_help_its_type_and_its_values() {
        let page = page(&[
            Metric::gauge("swarmd_a", "What a is.", 1.5),
            Metric::counter("swarmd_b_total", "What b is.", 0)
                .by("state", [("up", 3), ("do\"wn\n", 1 << 40)]),
        ]);
        assert_eq!(
            page,
            "# HELP swarmd_a What a is.\n# TYPE swarmd_a gauge\nswarmd_a 1.5\n\
             # HELP swarmd_b_total What b is.\n# TYPE swarmd_b_total counter\n\
             swarmd_b_total{state=\"up\"} 3\nswarmd_b_total{state=\"do\\\"wn\\n\"} 1099511627776\n"
        );
    }
}
