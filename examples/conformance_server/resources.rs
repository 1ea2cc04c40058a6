//! Resources, their templates, and the smallest image and sound there are.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceTemplate},
};
use serde_json::{Value, json};

use crate::{
    fixture::{complete, typed},
    skills,
};

/// One red pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
/// A millisecond of silence.
pub(crate) const WAV: &str = "UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAAAAAAAAAAAAAA==";

pub(crate) fn list() -> Vec<Resource> {
    let mut all: Vec<Resource> = typed(json!([
        {
            "uri": "test://static-text",
            "name": "Static text",
            "description": "a text that never changes",
            "mimeType": "text/plain",
        },
        {
            "uri": "test://static-binary",
            "name": "Static binary",
            "description": "an image that never changes",
            "mimeType": "image/png",
        },
        {
            "uri": "test://watched-resource",
            "name": "Watched resource",
            "description": "a text that can be watched",
            "mimeType": "text/plain",
        },
    ]));
    all.extend(skills::resources());
    all
}

pub(crate) fn templates() -> Vec<ResourceTemplate> {
    typed(json!([{
        "uriTemplate": "test://template/{id}/data",
        "name": "Data by id",
        "description": "says which id was asked for",
        "mimeType": "application/json",
    }]))
}

pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let content = match uri {
        "test://static-text" => text(uri, "This is the content of the static text resource."),
        "test://watched-resource" => text(uri, "This resource can be watched."),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        _ => templated(uri).or_else(|| skills::read(uri)).ok_or_else(|| not_found(uri))?,
    };
    Ok(complete(json!({ "contents": [content] })))
}

pub(crate) fn not_found(uri: &str) -> ErrorData {
    // The older generations have another code; rmcp sees to that.
    ErrorData::resource_not_found(format!("no such resource: {uri}"), Some(json!({ "uri": uri })))
}

fn templated(uri: &str) -> Option<Value> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
    Some(json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() }))
}

fn text(uri: &str, text: &str) -> Value {
    json!({ "uri": uri, "mimeType": "text/plain", "text": text })
}
