//! One skill with a directory of its own, as the skills extension serves them.

use rmcp::{
    ErrorData,
    model::{DIRECTORY_MIME_TYPE, Resource, Skill, SkillFrontmatter, SkillResource, SkillResources},
};
use serde_json::{Value, json};

use crate::fixture::typed;

const ROOT: &str = "skill://counting";
const NAME: &str = "counting";
const ABOUT: &str = "Counts what there is to count";

const SKILL: &str = "---\nname: counting\ndescription: Counts what there is to count\n---\n\nCount slowly.\n";
const NUMBERS: &str = "# Numbers\n\nOne, two, three.\n";

/// The files of the skill.
const FILES: [(&str, &str); 2] =
    [("skill://counting/SKILL.md", SKILL), ("skill://counting/references/NUMBERS.md", NUMBERS)];

pub(crate) fn skill() -> Skill {
    let files = FILES.iter().map(|(uri, text)| SkillResource::from_bytes(*uri, text.as_bytes())).collect();
    Skill::new(FILES[0].0, SkillFrontmatter::new(NAME, ABOUT), SkillResources::Files(files))
}

/// The skill's own entries among the resources.
pub(crate) fn resources() -> Vec<Resource> {
    typed(json!([skill_md(), numbers()]))
}

pub(crate) fn read(uri: &str) -> Option<Value> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == uri)?;
    Some(json!({ "uri": uri, "mimeType": "text/markdown", "text": text }))
}

/// What lies directly in a directory.
pub(crate) fn directory(uri: &str) -> Result<Vec<Resource>, ErrorData> {
    let folder = json!({ "uri": format!("{ROOT}/references"), "name": "references", "mimeType": DIRECTORY_MIME_TYPE });
    match uri.strip_prefix(ROOT) {
        Some("") => Ok(typed(json!([skill_md(), folder]))),
        Some("/references") => Ok(typed(json!([numbers()]))),
        _ => Err(ErrorData::invalid_params(format!("no such directory: {uri}"), Some(json!({ "uri": uri })))),
    }
}

fn skill_md() -> Value {
    json!({ "uri": FILES[0].0, "name": NAME, "description": ABOUT, "mimeType": "text/markdown" })
}

fn numbers() -> Value {
    json!({ "uri": FILES[1].0, "name": "numbers", "description": "the numbers", "mimeType": "text/markdown" })
}
