//! The text format of Prometheus.

use std::fmt::{Display, Write as _};

/// A text that is being made. The samples of a family follow it at once.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

/// The name of a label and its value.
pub(crate) type Label<'a> = (&'a str, &'a str);

impl Exposition {
    /// Begins a family.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample of it.
    pub(crate) fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if place == 0 { '{' } else { ',' });
            self.escape(value);
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn escape(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_cannot_begin_a_line_or_end_their_quotes() {
        let mut text = Exposition::default();
        text.family("calls_total", "counter", "Calls.");
        text.sample("calls_total", &[("entry", "a\"\n\\b"), ("x", "y")], 3);
        text.sample("up", &[], 1.5);
        let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
                        calls_total{entry=\"a\\\"\\n\\\\b\",x=\"y\"} 3\nup 1.5\n";
        assert_eq!(text.finish(), expected);
    }
}
