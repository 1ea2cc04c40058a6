//! Repairs what may be wrong at any depth of a schema.

use std::{cell::RefCell, collections::HashMap};

use regex::bytes::RegexBuilder;
use serde_json::{Map, Value, json};

use super::{Notes, Rules, allows_objects};

/// Keywords whose value is a schema, or a list of schemas.
const SCHEMAS: [&str; 17] = [
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "allOf",
    "oneOf",
    "anyOf",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
    "extends",
];
/// Keywords whose value is an object that holds schemas under names of its own.
const NAMED_SCHEMAS: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/// RE2 gives up on programs of about this many bytes.
const PATTERN_MEMORY: usize = 8 << 20;
/// How many patterns, of how many bytes, each thread remembers: those of a large catalog, in under a megabyte.
const REMEMBERED: usize = 2_000;
const REMEMBERED_LENGTH: usize = 256;

thread_local! {
    /// Compiling a pattern takes most of the time of a repair, and the catalog is built again whenever an entry changes.
    static JUDGED: RefCell<HashMap<String, bool>> = RefCell::default();
}

/// One walk through a schema. Only places where a schema stands are looked at: a property may well be called `$ref`.
pub(super) struct Repair {
    rules: Rules,
    /// Whether the unions at the root are gone, so that references into them lead nowhere.
    merged: bool,
    objects: usize,
    patterns: usize,
    references: usize,
}

impl Repair {
    pub(super) fn new(rules: Rules, merged: bool) -> Self {
        Self { rules, merged, objects: 0, patterns: 0, references: 0 }
    }

    /// Repairs `schema`, the input or output schema, and notes what had to be done.
    pub(super) fn run(mut self, schema: &mut Value, which: &str, notes: &mut Notes) {
        self.schema(schema);
        for (count, what) in [
            (self.objects, "objects without properties"),
            (self.patterns, "patterns that RE2 cannot run"),
            (self.references, "references that are not followed"),
        ] {
            if count > 0 {
                notes.add(&format!("{which} schema had {what} ({count})"));
            }
        }
    }

    fn schema(&mut self, schema: &mut Value) {
        let Value::Object(map) = schema else { return };
        self.references(map);
        if self.rules.patterns {
            self.patterns(map);
        }
        if self.rules.properties {
            self.properties(map);
        }
        for (keyword, value) in map.iter_mut() {
            if SCHEMAS.contains(&keyword.as_str()) {
                self.each(value);
            } else if NAMED_SCHEMAS.contains(&keyword.as_str()) {
                value.as_object_mut().into_iter().flatten().for_each(|(_, schema)| self.schema(schema));
            }
        }
    }

    fn each(&mut self, value: &mut Value) {
        match value {
            Value::Array(schemas) => schemas.iter_mut().for_each(|schema| self.schema(schema)),
            schema => self.schema(schema),
        }
    }

    fn references(&mut self, map: &mut Map<String, Value>) {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if map.get(keyword).is_some_and(|target| !self.leads_somewhere(target)) {
                map.shift_remove(keyword);
                self.references += 1;
            }
        }
    }

    fn leads_somewhere(&self, target: &Value) -> bool {
        let Some(target) = target.as_str().filter(|target| target.starts_with('#')) else { return false };
        !(self.merged && ["#/allOf/", "#/oneOf/", "#/anyOf/"].iter().any(|gone| target.starts_with(gone)))
    }

    fn patterns(&mut self, map: &mut Map<String, Value>) {
        if map.get("pattern").is_some_and(|pattern| !pattern.as_str().is_some_and(re2_runs)) {
            map.shift_remove("pattern");
            self.patterns += 1;
        }
        if let Some(Value::Object(named)) = map.get_mut("patternProperties") {
            let before = named.len();
            named.retain(|pattern, _| re2_runs(pattern));
            self.patterns += before - named.len();
        }
    }

    fn properties(&mut self, map: &mut Map<String, Value>) {
        if map.get("type").is_some_and(allows_objects) && !map.get("properties").is_some_and(Value::is_object) {
            map.insert("properties".to_owned(), json!({}));
            self.objects += 1;
        }
    }
}

/// Whether a pattern is one for RE2. The crate `regex` is its kin and knows neither look-around nor backreferences.
fn re2_runs(pattern: &str) -> bool {
    if let Some(known) = JUDGED.with_borrow(|judged| judged.get(pattern).copied()) {
        return known;
    }
    let runs = compiles(pattern);
    if pattern.len() <= REMEMBERED_LENGTH {
        JUDGED.with_borrow_mut(|judged| {
            if judged.len() >= REMEMBERED {
                judged.clear();
            }
            judged.insert(pattern.to_owned(), runs);
        });
    }
    runs
}

fn compiles(pattern: &str) -> bool {
    // Tables for the whole of Unicode make most patterns ten times slower to compile: only those that need them get them.
    [false, true]
        .into_iter()
        .any(|unicode| RegexBuilder::new(pattern).unicode(unicode).size_limit(PATTERN_MEMORY).build().is_ok())
}
