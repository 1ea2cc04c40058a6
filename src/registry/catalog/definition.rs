//! The definitions that the catalog shows: a source's with another name, and the one of the status tool.

use std::sync::Arc;

use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

use crate::{
    name::{self, Namespace},
    raw::RawObject,
    registry::schema,
};

/// The definition with `name` in it, and with `describe` or, if it has no description, with a fallback. All else stays
/// as it was written. Nothing when it is no JSON object.
pub(super) fn shown(definition: &RawValue, name: &str, describe: Option<&str>) -> Option<Arc<RawValue>> {
    let mut fields = RawObject::parse(definition)?;
    let wanted = describe.map_or_else(|| schema::description(&fields), str::to_owned);
    let description = (fields.text("description").as_ref() != Some(&wanted)).then(|| raw(&wanted));
    let name = raw(name);
    fields.set("name", &name);
    if let Some(description) = &description {
        fields.set("description", description);
    }
    Some(fields.to_raw().into())
}

/// The definition with `name` in it and all else as it was written. Nothing when it is no JSON object.
pub(super) fn renamed(definition: &RawValue, name: &str) -> Option<Arc<RawValue>> {
    let mut fields = RawObject::parse(definition)?;
    let name = raw(name);
    fields.set("name", &name);
    Some(fields.to_raw().into())
}

/// The definition of an entry's status tool.
pub(super) fn status(namespace: &Namespace, agent_control: bool) -> Arc<RawValue> {
    let tells = format!(
        "Tells the state of `{namespace}`, whose tools are not all available: its last error, \
         what it needs, and what to try."
    );
    let (description, properties) = if agent_control {
        let connect = "Bring it up, or restart it, and list its tools.";
        (
            format!("{tells} With {{\"connect\": true}} it brings `{namespace}` up and answers with its tools."),
            json!({ "connect": { "type": "boolean", "description": connect } }),
        )
    } else {
        (tells, json!({}))
    };
    let definition = json!({
        "name": name::status_tool(namespace),
        "description": description,
        "inputSchema": { "type": "object", "properties": properties },
        "annotations": { "readOnlyHint": false },
    });
    to_raw_value(&definition).expect("a JSON value makes JSON text").into()
}

fn raw(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a text makes JSON text")
}
