//! Repairs the schemas of a tool, so that the model providers accept it.

mod merge;
mod nested;

use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    config::SchemaProfile,
    raw::{self, RawObject},
};

/// A definition may be nested this deep. Most JSON readers stop at 128, and it will lie inside a list, inside an answer.
const MAX_DEPTH: usize = 100;

/// What became of a definition.
#[derive(Debug)]
pub(crate) enum Repaired {
    /// It obeys the rules as it is.
    Unchanged,
    /// It obeys them now.
    Changed {
        /// The definition with its schemas replaced and all else as it was.
        definition: Box<RawValue>,
        /// What was done, in words for health.
        notes: Vec<String>,
    },
    /// It cannot be used, for this reason.
    Quarantined(String),
}

/// Makes the definition of a tool obey the rules of a profile.
pub(crate) fn repair(tool: &RawValue, profile: SchemaProfile) -> Repaired {
    let Some(rules) = Rules::of(profile) else { return Repaired::Unchanged };
    match repaired(tool, rules) {
        Ok(None) => Repaired::Unchanged,
        Ok(Some((definition, notes))) => Repaired::Changed { definition, notes },
        Err(reason) => Repaired::Quarantined(reason),
    }
}

/// The description of a tool: its own, else its title, else its name.
pub(crate) fn description(definition: &RawObject<'_>) -> String {
    said(definition, "description")
        .or_else(|| said(definition, "title"))
        .or_else(|| definition.object("annotations").and_then(|annotations| said(&annotations, "title")))
        .or_else(|| said(definition, "name"))
        .unwrap_or_default()
}

fn said(definition: &RawObject<'_>, key: &str) -> Option<String> {
    definition.text(key).filter(|text| !text.trim().is_empty())
}

/// What a profile asks of an input schema beyond an object at its root.
///
/// References to the outside and bad output schemas are no question of providers: every profile but `none` mends them.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    /// Every object schema says its `properties`.
    properties: bool,
    /// Patterns are ones that RE2 can run.
    patterns: bool,
    /// No `enum` and no `not` at the root.
    bare_root: bool,
}

impl Rules {
    fn of(profile: SchemaProfile) -> Option<Self> {
        let open_ai = Self { properties: true, patterns: true, bare_root: true };
        match profile {
            SchemaProfile::None => None,
            SchemaProfile::Anthropic => Some(Self::default()),
            SchemaProfile::Gemini => Some(Self { patterns: true, ..Self::default() }),
            // OpenAI's rules hold those of the other two.
            SchemaProfile::OpenAi | SchemaProfile::Safe => Some(open_ai),
        }
    }
}

/// What was done to a tool, a line each.
struct Notes {
    tool: String,
    lines: Vec<String>,
}

impl Notes {
    fn add(&mut self, what: &str) {
        self.lines.push(format!("tool `{}`: {what}", self.tool));
    }
}

type Changed = Option<(Box<RawValue>, Vec<String>)>;

fn repaired(tool: &RawValue, rules: Rules) -> Result<Changed, String> {
    if raw::depth(tool.get()) > MAX_DEPTH {
        return Err(too_deep());
    }
    let mut definition = RawObject::parse(tool).ok_or("its definition is no readable JSON object")?;
    let mut notes = Notes { tool: definition.text("name").unwrap_or_default(), lines: Vec::new() };

    let input = input(definition.get("inputSchema"), rules, &mut notes)?;
    let output = definition.get("outputSchema").map(|raw| output(raw, &mut notes));
    if notes.lines.is_empty() {
        return Ok(None);
    }
    if let Some(input) = &input {
        definition.set("inputSchema", input);
    }
    match &output {
        None | Some(Output::Kept) => {}
        Some(Output::Dropped) => definition.remove("outputSchema"),
        Some(Output::Replaced(schema)) => definition.set("outputSchema", schema),
    }
    Ok(Some((definition.to_raw(), notes.lines)))
}

fn too_deep() -> String {
    format!("its definition is nested deeper than {MAX_DEPTH} levels")
}

/// The repaired input schema, if it was in need of repair.
fn input(raw: Option<&RawValue>, rules: Rules, notes: &mut Notes) -> Result<Option<Box<RawValue>>, String> {
    let before = notes.lines.len();
    let schema: Value = match raw {
        None => {
            notes.add("input schema was missing");
            any_object()
        }
        Some(raw) => {
            let schema = serde_json::from_str(raw.get());
            root(schema.map_err(|error| format!("its input schema cannot be read: {error}"))?, rules, notes)?
        }
    };
    if notes.lines.len() == before {
        return Ok(None);
    }
    let schema = to_raw(&schema);
    // Merging puts schemas inside `allOf` and `anyOf`, which may lead over the limit.
    if raw::depth(schema.get()) >= MAX_DEPTH { Err(too_deep()) } else { Ok(Some(schema)) }
}

fn root(schema: Value, rules: Rules, notes: &mut Notes) -> Result<Value, String> {
    let Value::Object(mut root) = schema else {
        notes.add("input schema was no object");
        return Ok(any_object());
    };
    let merged = merge::flatten(&mut root, notes)?;
    if !be_an_object(&mut root, rules, notes) {
        return Ok(any_object());
    }
    if rules.bare_root {
        for keyword in ["enum", "not"] {
            if root.shift_remove(keyword).is_some() {
                notes.add(&format!("`{keyword}` at the root of its input schema was left out"));
            }
        }
    }
    let mut schema = Value::Object(root);
    nested::Repair::new(rules, merged).run(&mut schema, "input", notes);
    Ok(schema)
}

/// Makes the root say that it is an object, with `properties` and `required` of the right kind. False: it is a schema of
/// something else.
fn be_an_object(root: &mut Map<String, Value>, rules: Rules, notes: &mut Notes) -> bool {
    let typed = root.get("type").is_some_and(|kind| kind == "object");
    if !typed {
        match root.get("type") {
            None => notes.add("input schema had no type"),
            Some(kind) if allows_objects(kind) || root.get("properties").is_some_and(Value::is_object) => {
                notes.add("input schema had another type than `object`");
            }
            Some(_) => {
                notes.add("input schema was not that of an object");
                return false;
            }
        }
        root.insert("type".to_owned(), "object".into());
    }
    let wanted = rules.properties || !typed;
    if root.get("properties").map_or(wanted, |properties| !properties.is_object()) {
        notes.add("input schema had no properties");
        root.insert("properties".to_owned(), json!({}));
    }
    if root.get("required").is_some_and(|required| !is_list_of_names(required)) {
        notes.add("`required` of its input schema was no list of names");
        root.shift_remove("required");
    }
    true
}

enum Output {
    Kept,
    Dropped,
    Replaced(Box<RawValue>),
}

/// No provider reads output schemas, but clients compile them, and one bad schema can cost them the whole list.
fn output(raw: &RawValue, notes: &mut Notes) -> Output {
    let schema = serde_json::from_str::<Value>(raw.get()).ok();
    let Some(mut schema) = schema.filter(|schema| schema.get("type").is_some_and(|kind| kind == "object")) else {
        notes.add("output schema was not that of an object, left out");
        return Output::Dropped;
    };
    let before = notes.lines.len();
    nested::Repair::new(Rules::default(), false).run(&mut schema, "output", notes);
    if notes.lines.len() == before { Output::Kept } else { Output::Replaced(to_raw(&schema)) }
}

fn any_object() -> Value {
    json!({ "type": "object", "properties": {} })
}

fn allows_objects(kind: &Value) -> bool {
    kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
}

fn is_list_of_names(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
}

fn to_raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value makes JSON text")
}

#[cfg(test)]
mod tests;
