//! TOML, as Codex writes it.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Data, Property, Value};
use crate::config::problem::Report;

pub(super) fn read(text: &str, report: &Report<'_>) -> Option<Value> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        report.mistake(at, format!("no valid TOML: {}", error.message()));
    }
    errors.is_empty().then(|| Value { at: 0, data: table(root.into_inner()) })
}

fn table(parsed: DeTable<'_>) -> Data {
    let mut properties: Vec<Property> = parsed.into_iter().map(|(key, value)| property(key, value)).collect();
    // The parser sorts them by name, and the order of the text is the order of the entries.
    properties.sort_by_key(|property| property.at);
    Data::Object(properties)
}

fn property(key: Spanned<std::borrow::Cow<'_, str>>, parsed: Spanned<DeValue<'_>>) -> Property {
    let at = key.span().start;
    Property { key: key.into_inner().into_owned(), at, value: value(parsed) }
}

fn value(parsed: Spanned<DeValue<'_>>) -> Value {
    let Range { start: at, .. } = parsed.span();
    let data = match parsed.into_inner() {
        DeValue::String(text) => Data::Text(text.into_owned()),
        DeValue::Integer(number) => Data::Number(
            i128::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
        ),
        DeValue::Float(number) => Data::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Data::Flag(flag),
        // No key of ours is a time; whoever wants a text says that this is none.
        DeValue::Datetime(time) => Data::Number(time.to_string()),
        DeValue::Array(elements) => Data::List(elements.into_iter().map(value).collect()),
        DeValue::Table(members) => table(members),
    };
    Value { at, data }
}
