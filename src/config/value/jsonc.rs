//! JSON with comments and trailing commas.

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Ranged, parse_to_ast};

use super::{Data, Property, Value};
use crate::config::problem::Report;

pub(super) fn read(text: &str, report: &Report<'_>) -> Option<Value> {
    match parse_to_ast(text, &CollectOptions::default(), &strict()) {
        Err(error) => {
            report.mistake(error.range().start, format!("no valid JSON: {}", lowercase(error.kind())));
            None
        }
        Ok(parsed) if parsed.value.is_none() => {
            report.mistake(0, "the file is empty; the least that a config holds is {}");
            None
        }
        Ok(parsed) => parsed.value.map(value),
    }
}

/// JSON with comments and trailing commas, and no other liberty: each would be one more thing that editors reject.
fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn lowercase(message: &impl ToString) -> String {
    let message = message.to_string();
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn value(parsed: ast::Value<'_>) -> Value {
    let at = parsed.start();
    let data = match parsed {
        ast::Value::StringLit(text) => Data::Text(text.value.into_owned()),
        ast::Value::NumberLit(number) => Data::Number(number.value.to_owned()),
        ast::Value::BooleanLit(flag) => Data::Flag(flag.value),
        ast::Value::NullKeyword(_) => Data::Null,
        ast::Value::Array(array) => Data::List(array.elements.into_iter().map(value).collect()),
        ast::Value::Object(object) => Data::Object(object.properties.into_iter().map(property).collect()),
    };
    Value { at, data }
}

fn property(parsed: ast::ObjectProp<'_>) -> Property {
    Property { at: parsed.start(), key: parsed.name.as_str().to_owned(), value: value(parsed.value) }
}
