//! Long texts, which recordings describe instead of having them.

use serde_json::{Map, Value};

/// The long texts of a recording, each with how it is described.
#[derive(Default)]
pub(crate) struct Long(Vec<(String, Value)>);

impl Long {
    /// A value with each text that is described by `longString` in the place of its description.
    pub(crate) fn expanded(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) if fields.contains_key("longString") => {
                let text = text_of(fields);
                self.0.push((text.clone(), value.clone()));
                text.into()
            }
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.expanded(value))).collect::<Map<_, _>>().into()
            }
            Value::Array(items) => items.iter().map(|item| self.expanded(item)).collect(),
            other => other.clone(),
        }
    }

    /// A value with each of those texts described again.
    pub(crate) fn described(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let known = self.0.iter().find(|(long, _)| long == text);
                known.map_or_else(|| value.clone(), |(_, described)| described.clone())
            }
            Value::Array(items) => items.iter().map(|item| self.described(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.described(value))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
}

/// A text as it is described: by its length, what it is made of, how it begins and ends.
fn text_of(fields: &Map<String, Value>) -> String {
    let described = &fields["longString"];
    let pick =
        |names: &[&str]| names.iter().find_map(|name| described.get(*name).or_else(|| fields.get(*name))).cloned();
    let text = |names: &[&str]| pick(names).and_then(|value| value.as_str().map(ToOwned::to_owned));
    if let Some(text) = described.as_str() {
        return text.to_owned();
    }
    let length = described.as_u64().or_else(|| pick(&["length", "chars", "times", "count", "size", "n"])?.as_u64());
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(4001);
    let head = text(&["head", "start", "prefix"]).unwrap_or_default();
    let tail = text(&["tail", "end", "suffix"]).unwrap_or_default();
    let of = text(&["of", "char", "text", "repeat", "fill"]).filter(|of| !of.is_empty()).unwrap_or("x".to_owned());
    let rest = length.saturating_sub(head.chars().count() + tail.chars().count());
    let middle: String = of.chars().cycle().take(rest).collect();
    head + &middle + &tail
}
