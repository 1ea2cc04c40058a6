//! From the references of a dialect to ours: a text of theirs becomes a text that means the same here.

use super::Setting;
use crate::config::template::is_variable;

/// How the texts of a dialect refer to variables. What is no reference there stays as it is, `$` and braces included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variables {
    /// Not at all.
    None,
    /// `${NAME}` and `${NAME:-default}`.
    Shell,
    /// `${env:NAME}`.
    Env,
    /// `${env:NAME}`, `${userHome}`, `${workspaceFolder}` and its kin.
    Editor {
        /// Whether there are `${input:id}` and others that its editor fills in.
        inputs: bool,
    },
    /// `$NAME` and `${NAME}`.
    Dollar,
    /// `{env:NAME}` and `{file:path}`.
    Braces,
}

/// What stands at the beginning of a text.
enum Found {
    /// A reference, in our words.
    Reference(String),
    /// Something that is known already.
    Plain(String),
}

impl Variables {
    /// A text of that dialect in our words.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub(super) fn convert(self, text: &str, setting: &Setting) -> Result<String, String> {
        let mut converted = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((found, length)) = self.reference(rest, setting) {
                match found {
                    // In ours it would be the sign for a text that is no reference.
                    Found::Reference(_) if converted.ends_with('$') => {
                        return Err("a `$` directly in front of a reference cannot be said here".to_owned());
                    }
                    Found::Reference(reference) => converted.push_str(&reference),
                    Found::Plain(plain) => converted.push_str(&plain),
                }
                rest = &rest[length..];
                continue;
            }
            if rest.starts_with("${") {
                converted.push('$');
            }
            converted.push(first);
            rest = &rest[first.len_utf8()..];
        }
        Ok(converted)
    }

    /// The reference at the beginning of a text, and how long it is there.
    fn reference(self, text: &str, setting: &Setting) -> Option<(Found, usize)> {
        match self {
            Self::None => None,
            Self::Shell => braced(text, "${", shell),
            Self::Env => braced(text, "${", env),
            Self::Editor { inputs } => braced(text, "${", |body| env(body).or_else(|| editor(body, inputs, setting))),
            Self::Dollar => braced(text, "${", shell).or_else(|| dollar(text)),
            Self::Braces => braced(text, "{", |body| env(body).or_else(|| file(body, setting))),
        }
    }
}

fn reference(body: &str) -> Found {
    Found::Reference(format!("${{{body}}}"))
}

/// What stands between `open` and the next `}`, if `read` knows it.
fn braced(text: &str, open: &str, read: impl Fn(&str) -> Option<Found>) -> Option<(Found, usize)> {
    let body = text.strip_prefix(open)?;
    let end = body.find('}')?;
    Some((read(&body[..end])?, open.len() + end + 1))
}

fn shell(body: &str) -> Option<Found> {
    match body.split_once(":-") {
        // A default with a brace in it would end elsewhere in ours.
        Some((name, default)) => (is_variable(name) && !default.contains('{')).then(|| reference(body)),
        None => is_variable(body).then(|| variable(body)),
    }
}

/// With its mark: two words without one mean something else in ours.
fn variable(name: &str) -> Found {
    if matches!(name, "userHome" | "workspaceFolder") { reference(&format!("env:{name}")) } else { reference(name) }
}

fn env(body: &str) -> Option<Found> {
    body.strip_prefix("env:").filter(|name| is_variable(name)).map(|_| reference(body))
}

fn dollar(text: &str) -> Option<(Found, usize)> {
    let name = text.strip_prefix('$')?;
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    is_variable(&name[..end]).then(|| (variable(&name[..end]), end + 1))
}

fn editor(body: &str, inputs: bool, setting: &Setting) -> Option<Found> {
    let folder = &setting.workspace;
    match body {
        "userHome" | "workspaceFolder" => Some(reference(body)),
        "workspaceFolderBasename" => {
            folder.file_name().map(|name| Found::Plain(name.to_string_lossy().replace("${", "$${")))
        }
        "pathSeparator" | "/" => Some(Found::Plain(std::path::MAIN_SEPARATOR.to_string())),
        // One workspace is all there is here, whatever it is called.
        _ if body.starts_with("workspaceFolder:") => Some(reference("workspaceFolder")),
        _ if !inputs => None,
        _ => {
            let (kind, id) = body.split_once(':').filter(|(_, id)| !id.trim().is_empty() && !id.contains('{'))?;
            match kind {
                "input" => Some(reference(body)),
                // The editor knows them and nobody else does: to us they are inputs as well.
                "config" | "command" => Some(reference(&format!("input:{kind}:{id}"))),
                _ => None,
            }
        }
    }
}

/// A relative path is relative to the file that it stands in.
fn file(body: &str, setting: &Setting) -> Option<Found> {
    let path = body.strip_prefix("file:").map(str::trim).filter(|path| !path.is_empty() && !path.contains('{'))?;
    if path.starts_with("~/") {
        return Some(reference(body));
    }
    Some(reference(&format!("file:{}", setting.directory.join(path).display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(variables: Variables, text: &str) -> String {
        let setting = Setting { directory: "/etc/files".into(), workspace: "/work/here".into() };
        variables.convert(text, &setting).expect("it can be said")
    }

    const EVERYTHING: &str = "$A ${A} ${A:-b} ${env:A} ${userHome} ${input:a} {env:A} $";

    /// What has no reference of braces alone.
    const DOLLARS: &str = "$A ${A} ${A:-b} ${userHome} ${input:a} {env:A} $";

    #[test]
    fn what_is_no_reference_in_a_dialect_stays_as_it_is() {
        for (variables, expected) in [
            (Variables::None, "$A $${A} $${A:-b} $${env:A} $${userHome} $${input:a} {env:A} $"),
            (Variables::Shell, "$A ${A} ${A:-b} $${env:A} ${env:userHome} $${input:a} {env:A} $"),
            (Variables::Env, "$A $${A} $${A:-b} ${env:A} $${userHome} $${input:a} {env:A} $"),
            (Variables::Editor { inputs: false }, "$A $${A} $${A:-b} ${env:A} ${userHome} $${input:a} {env:A} $"),
            (Variables::Editor { inputs: true }, "$A $${A} $${A:-b} ${env:A} ${userHome} ${input:a} {env:A} $"),
            (Variables::Dollar, "${A} ${A} ${A:-b} $${env:A} ${env:userHome} $${input:a} {env:A} $"),
        ] {
            assert_eq!(converted(variables, EVERYTHING), expected, "{variables:?}");
        }
        let expected = "$A $${A} $${A:-b} $${userHome} $${input:a} ${env:A} $";
        assert_eq!(converted(Variables::Braces, DOLLARS), expected);
    }

    #[test]
    fn editors_know_their_folder_and_what_they_alone_fill_in() {
        let editor = Variables::Editor { inputs: true };
        assert_eq!(converted(editor, "${workspaceFolderBasename}${/}x"), "here/x");
        assert_eq!(converted(editor, "${workspaceFolder:api}/x"), "${workspaceFolder}/x");
        assert_eq!(converted(editor, "${config:a.b} ${command:c}"), "${input:config:a.b} ${input:command:c}");
        assert_eq!(
            converted(editor, "${file} ${cmd:id} ${file:/etc/passwd}"),
            "$${file} $${cmd:id} $${file:/etc/passwd}"
        );
    }

    #[test]
    fn files_are_relative_to_the_file_that_names_them() {
        assert_eq!(converted(Variables::Braces, "{file:./key} {file:~/key}"), "${file:/etc/files/./key} ${file:~/key}");
        assert_eq!(converted(Variables::Braces, "{file:/k}{a}"), "${file:/k}{a}");
    }

    #[test]
    fn names_that_are_none_and_open_braces_stay() {
        assert_eq!(converted(Variables::Dollar, "$5 $$ ${1A} ${A"), "$5 $$ $${1A} $${A");
        assert_eq!(converted(Variables::Env, "${env:A-b} ${env:"), "$${env:A-b} $${env:");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let setting = Setting { directory: "/".into(), workspace: "/".into() };
        for (variables, text) in
            [(Variables::Env, "$${env:A}"), (Variables::Braces, "${env:A}"), (Variables::Dollar, "$$A")]
        {
            let reason = variables.convert(text, &setting).unwrap_err();
            assert_eq!(reason, "a `$` directly in front of a reference cannot be said here", "{text}");
        }
    }
}
