//! Arguments of tools that are given as headers as well: a tool says of a property `x-mcp-header`, and what it is called.

use serde_json::{Value, value::RawValue};

/// What a header about an argument must say.
#[derive(Debug, PartialEq)]
pub(super) struct Expected(Value);

impl Expected {
    /// Whether the header says it.
    pub(super) fn is(&self, given: &str) -> bool {
        match &self.0 {
            Value::String(text) => text == given,
            Value::Number(number) => {
                number.to_string() == given || given.parse().is_ok_and(|given| number.as_f64() == Some(given))
            }
            Value::Bool(flag) => flag.to_string() == given,
            // No header is made of these.
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        }
    }
}

const MARK: &str = "x-mcp-header";

/// So deep is looked for marks.
const DEPTH: usize = 16;

/// The headers that a tool asks for, each with what it must say; nothing for an argument that is not given.
pub(super) fn expected(definition: &RawValue, arguments: Option<&RawValue>) -> Vec<(String, Option<Expected>)> {
    // Hardly any tool asks for one, and definitions can be large.
    if memchr::memmem::find(definition.get().as_bytes(), MARK.as_bytes()).is_none() {
        return Vec::new();
    }
    let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let (definition, arguments) = (read(definition), arguments.map(read).unwrap_or_default());
    let mut found = Vec::new();
    collect(&definition["inputSchema"], &arguments, (DEPTH, &mut found));
    found
}

fn collect(schema: &Value, value: &Value, (depth, found): (usize, &mut Vec<(String, Option<Expected>)>)) {
    let Some(properties) = schema["properties"].as_object().filter(|_| depth > 0) else { return };
    for (name, property) in properties {
        let value = &value[name];
        if let Some(header) = property[MARK].as_str() {
            let expected = (!value.is_null()).then(|| Expected(value.clone()));
            found.push((format!("Mcp-Param-{header}"), expected));
        }
        collect(property, value, (depth - 1, found));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    #[test]
    fn marked_properties_are_found_wherever_properties_lead() {
        let schema = json!({ "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "plain": { "type": "string" },
            "inner": { "properties": { "count": { "type": "integer", "x-mcp-header": "Count" } } },
            "list": { "items": { "properties": { "no": { "x-mcp-header": "No" } } } },
        } });
        let definition = raw(&json!({ "name": "t", "inputSchema": schema }));
        let arguments = raw(&json!({ "region": "eu", "inner": { "count": 42 }, "plain": "x" }));
        let found = expected(&definition, Some(&arguments));
        let wanted = [("Mcp-Param-Region", json!("eu")), ("Mcp-Param-Count", json!(42))];
        assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), Some(Expected(value)))));
        let none = expected(&definition, Some(&raw(&json!({ "region": null }))));
        assert!(none.iter().all(|(_, value)| value.is_none()), "{none:?}");
    }

    #[test]
    fn a_header_says_numbers_and_flags_as_json_does() {
        let says = |value: Value, given: &str| Expected(value).is(given);
        assert!(says(json!("a b"), "a b") && !says(json!("a"), "A"));
        assert!(says(json!(42), "42") && says(json!(42), "42.0") && !says(json!(42), "43"));
        assert!(says(json!(true), "true") && !says(json!(true), "True"));
        assert!(!says(json!({}), "{}"));
    }
}
