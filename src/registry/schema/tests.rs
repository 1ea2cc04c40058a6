use super::*;

fn tool(input: &Value) -> Box<RawValue> {
    to_raw(&json!({ "name": "x", "inputSchema": input }))
}

/// The schemas of a definition after its repair, and the notes.
fn repaired_input(input: &Value, profile: SchemaProfile) -> (Value, Vec<String>) {
    match repair(&tool(input), profile) {
        Repaired::Unchanged => (input.clone(), Vec::new()),
        Repaired::Changed { definition, notes } => {
            // What is repaired obeys: a second look finds nothing.
            assert!(matches!(repair(&definition, profile), Repaired::Unchanged), "{definition}");
            let mut definition: Value = serde_json::from_str(definition.get()).unwrap();
            (definition["inputSchema"].take(), notes)
        }
        Repaired::Quarantined(reason) => panic!("{reason}"),
    }
}

fn safe(input: &Value) -> Value {
    repaired_input(input, SchemaProfile::Safe).0
}

fn quarantined(definition: String) -> String {
    match repair(&RawValue::from_string(definition).unwrap(), SchemaProfile::Safe) {
        Repaired::Quarantined(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn object(json: &str) -> RawObject<'_> {
    serde_json::from_str(json).unwrap()
}

const REPAIRING: [SchemaProfile; 4] =
    [SchemaProfile::Safe, SchemaProfile::Anthropic, SchemaProfile::OpenAi, SchemaProfile::Gemini];

#[test]
fn a_good_definition_is_left_alone() {
    let schema = json!({ "type": "object", "properties": { "$ref": { "type": "string", "pattern": "^a+$" } }, "required": ["$ref"] });
    for profile in REPAIRING {
        assert!(matches!(repair(&tool(&schema), profile), Repaired::Unchanged), "{profile:?}");
    }
}

#[test]
fn the_profile_none_changes_nothing_at_all() {
    for definition in [
        r#"{"name":"x"}"#.to_owned(),
        format!(r#"{{"name":"x","inputSchema":{}}}"#, "[".repeat(300) + &"]".repeat(300)),
    ] {
        let definition = RawValue::from_string(definition).unwrap();
        assert!(matches!(repair(&definition, SchemaProfile::None), Repaired::Unchanged));
    }
}

#[test]
fn a_missing_or_non_object_root_becomes_an_object_without_properties() {
    let any = json!({ "type": "object", "properties": {} });
    for profile in REPAIRING {
        for root in [json!(null), json!(true), json!([]), json!("object"), json!({}), json!({ "type": "string" })] {
            assert_eq!(repaired_input(&root, profile).0, any, "{root}");
        }
        let missing = RawValue::from_string(r#"{"name":"x","z":1.0}"#.to_owned()).unwrap();
        let Repaired::Changed { definition, notes } = repair(&missing, profile) else { panic!("{profile:?}") };
        assert_eq!(definition.get(), r#"{"name":"x","z":1.0,"inputSchema":{"type":"object","properties":{}}}"#);
        assert_eq!(notes, ["tool `x`: input schema was missing"]);
    }
}

#[test]
fn a_root_gets_the_type_that_its_properties_imply() {
    let fields = json!({ "a": { "type": "string" } });
    for profile in REPAIRING {
        for root in [json!({ "properties": fields }), json!({ "type": ["object", "null"], "properties": fields })] {
            assert_eq!(repaired_input(&root, profile).0, json!({ "type": "object", "properties": fields }));
        }
    }
    let (_, notes) = repaired_input(&json!({ "properties": {} }), SchemaProfile::Safe);
    assert_eq!(notes, ["tool `x`: input schema had no type"]);
}

#[test]
fn all_branches_of_an_all_of_count() {
    let root = json!({
        "description": "kept",
        "allOf": [
            { "properties": { "a": { "type": "string" } }, "required": ["a"] },
            { "$ref": "#/$defs/B" },
            { "properties": { "a": { "type": "string" }, "b": { "minimum": 1 } } },
        ],
        "$defs": { "B": { "type": "object", "properties": { "b": { "type": "integer" } }, "required": ["b", "a"] } },
    });
    let expected = json!({
        "description": "kept",
        "$defs": root["$defs"],
        "properties": { "a": { "type": "string" }, "b": { "allOf": [{ "type": "integer" }, { "minimum": 1 }] } },
        "required": ["a", "b"],
        "type": "object",
    });
    for profile in REPAIRING {
        let (schema, notes) = repaired_input(&root, profile);
        assert_eq!(schema, expected, "{profile:?}");
        assert_eq!(notes[0], "tool `x`: `allOf` at the root of its input schema became one object");
    }
}

#[test]
fn a_union_requires_only_what_all_its_branches_require() {
    for union in ["oneOf", "anyOf"] {
        let mut root = json!({ "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] });
        root[union] = json!([
            { "properties": { "kind": { "const": "a" }, "x": { "type": "number" } }, "required": ["kind", "x"] },
            { "properties": { "kind": { "const": "b" } }, "required": ["kind"] },
            { "type": "null" },
        ]);
        assert_eq!(
            safe(&root),
            json!({
                "type": "object",
                "properties": {
                    "id": { "type": "string" },
                    "kind": { "anyOf": [{ "const": "a" }, { "const": "b" }] },
                    "x": { "type": "number" },
                },
                "required": ["id", "kind"],
            })
        );
    }
}

#[test]
fn a_union_of_requirements_alone_keeps_the_properties() {
    let root = json!({
        "type": "object", "properties": { "a": {}, "b": {} },
        "anyOf": [{ "required": ["a"] }, { "required": ["b"] }], "additionalProperties": false,
    });
    assert_eq!(
        safe(&root),
        json!({ "type": "object", "properties": { "a": {}, "b": {} }, "additionalProperties": false })
    );
}

#[test]
fn a_branch_that_forbids_a_property_does_not_take_it_from_the_others() {
    let root =
        json!({ "oneOf": [{ "properties": { "a": {}, "b": false } }, { "properties": { "a": false, "b": {} } }] });
    assert_eq!(safe(&root)["properties"], json!({ "a": {}, "b": {} }));
}

#[test]
fn a_reference_at_the_root_becomes_what_it_refers_to() {
    let defs = json!({ "T": {
        "type": "object", "properties": { "next": { "$ref": "#/$defs/T" } }, "required": ["next"], "additionalProperties": false,
    } });
    let (schema, _) = repaired_input(&json!({ "$ref": "#/$defs/T", "$defs": defs }), SchemaProfile::Anthropic);
    assert_eq!(
        schema,
        json!({
            "$defs": defs, "type": "object", "additionalProperties": false,
            "properties": { "next": { "$ref": "#/$defs/T" } }, "required": ["next"],
        })
    );
}

#[test]
fn a_union_nested_in_a_union_is_merged_too() {
    let root = json!({ "oneOf": [
        { "allOf": [{ "properties": { "a": {} }, "required": ["a", "z"] }], "properties": { "z": {} } },
        { "anyOf": [{ "properties": { "b": {} }, "required": ["z"] }, { "required": ["z", "b"] }] },
    ] });
    assert_eq!(
        safe(&root),
        json!({ "properties": { "z": {}, "a": {}, "b": {} }, "required": ["z"], "type": "object" })
    );
}

#[test]
fn references_in_a_circle_end() {
    let root = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "allOf": [{ "$ref": "#/$defs/B" }] }, "B": { "anyOf": [{ "$ref": "#/$defs/A" }, { "$ref": "#" }] } } });
    assert_eq!(safe(&root)["properties"], json!({}));
}

#[test]
fn references_into_a_merged_union_are_left_out() {
    let root = json!({ "oneOf": [
        { "properties": { "a": { "type": "string" } } },
        { "properties": { "b": { "$ref": "#/oneOf/0/properties/a" }, "c": { "$ref": "#/properties/a" } } },
    ] });
    assert_eq!(
        safe(&root)["properties"],
        json!({ "a": { "type": "string" }, "b": {}, "c": { "$ref": "#/properties/a" } })
    );
}

#[test]
fn properties_are_added_only_where_open_ai_needs_them() {
    let root = json!({ "type": "object", "properties": {
        "map": { "type": "object", "additionalProperties": { "type": ["object", "null"] } },
        "list": { "type": "array", "items": { "type": "object", "properties": [] } },
        "type": { "type": "string", "default": { "type": "object" } },
    } });
    let expected = json!({ "type": "object", "properties": {
        "map": { "type": "object", "additionalProperties": { "type": ["object", "null"], "properties": {} }, "properties": {} },
        "list": { "type": "array", "items": { "type": "object", "properties": {} } },
        "type": { "type": "string", "default": { "type": "object" } },
    } });
    for profile in [SchemaProfile::Safe, SchemaProfile::OpenAi] {
        let (schema, notes) = repaired_input(&root, profile);
        assert_eq!(schema, expected);
        assert_eq!(notes, ["tool `x`: input schema had objects without properties (3)"]);
        let (schema, notes) = repaired_input(&json!({ "type": "object" }), profile);
        assert_eq!(schema, json!({ "type": "object", "properties": {} }));
        assert_eq!(notes, ["tool `x`: input schema had no properties"]);
    }
    for profile in [SchemaProfile::Anthropic, SchemaProfile::Gemini] {
        assert_eq!(repaired_input(&root, profile).0, root);
        assert_eq!(repaired_input(&json!({ "type": "object" }), profile).0, json!({ "type": "object" }));
    }
}

#[test]
fn patterns_that_re2_cannot_run_are_removed() {
    let root = |a: Value, named: Value| json!({ "type": "object", "properties": { "a": a, "pattern": {} }, "patternProperties": named });
    let bad = root(
        json!({ "type": "string", "pattern": "^(?!x)" }),
        json!({ "(a)\\1": {}, "^b$": { "pattern": "(?<=c)d" } }),
    );
    let good = root(json!({ "type": "string" }), json!({ "^b$": {} }));
    for profile in [SchemaProfile::Safe, SchemaProfile::OpenAi, SchemaProfile::Gemini] {
        let (schema, notes) = repaired_input(&bad, profile);
        assert_eq!(schema, good);
        assert_eq!(notes, ["tool `x`: input schema had patterns that RE2 cannot run (3)"]);
    }
    assert_eq!(repaired_input(&bad, SchemaProfile::Anthropic).0, bad);
    for pattern in ["^\\d{3}-[^/]+$", "\\p{L}+", "ä|ö", "^https?:\\/\\/", "(?i)x", "^.{1,200}$", "[^ä]", "(?<name>x)"]
    {
        let root = root(json!({ "pattern": pattern }), json!({}));
        assert_eq!(safe(&root), root);
    }
}

#[test]
fn references_to_the_outside_are_left_out() {
    let root = json!({ "type": "object", "$ref": "https://example.com/s.json", "properties": {
        "a": { "$ref": "file:///etc/passwd", "description": "kept" }, "b": { "$ref": "#/$defs/B" }, "c": { "enum": [{ "$ref": "x" }] },
    }, "$defs": { "B": { "items": [{ "$ref": "other.json#/x" }] } } });
    let expected = json!({ "type": "object", "properties": {
        "a": { "description": "kept" }, "b": { "$ref": "#/$defs/B" }, "c": { "enum": [{ "$ref": "x" }] },
    }, "$defs": { "B": { "items": [{}] } } });
    for profile in REPAIRING {
        let (schema, notes) = repaired_input(&root, profile);
        assert_eq!(schema, expected);
        assert_eq!(notes, ["tool `x`: input schema had references that are not followed (3)"]);
    }
}

#[test]
fn a_bad_output_schema_is_dropped_and_the_rest_stays_as_it_was_written() {
    let good = r#"{"type":"object","properties":{}}"#;
    for bad in ["null", "true", "[]", r#"{"type":"array"}"#, r#"{"type":["object"]}"#, "{}", "1e400"] {
        let definition =
            format!(r#"{{"inputSchema":{good},"outputSchema":{bad},"name":"x","_meta":{{"n": 1.0, "big":1e400}}}}"#);
        let Repaired::Changed { definition, notes } =
            repair(&RawValue::from_string(definition).unwrap(), SchemaProfile::Anthropic)
        else {
            panic!("{bad}")
        };
        assert_eq!(
            definition.get(),
            format!(r#"{{"inputSchema":{good},"name":"x","_meta":{{"n": 1.0, "big":1e400}}}}"#)
        );
        assert_eq!(notes, ["tool `x`: output schema was not that of an object, left out"]);
    }
}

#[test]
fn an_output_schema_loses_references_to_the_outside_and_nothing_else() {
    let output =
        json!({ "type": "object", "oneOf": [{ "pattern": "(?!a)" }, { "$ref": "#/oneOf/0" }, { "$ref": "http://x" }] });
    let definition = json!({ "name": "x", "inputSchema": any_object(), "outputSchema": output });
    let Repaired::Changed { definition, .. } = repair(&to_raw(&definition), SchemaProfile::Safe) else { panic!() };
    let definition: Value = serde_json::from_str(definition.get()).unwrap();
    assert_eq!(
        definition["outputSchema"],
        json!({ "type": "object", "oneOf": [{ "pattern": "(?!a)" }, { "$ref": "#/oneOf/0" }, {}] })
    );
}

#[test]
fn open_ai_takes_no_enum_and_no_not_at_the_root() {
    let root = json!({ "type": "object", "properties": { "a": { "not": {}, "enum": [] } }, "not": { "required": ["a"] }, "enum": [] });
    assert_eq!(safe(&root), json!({ "type": "object", "properties": { "a": { "not": {}, "enum": [] } } }));
    assert_eq!(repaired_input(&root, SchemaProfile::Anthropic).0, root);
}

#[test]
fn properties_and_required_of_the_wrong_kind_are_mended() {
    let root = json!({ "type": "object", "properties": [], "required": true });
    assert_eq!(repaired_input(&root, SchemaProfile::Anthropic).0, json!({ "type": "object", "properties": {} }));
}

#[test]
fn hostile_schemas_are_quarantined_with_the_reason() {
    let deep = format!(
        r#"{{"name":"x","inputSchema":{}{}}}"#,
        r#"{"items":"#.repeat(5_000),
        "{}".to_owned() + &"}".repeat(5_000)
    );
    assert_eq!(quarantined(deep), "its definition is nested deeper than 100 levels");

    let mut doubling = json!({ "$ref": "#/$defs/0" });
    for level in 0..39 {
        let next = format!("#/$defs/{}", level + 1);
        doubling["$defs"][level.to_string()] =
            json!({ "oneOf": [{ "$ref": next, "title": "a" }, { "$ref": next, "title": "b" }] });
    }
    assert!(quarantined(tool(&doubling).get().to_owned()).starts_with("its unions are "));

    let mut chain = json!({ "$ref": "#/$defs/0" });
    for level in 0..5_000 {
        chain["$defs"][level.to_string()] = json!({ "$ref": format!("#/$defs/{}", level + 1) });
    }
    assert_eq!(quarantined(tool(&chain).get().to_owned()), "its unions are nested deeper than 40 levels");

    let wide: Vec<Value> = (0..20_000).map(|n| json!({ "properties": { "a": { "minimum": n } } })).collect();
    let merged = safe(&json!({ "allOf": wide }));
    assert_eq!(merged["properties"]["a"]["allOf"].as_array().map(Vec::len), Some(20_000));

    let number = r#"{"name":"x","inputSchema":{"type":"object","maximum":1e400}}"#.to_owned();
    assert!(quarantined(number).starts_with("its input schema cannot be read: number out of range"));
}

#[test]
fn a_description_falls_back_to_the_title_and_then_to_the_name() {
    for (definition, expected) in [
        (r#"{"name":"n","title":"t","description":"d"}"#, "d"),
        (r#"{"name":"n","title":"t","description":" "}"#, "t"),
        (r#"{"name":"n","annotations":{"title":"at"},"description":null}"#, "at"),
        (r#"{"name":"n","title":"","annotations":[]}"#, "n"),
    ] {
        assert_eq!(description(&object(definition)), expected);
    }
}
