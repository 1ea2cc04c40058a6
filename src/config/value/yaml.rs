//! YAML, as Goose writes it: one document, the core types, aliases.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Data, Property, Value};
use crate::config::problem::Report;

/// Deeper than any config is, and shallow enough for reading it step by step.
const DEEPEST: usize = 100;

/// Aliases multiply what they stand for; a text of a page must not become a tree that fills the memory.
const MOST_VALUES: usize = 100_000;

pub(super) fn read(text: &str, report: &Report<'_>) -> Option<Value> {
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let offset = |index: usize| offsets.get(index).copied().unwrap_or(text.len());
    let mut builder = Builder { offset: &offset, open: Vec::new(), anchors: HashMap::new(), count: 0, root: None };
    for event in Parser::new_from_str(text) {
        let read = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => Err((offset(error.marker().index()), error.info().to_owned())),
        };
        if let Err((at, reason)) = read {
            report.mistake(at, format!("no valid YAML: {reason}"));
            return None;
        }
    }
    builder.root.or(Some(Value { at: 0, data: Data::Object(Vec::new()) }))
}

type Refusal = (usize, String);

/// Puts the parser's events together again.
struct Builder<'a> {
    offset: &'a dyn Fn(usize) -> usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    count: usize,
    root: Option<Value>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: usize,
    anchor: usize,
    data: Unfinished,
}

enum Unfinished {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Mapping(Vec<Property>, Option<Value>),
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let at = (self.offset)(span.start.index());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                let data = if style == ScalarStyle::Plain && !is_text { plain(&text) } else { Data::Text(text.into()) };
                self.count(1, at)?;
                self.add(Value { at, data }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(at, anchor, Unfinished::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(at, anchor, Unfinished::Mapping(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(value) => {
                    let value = Value { at, ..value.clone() };
                    self.count(size(&value), at)?;
                    self.add(value, 0)
                }
                None => Err((at, "an alias stands for something that holds itself".to_owned())),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                Err((at, "a second document begins here; only one is read".to_owned()))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, at: usize, anchor: usize, data: Unfinished) -> Result<(), Refusal> {
        if self.open.len() == DEEPEST {
            return Err((at, format!("it is nested more than {DEEPEST} deep")));
        }
        self.open.push(Open { at, anchor, data });
        self.count(1, at)
    }

    fn count(&mut self, more: usize, at: usize) -> Result<(), Refusal> {
        self.count += more;
        if self.count > MOST_VALUES {
            return Err((at, format!("it is more than {MOST_VALUES} values, aliases included")));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(Open { at, anchor, data }) = self.open.pop() else { return Ok(()) };
        let data = match data {
            Unfinished::List(elements) => Data::List(elements),
            Unfinished::Mapping(properties, _) => Data::Object(properties),
        };
        self.add(Value { at, data }, anchor)
    }

    fn add(&mut self, value: Value, anchor: usize) -> Result<(), Refusal> {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut().map(|open| &mut open.data) {
            None => self.root = Some(value),
            Some(Unfinished::List(elements)) => elements.push(value),
            Some(Unfinished::Mapping(_, key @ None)) => *key = Some(value),
            Some(Unfinished::Mapping(properties, key)) => {
                let at = key.as_ref().map_or(value.at, |key| key.at);
                match key.take().map(|key| key.data) {
                    Some(Data::Text(key) | Data::Number(key)) => properties.push(Property { key, at, value }),
                    Some(Data::Flag(flag)) => properties.push(Property { key: flag.to_string(), at, value }),
                    _ => return Err((at, "a key must be a text".to_owned())),
                }
            }
        }
        Ok(())
    }
}

/// How many values it is, with all that is in it.
fn size(value: &Value) -> usize {
    match &value.data {
        Data::List(elements) => 1 + elements.iter().map(size).sum::<usize>(),
        Data::Object(properties) => 1 + properties.iter().map(|property| size(&property.value)).sum::<usize>(),
        Data::Null | Data::Flag(_) | Data::Number(_) | Data::Text(_) => 1,
    }
}

/// A word without quotes, by the rules of the core schema.
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Flag(true),
        "false" | "False" | "FALSE" => Data::Flag(false),
        number if is_number(number) => Data::Number(number.to_owned()),
        text => Data::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    // `inf` and `nan` are words here, though Rust reads them as numbers.
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') && text.parse::<f64>().is_ok()
}
