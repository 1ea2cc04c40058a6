//! Makes one object of a schema that is a union or a reference at its root.

use serde_json::{Map, Value, json};

use super::{Notes, allows_objects};

type Fields = Map<String, Value>;

/// What may not stand at the root of an input schema.
const JOINTS: [&str; 4] = ["$ref", "allOf", "oneOf", "anyOf"];
/// More than any real schema holds, and little enough that references to references cannot eat the machine.
const BUDGET: usize = 500_000;
/// Unions in references in unions: real ones are a few levels deep, hostile ones would take the whole stack.
const MAX_LEVELS: usize = 40;

/// Merges unions and local references at the root into the root itself. Says whether there were any.
pub(super) fn flatten(root: &mut Fields, notes: &mut Notes) -> Result<bool, String> {
    let joints: Vec<&str> = JOINTS.into_iter().filter(|joint| is_joint(root, joint)).collect();
    if joints.is_empty() {
        return Ok(false);
    }
    let whole = Value::Object(root.clone());
    let mut merger = Merger { whole: &whole, budget: BUDGET, level: 0, open: vec!["#"] };
    // A root that no object fits is left with what it says itself.
    let shape = merger.branch(&whole)?.unwrap_or_else(|| Shape::of(root));

    root.retain(|key, _| !joints.contains(&key.as_str()));
    for (key, value) in shape.rest {
        root.entry(key).or_insert(value);
    }
    root.insert("properties".to_owned(), shape.properties.into());
    let required: Vec<String> = shape.required.into_iter().map(|(name, _)| name).collect();
    if required.is_empty() {
        root.shift_remove("required");
    } else {
        root.insert("required".to_owned(), required.into());
    }
    notes.add(&format!("`{}` at the root of its input schema became one object", joints.join("`, `")));
    Ok(true)
}

/// References to the outside are not ours to follow: they are left out later, like those in deeper places.
fn is_joint(root: &Fields, joint: &str) -> bool {
    if joint == "$ref" { local(root).is_some() } else { root.contains_key(joint) }
}

fn local(map: &Fields) -> Option<&str> {
    map.get("$ref").and_then(Value::as_str).filter(|target| target.starts_with('#'))
}

/// What an object schema asks for, without unions and references.
#[derive(Default)]
struct Shape {
    properties: Fields,
    /// An ordered set: the values say nothing.
    required: Fields,
    /// The other keywords of what a reference refers to.
    rest: Fields,
}

impl Shape {
    fn of(map: &Fields) -> Self {
        let required = map.get("required").and_then(Value::as_array).into_iter().flatten();
        Self {
            properties: map.get("properties").and_then(Value::as_object).cloned().unwrap_or_default(),
            required: required.filter_map(|name| Some((name.as_str()?.to_owned(), Value::Null))).collect(),
            rest: Fields::new(),
        }
    }

    /// Both hold.
    fn and(&mut self, other: Self) {
        for (name, schema) in other.properties {
            match self.properties.get_mut(&name) {
                None => {
                    self.properties.insert(name, schema);
                }
                Some(known) if *known == schema => {}
                Some(known) => add(known, schema),
            }
        }
        self.required.extend(other.required);
    }

    /// One of them holds, at least.
    fn any_of(shapes: Vec<Self>) -> Self {
        // Alternatives by their text: an ordered set again, because many branches may say many things.
        let mut alternatives: Map<String, Value> = Map::new();
        let mut required: Option<Fields> = None;
        for shape in shapes {
            for (name, schema) in shape.properties {
                let known = alternatives.entry(name).or_insert_with(|| json!({}));
                let text = schema.to_string();
                known[text] = schema;
            }
            required = Some(match required {
                None => shape.required,
                Some(known) => known.into_iter().filter(|(name, _)| shape.required.contains_key(name)).collect(),
            });
        }
        let properties = alternatives.into_iter().map(|(name, schemas)| (name, one_of(schemas))).collect();
        Self { properties, required: required.unwrap_or_default(), rest: Fields::new() }
    }
}

/// Makes `known` ask for `schema` as well: in one list, because lists in lists could become deeper than the stack.
fn add(known: &mut Value, schema: Value) {
    match known.as_object_mut().filter(|map| map.len() == 1).and_then(|map| map.get_mut("allOf")) {
        Some(Value::Array(all)) => all.push(schema),
        _ => *known = json!({ "allOf": [known.take(), schema] }),
    }
}

/// The only alternative, or all of them under an `anyOf`, which is allowed below the root.
fn one_of(schemas: Value) -> Value {
    let Value::Object(schemas) = schemas else { return schemas };
    let mut schemas: Vec<Value> = schemas.into_iter().map(|(_, schema)| schema).collect();
    if schemas.len() > 1 {
        // `false` says that a branch has no such property, which adds nothing to an `anyOf`.
        schemas.retain(|schema| *schema != Value::Bool(false));
    }
    if schemas.len() == 1 { schemas.remove(0) } else { json!({ "anyOf": schemas }) }
}

struct Merger<'a> {
    whole: &'a Value,
    /// How much may still be looked at.
    budget: usize,
    level: usize,
    /// The references that are being followed: one inside itself adds nothing.
    open: Vec<&'a str>,
}

impl<'a> Merger<'a> {
    /// What a schema asks of an object; nothing when it takes no object at all.
    fn branch(&mut self, schema: &'a Value) -> Result<Option<Shape>, String> {
        match schema {
            Value::Object(map) => self.shape(map),
            Value::Bool(false) => Ok(None),
            _ => Ok(Some(Shape::default())),
        }
    }

    fn shape(&mut self, map: &'a Fields) -> Result<Option<Shape>, String> {
        if map.get("type").is_some_and(|kind| !allows_objects(kind)) {
            return Ok(None);
        }
        self.budget = self.budget.checked_sub(weight_of(map)).ok_or("its unions are too large to be merged")?;
        if self.level == MAX_LEVELS {
            return Err(format!("its unions are nested deeper than {MAX_LEVELS} levels"));
        }
        self.level += 1;
        let shape = self.merged(map);
        self.level -= 1;
        shape
    }

    fn merged(&mut self, map: &'a Fields) -> Result<Option<Shape>, String> {
        let mut shape = Shape::of(map);
        if let Some(target) = local(map) {
            let Some(mut base) = self.referred(target)? else { return Ok(None) };
            shape.rest = std::mem::take(&mut base.rest);
            shape.and(base);
        }
        for branch in branches(map, "allOf") {
            let Some(branch) = self.branch(branch)? else { return Ok(None) };
            shape.and(branch);
        }
        for union in ["oneOf", "anyOf"] {
            // A branch for something else than an object (often `null`) can never be meant: arguments are an object.
            let taken: Result<Vec<Option<Shape>>, String> =
                branches(map, union).map(|branch| self.branch(branch)).collect();
            shape.and(Shape::any_of(taken?.into_iter().flatten().collect()));
        }
        Ok(Some(shape))
    }

    /// What a local reference leads to. One that leads nowhere asks for nothing.
    fn referred(&mut self, target: &'a str) -> Result<Option<Shape>, String> {
        let found = target.strip_prefix('#').and_then(|pointer| self.whole.pointer(pointer));
        let Some(schema) = found.filter(|_| !self.open.contains(&target)) else {
            return Ok(Some(Shape::default()));
        };
        self.open.push(target);
        let shape = self.branch(schema);
        self.open.pop();
        Ok(shape?.map(|mut shape| {
            for (key, value) in schema.as_object().into_iter().flatten().filter(|(key, _)| is_plain_keyword(key)) {
                shape.rest.insert(key.clone(), value.clone());
            }
            shape
        }))
    }
}

fn branches<'a>(map: &'a Fields, joint: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    map.get(joint).and_then(Value::as_array).into_iter().flatten()
}

/// Whether a keyword of a reference's target can be taken over as it is.
fn is_plain_keyword(key: &str) -> bool {
    !JOINTS.contains(&key) && !["properties", "required", "$id", "$anchor"].contains(&key)
}

fn weight_of(map: &Fields) -> usize {
    map.iter().map(|(key, value)| 1 + key.len() / 16 + weight(value)).sum()
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Object(map) => weight_of(map),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 16,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}
