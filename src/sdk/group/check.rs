//! Whether a value is what a JSON Schema describes, and the value without what the schema does not name.
//!
//! What schemas of tools are made of is known; a keyword that is not known here hinders nothing.

use regex::Regex;
use serde_json::{Map, Value};

/// How deep references may lead.
const DEEPEST: usize = 64;

/// The value as the schema knows it, or all that is wrong with it, in the form `path: reason; …`.
pub(super) fn check(schema: &Value, value: Value) -> Result<Value, String> {
    let mut checker = Checker { root: schema, path: Vec::new(), problems: Vec::new() };
    let value = checker.check(schema, value, 0);
    if checker.problems.is_empty() { Ok(value) } else { Err(checker.problems.join("; ")) }
}

struct Checker<'a> {
    root: &'a Value,
    path: Vec<String>,
    problems: Vec<String>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: Value, depth: usize) -> Value {
        match schema {
            Value::Bool(false) => self.problem("Invalid input: expected never"),
            Value::Object(schema) if depth < DEEPEST => return self.keywords(schema, value, depth + 1),
            _ => {}
        }
        value
    }

    fn keywords(&mut self, schema: &'a Map<String, Value>, value: Value, depth: usize) -> Value {
        let mut value = value;
        if let Some(referred) = schema.get("$ref").and_then(Value::as_str).and_then(|to| self.referred(to)) {
            value = self.check(referred, value, depth);
        }
        if !self.is_of_type(schema, &value) || !self.is_listed(schema, &value) {
            return value;
        }
        for branch in list(schema, "allOf") {
            value = self.check(branch, value, depth);
        }
        for choice in ["anyOf", "oneOf"] {
            if schema.contains_key(choice) {
                value = self.any(list(schema, choice), value, depth);
            }
        }
        match value {
            Value::Object(fields) => Value::Object(self.object(schema, fields, depth)),
            Value::Array(items) => Value::Array(self.array(schema, items, depth)),
            Value::String(text) => {
                self.text(schema, &text);
                Value::String(text)
            }
            Value::Number(number) => {
                self.number(schema, number.as_f64().unwrap_or_default());
                Value::Number(number)
            }
            other => other,
        }
    }

    fn referred(&self, to: &str) -> Option<&'a Value> {
        self.root.pointer(to.strip_prefix('#')?)
    }

    fn is_of_type(&mut self, schema: &Map<String, Value>, value: &Value) -> bool {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        if types.is_empty() || types.iter().any(|kind| is_of(kind, value)) {
            return true;
        }
        let expected = match types[..] {
            ["integer"] if value.is_number() => "int",
            ["integer"] => "number",
            _ => &types.join(" | "),
        };
        self.problem(&format!("Invalid input: expected {expected}, received {}", kind(value)));
        false
    }

    fn is_listed(&mut self, schema: &Map<String, Value>, value: &Value) -> bool {
        if let Some(wanted) = schema.get("const").filter(|wanted| *wanted != value) {
            self.problem(&format!("Invalid input: expected {wanted}"));
            return false;
        }
        let listed = list(schema, "enum");
        if !schema.contains_key("enum") || listed.contains(value) {
            return true;
        }
        let listed: Vec<String> = listed.iter().map(Value::to_string).collect();
        self.problem(&format!("Invalid option: expected one of {}", listed.join("|")));
        false
    }

    /// The value as the first branch knows it that finds nothing wrong.
    fn any(&mut self, branches: &'a [Value], value: Value, depth: usize) -> Value {
        for branch in branches {
            let mut tried = Checker { root: self.root, path: Vec::new(), problems: Vec::new() };
            let known = tried.check(branch, value.clone(), depth);
            if tried.problems.is_empty() {
                return known;
            }
        }
        self.problem("Invalid input");
        value
    }

    fn object(
        &mut self,
        schema: &'a Map<String, Value>,
        fields: Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let mut fields = fields;
        let mut known = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = list(schema, "required");
        for (name, property) in properties.into_iter().flatten() {
            self.path.push(name.clone());
            match fields.shift_remove(name).or_else(|| property.get("default").cloned()) {
                Some(value) => {
                    known.insert(name.clone(), self.check(property, value, depth));
                }
                None if required.iter().any(|required| required == name) => self.missing(property),
                None => {}
            }
            self.path.pop();
        }
        for name in required.iter().filter_map(Value::as_str) {
            if properties.is_none_or(|known| !known.contains_key(name)) && !fields.contains_key(name) {
                self.path.push(name.to_owned());
                self.problem("Invalid input: expected nonoptional, received undefined");
                self.path.pop();
            }
        }
        // What no schema speaks of stays where none of the fields is named: then the schema describes none.
        let open = properties.is_none() && !schema.contains_key("additionalProperties");
        let others = match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(&Value::Bool(true)),
            Some(others @ Value::Object(_)) => Some(others),
            _ => open.then_some(&Value::Bool(true)),
        };
        if let Some(others) = others {
            for (name, value) in fields {
                self.path.push(name.clone());
                let value = self.check(others, value, depth);
                self.path.pop();
                known.insert(name, value);
            }
        }
        known
    }

    fn missing(&mut self, property: &Value) {
        if let Some(listed) = property.get("enum").and_then(Value::as_array) {
            let listed: Vec<String> = listed.iter().map(Value::to_string).collect();
            return self.problem(&format!("Invalid option: expected one of {}", listed.join("|")));
        }
        let expected = match property.get("type").and_then(Value::as_str) {
            Some("integer") => "number",
            Some(kind) => kind,
            None => "nonoptional",
        };
        self.problem(&format!("Invalid input: expected {expected}, received undefined"));
    }

    fn array(&mut self, schema: &'a Map<String, Value>, items: Vec<Value>, depth: usize) -> Vec<Value> {
        self.bounds(schema, ["minItems", "maxItems", "array", " items"], items.len());
        let (first, others) = (list(schema, "prefixItems"), schema.get("items"));
        let checked = items.into_iter().enumerate().map(|(place, item)| {
            let Some(of_item) = first.get(place).or(others) else { return item };
            self.path.push(place.to_string());
            let item = self.check(of_item, item, depth);
            self.path.pop();
            item
        });
        checked.collect()
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str) {
        // As the schema's authors count: in UTF-16.
        self.bounds(schema, ["minLength", "maxLength", "string", " characters"], text.encode_utf16().count());
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
        // A pattern that cannot be read here is nobody's fault who calls.
        if Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
            self.problem(&format!("Invalid string: must match pattern /{pattern}/"));
        }
    }

    /// Whether a length keeps to the limits under these two keys; what has it is called `what`, and counted in `unit`.
    #[expect(clippy::cast_precision_loss, reason = "no text and no list is so long")]
    fn bounds(&mut self, schema: &Map<String, Value>, [least, most, what, unit]: [&str; 4], length: usize) {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        if let Some(least) = limit(least).filter(|least| (length as f64) < *least) {
            self.problem(&format!("Too small: expected {what} to have >={least}{unit}"));
        }
        if let Some(most) = limit(most).filter(|most| length as f64 > *most) {
            self.problem(&format!("Too big: expected {what} to have <={most}{unit}"));
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, number: f64) {
        let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
        if let Some(least) = limit("minimum").filter(|least| number < *least) {
            self.problem(&format!("Too small: expected number to be >={least}"));
        }
        if let Some(least) = limit("exclusiveMinimum").filter(|least| number <= *least) {
            self.problem(&format!("Too small: expected number to be >{least}"));
        }
        if let Some(most) = limit("maximum").filter(|most| number > *most) {
            self.problem(&format!("Too big: expected number to be <={most}"));
        }
        if let Some(most) = limit("exclusiveMaximum").filter(|most| number >= *most) {
            self.problem(&format!("Too big: expected number to be <{most}"));
        }
        if let Some(step) = limit("multipleOf").filter(|step| *step > 0.0 && (number / step).fract().abs() > 1e-9) {
            self.problem(&format!("Invalid number: must be a multiple of {step}"));
        }
    }

    fn problem(&mut self, reason: &str) {
        let path = if self.path.is_empty() { "<root>".to_owned() } else { self.path.join(".") };
        self.problems.push(format!("{path}: {reason}"));
    }
}

fn list<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_of(wanted: &str, value: &Value) -> bool {
    match wanted {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        wanted => kind(value) == wanted,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "owner": { "type": "string", "minLength": 2 },
                "count": { "type": "integer", "minimum": 1, "default": 3 },
                "kind": { "enum": ["a", "b"] },
                "tags": { "type": "array", "items": { "type": "string" } },
                "either": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                "inner": { "$ref": "#/$defs/inner" },
            },
            "required": ["owner", "kind"],
            "additionalProperties": false,
            "$defs": { "inner": { "type": "object", "properties": { "x": { "type": "number" } } } },
        })
    }

    #[test]
    fn what_is_right_comes_out_without_what_is_not_named_and_with_defaults() {
        let given = json!({ "kind": "a", "owner": "me", "extra": 1, "either": null, "inner": { "x": 1, "y": 2 } });
        let known = json!({ "owner": "me", "count": 3, "kind": "a", "either": null, "inner": { "x": 1 } });
        assert_eq!(check(&schema(), given), Ok(known));
        let open = json!({ "type": "object" });
        assert_eq!(check(&open, json!({ "any": [1] })), Ok(json!({ "any": [1] })));
        let map = json!({ "type": "object", "additionalProperties": { "type": "number" } });
        assert_eq!(check(&map, json!({ "a": 1 })), Ok(json!({ "a": 1 })));
        assert_eq!(check(&map, json!({ "a": "1" })).unwrap_err(), "a: Invalid input: expected number, received string");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let given = json!({ "owner": "x", "count": 1.5, "tags": ["t", 4], "either": 1 });
        assert_eq!(
            check(&schema(), given).unwrap_err(),
            "owner: Too small: expected string to have >=2 characters; \
             count: Invalid input: expected int, received number; \
             kind: Invalid option: expected one of \"a\"|\"b\"; \
             tags.1: Invalid input: expected string, received number; either: Invalid input"
        );
        assert_eq!(check(&schema(), json!([])).unwrap_err(), "<root>: Invalid input: expected object, received array");
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let endless = json!({ "$ref": "#" });
        assert_eq!(check(&endless, json!(1)), Ok(json!(1)));
    }
}
