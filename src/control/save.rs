//! Writing an entry into the config file, or taking it out: the rest of the file, comments included, stays as it is.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::Value;

use super::protocol::{Code, Refusal};
use crate::config::{file, trust};

/// A change of the file.
pub(super) enum Change {
    /// An entry that is not there yet.
    Add(String, Value),
    /// An entry that goes.
    Remove(String),
}

const ENTRIES: &str = "mcpServers";

/// Changes the file: whole or not at all, and never into one that has mistakes.
pub(super) fn save(path: &Path, change: &Change) -> Result<(), Refusal> {
    let refused = |reason: String| Refusal::new(Code::Config, format!("cannot save to `{}`: {reason}", path.display()));
    // Where a link leads: it is to stay one.
    let path_ = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
    let text = fs::read_to_string(&path_).map_err(|error| refused(error.to_string()))?;
    let changed = changed(&text, change).map_err(|refusal| match refusal.code {
        Code::Config => refused(refusal.message),
        _ => refusal,
    })?;
    if let Err(problems) = file::parse(&changed, "") {
        let problems: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        return Err(refused(format!("it would have mistakes then: {}", problems.join("; "))));
    }
    let was_trusted = trust::is_trusted(&path_, text.as_bytes());
    write(&path_, &changed).map_err(|error| refused(error.to_string()))?;
    if was_trusted {
        // It was the user who changed it.
        trust::trust(&path_, changed.as_bytes()).map_err(|error| refused(format!("it is not trusted: {error}")))?;
    }
    Ok(())
}

fn changed(text: &str, change: &Change) -> Result<String, Refusal> {
    let bom = if text.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    let wrong = |reason: String| Refusal::new(Code::Config, reason);
    let root = CstRootNode::parse(text.trim_start_matches('\u{feff}'), &ParseOptions::default());
    let root = root.map_err(|error| wrong(error.to_string()))?;
    let object = root.object_value_or_create().ok_or_else(|| wrong("it holds no object".to_owned()))?;
    match change {
        Change::Add(namespace, entry) => {
            let entries = object.object_value_or_create(ENTRIES);
            let entries = entries.ok_or_else(|| wrong(format!("`{ENTRIES}` is no object")))?;
            if entries.get(namespace).is_some() {
                let words = format!(
                    "the config file holds an entry `{namespace}` already; remove it there, or take another name"
                );
                return Err(Refusal::new(Code::Conflict, words));
            }
            entries.append(namespace, input(entry));
        }
        Change::Remove(namespace) => {
            let entries: Option<CstObject> = object.object_value(ENTRIES);
            let Some(entry) = entries.and_then(|entries| entries.get(namespace)) else {
                let words = format!("the config file holds no entry `{namespace}`");
                return Err(Refusal::new(Code::UnknownNamespace, words));
            };
            entry.remove();
            remove_from_deferred(&object, namespace);
        }
    }
    Ok(format!("{bom}{root}"))
}

/// A list that names what is not there would be a mistake.
fn remove_from_deferred(object: &CstObject, namespace: &str) {
    let Some(deferred) = object.array_value("deferredEntries") else { return };
    for element in deferred.elements() {
        let names = element.as_string_lit().and_then(|text| text.decoded_value().ok());
        if names.as_deref() == Some(namespace) {
            element.remove();
        }
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(flag) => CstInputValue::Bool(*flag),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

/// Written under another name and then given its own: whoever reads meanwhile reads the old one or the new.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&draft)?;
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn add(text: &str, namespace: &str, entry: Value) -> Result<String, Refusal> {
        changed(text, &Change::Add(namespace.to_owned(), entry))
    }

    #[test]
    fn an_entry_is_added_and_everything_else_stays_as_it_is_written() {
        let text = "// mine\n{\n  // entries\n  \"mcpServers\": {\n    \"a\": { \"command\": \"x\" }, // the first\n  },\n  \"statusTools\": \"never\",\n}\n";
        let added = add(text, "b", json!({ "command": "y", "args": ["1", "ü"] })).unwrap();
        for kept in
            ["// mine", "// entries", "\"a\": { \"command\": \"x\" }, // the first", "\"statusTools\": \"never\","]
        {
            assert!(added.contains(kept), "{added}");
        }
        let (config, _) = file::parse(&added, "f").unwrap();
        assert_eq!(config.entries.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let removed = changed(&added, &Change::Remove("b".to_owned())).unwrap();
        let (config, _) = file::parse(&removed, "f").unwrap();
        assert_eq!(config.entries.len(), 1, "{removed}");
        assert!(removed.contains("// the first"), "{removed}");
    }

    #[test]
    fn an_empty_file_gets_what_it_lacks() {
        for text in ["{}", "{ \"mcpServers\": {} }", "\u{feff}{\n}\n"] {
            let added = add(text, "a", json!({ "command": "x" })).unwrap();
            assert_eq!(file::parse(&added, "f").unwrap().0.entries.len(), 1, "{added}");
        }
    }

    #[test]
    fn what_is_there_already_is_not_written_over() {
        let error = add(r#"{ "mcpServers": { "a": {} } }"#, "a", json!({})).unwrap_err();
        assert_eq!(error.code, Code::Conflict);
        let error = changed("{}", &Change::Remove("a".to_owned())).unwrap_err();
        assert_eq!(error.code, Code::UnknownNamespace);
    }

    #[test]
    fn who_goes_is_deferred_no_more() {
        let text =
            r#"{ "mcpServers": { "a": { "command": "x" }, "b": { "command": "y" } }, "deferredEntries": ["a", "b"] }"#;
        let removed = changed(text, &Change::Remove("a".to_owned())).unwrap();
        assert!(file::parse(&removed, "f").is_ok(), "{removed}");
    }

    #[test]
    fn a_file_is_changed_whole_with_its_rights_and_through_its_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("real.json"), home.path().join("link.json"));
        fs::write(&file, "{}").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        save(&link, &Change::Add("a".to_owned(), json!({ "command": "x" }))).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "no draft is left");
        assert!(fs::read_to_string(&file).unwrap().contains("\"a\""));
        let before = fs::read_to_string(&file).unwrap();
        let error = save(&link, &Change::Add("b".to_owned(), json!({ "comand": "x" }))).unwrap_err();
        assert!(error.message.contains("it would have mistakes then"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
}
