//! References in the texts of a config file: `${VAR}`, `${file:…}`, `${cmd:…}` and their kin.
//!
//! This room knows how they are written. What they stand for is looked up elsewhere, at each start of an entry.

use std::fmt;

use crate::error::Error;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Stands for itself.
    Text(String),
    /// Is replaced by what it refers to.
    Reference(Reference),
}

/// What a `${…}` refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `${NAME}` or `${NAME:-default}`.
    Variable {
        /// The variable.
        name: String,
        /// Stands in when the variable is missing or empty.
        default: Option<String>,
    },
    /// `${env:NAME}`.
    Env(String),
    /// `${file:path}`: the content of a file.
    File(String),
    /// `${cmd:program args}`: what a program prints.
    Command(String),
    /// `${input:id}`: what VS Code asks its user for; here a variable stands in for it.
    Input(String),
    /// `${workspaceFolder}`.
    WorkspaceFolder,
    /// `${userHome}`.
    UserHome,
    /// `${chrome.port}` or `${chromes.NAME.port}`: where a Chrome of the configuration is reached.
    Browser {
        /// The name of the program: `chrome`, or `chromes.NAME`.
        program: String,
        /// What of it.
        address: Address,
    },
}

/// How a browser is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// The port on the loopback address: `9222`.
    Port,
    /// `http://127.0.0.1:9222`.
    Url,
    /// `ws://127.0.0.1:9222/devtools/browser/…`, which is another one after each start.
    WsUrl,
}

const ADDRESSES: [(&str, Address); 3] = [("port", Address::Port), ("url", Address::Url), ("wsUrl", Address::WsUrl)];

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, default: None } => write!(f, "${{{name}}}"),
            Self::Variable { name, default: Some(default) } => write!(f, "${{{name}:-{default}}}"),
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{path}}}"),
            Self::Command(line) => write!(f, "${{cmd:{line}}}"),
            Self::Input(id) => write!(f, "${{input:{id}}}"),
            Self::WorkspaceFolder => f.write_str("${workspaceFolder}"),
            Self::UserHome => f.write_str("${userHome}"),
            Self::Browser { program, address } => {
                let word = ADDRESSES.iter().find(|(_, known)| known == address).map_or("", |(word, _)| word);
                write!(f, "${{{program}.{word}}}")
            }
        }
    }
}

/// Takes a text apart. `$${` is a literal `${`; a `$` that opens nothing stays.
///
/// # Errors
/// A sentence that says what is wrong with which reference.
pub fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        literal.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(after) = rest.strip_prefix("$${") {
            literal.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let end = closing_brace(after)
                .ok_or("a `${` is not closed; close it with `}`, or write `$${` for a literal `${`")?;
            push_text(&mut parts, &mut literal);
            parts.push(Part::Reference(reference(&after[..end])?));
            rest = &after[end + 1..];
        } else {
            literal.push('$');
            rest = &rest[1..];
        }
    }
    literal.push_str(rest);
    push_text(&mut parts, &mut literal);
    Ok(parts)
}

/// A text with every reference replaced by what `lookup` finds for it.
///
/// # Errors
/// [`Error::Template`] for a text that cannot be taken apart, and whatever `lookup` fails with.
pub fn fill(text: &str, lookup: &mut dyn FnMut(&Reference) -> crate::Result<String>) -> crate::Result<String> {
    let parts = parse(text).map_err(|reason| Error::Template { reference: text.to_owned(), reason })?;
    parts
        .into_iter()
        .map(|part| match part {
            Part::Text(text) => Ok(text),
            Part::Reference(reference) => lookup(&reference),
        })
        .collect()
}

/// The references in a text, in their order; none when it cannot be taken apart.
pub fn references(text: &str) -> Vec<Reference> {
    let parts = parse(text).unwrap_or_default();
    parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Reference(reference) => Some(reference),
        })
        .collect()
}

fn push_text(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Text(std::mem::take(literal)));
    }
}

/// Where the brace closes that was opened just before the text. Braces inside are balanced: a command may hold JSON.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn reference(body: &str) -> Result<Reference, String> {
    if body.contains("${") {
        return Err(format!("`${{{body}}}`: a reference cannot hold another one"));
    }
    match body {
        "workspaceFolder" => return Ok(Reference::WorkspaceFolder),
        "userHome" => return Ok(Reference::UserHome),
        _ => {}
    }
    if let Some(reference) = browser(body) {
        return Ok(reference);
    }
    if let Some((name, default)) = body.split_once(":-")
        && is_variable(name)
    {
        return Ok(Reference::Variable { name: name.to_owned(), default: Some(default.to_owned()) });
    }
    match body.split_once(':') {
        Some(("env", name)) if is_variable(name) => Ok(Reference::Env(name.to_owned())),
        Some(("file", path)) if !path.trim().is_empty() => Ok(Reference::File(path.trim().to_owned())),
        Some(("cmd", line)) if !line.trim().is_empty() => Ok(Reference::Command(line.trim().to_owned())),
        Some(("input", id)) if !id.trim().is_empty() => Ok(Reference::Input(id.trim().to_owned())),
        None if is_variable(body) => Ok(Reference::Variable { name: body.to_owned(), default: None }),
        _ => Err(refusal(body)),
    }
}

/// `chrome.port`, `chromes.work.wsUrl`.
fn browser(body: &str) -> Option<Reference> {
    let (program, word) = body.rsplit_once('.')?;
    let is_one = program == "chrome" || program.strip_prefix("chromes.").is_some_and(|name| !name.is_empty());
    let (_, address) = ADDRESSES.iter().find(|(known, _)| *known == word).filter(|_| is_one)?;
    Some(Reference::Browser { program: program.to_owned(), address: *address })
}

/// Why a reference is none of ours.
fn refusal(body: &str) -> String {
    let head = body.split([':', '.']).next().unwrap_or(body);
    let reason = match head {
        "chrome" | "chromes" => {
            "a Chrome is referred to as `${chrome.port}`, `${chrome.url}` or `${chrome.wsUrl}`, one of several as \
             `${chromes.NAME.port}`"
        }
        "input" => "`input:` needs the id of an input",
        "env" => "`env:` takes the name of a variable; a default is written `${NAME:-default}`",
        "file" => "`file:` needs a path",
        "cmd" => "`cmd:` needs a program",
        _ => {
            "expected `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${file:path}`, `${cmd:program args}`, \
             `${workspaceFolder}` or `${userHome}`; write `$${` for a literal `${`"
        }
    };
    format!("`${{{body}}}`: {reason}")
}

pub(super) fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn variable(name: &str, default: Option<&str>) -> Reference {
        Reference::Variable { name: name.to_owned(), default: default.map(str::to_owned) }
    }

    #[test]
    fn every_kind_of_reference_is_read_and_prints_as_it_was_written() {
        let written = "${A_1} ${B:-} ${C:-x:-y} ${env:D} ${file:~/e f} ${cmd:pass show g} ${workspaceFolder} \
                       ${userHome} ${chrome.port} ${chrome.url} ${chromes.at-work.wsUrl}";
        let browser = |program: &str, address| Reference::Browser { program: program.to_owned(), address };
        let expected = [
            variable("A_1", None),
            variable("B", Some("")),
            variable("C", Some("x:-y")),
            Reference::Env("D".into()),
            Reference::File("~/e f".into()),
            Reference::Command("pass show g".into()),
            Reference::WorkspaceFolder,
            Reference::UserHome,
            browser("chrome", Address::Port),
            browser("chrome", Address::Url),
            browser("chromes.at-work", Address::WsUrl),
        ];
        assert_eq!(references(written), expected);
        let printed: Vec<_> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(printed.join(" "), written);
    }

    #[test]
    fn a_text_is_taken_apart_in_order() {
        let parts = parse("--key=${KEY}/x").unwrap();
        assert_eq!(parts, [text("--key="), Part::Reference(variable("KEY", None)), text("/x")]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn a_lone_dollar_stays_and_a_doubled_one_escapes() {
        assert_eq!(parse("5$ $HOME $$ $").unwrap(), [text("5$ $HOME $$ $")]);
        assert_eq!(parse("a $${X} b").unwrap(), [text("a ${X} b")]);
        assert_eq!(parse("$$${X}").unwrap(), [text("$${X}")]);
    }

    #[test]
    fn braces_inside_a_reference_are_balanced() {
        let parts = parse(r#"${cmd:jq {"a":{}}}}"#).unwrap();
        assert_eq!(parts, [Part::Reference(Reference::Command(r#"jq {"a":{}}"#.into())), text("}")]);
    }

    #[test]
    fn what_is_no_reference_of_ours_is_refused_by_name() {
        let reason = |text: &str| parse(text).unwrap_err();
        assert_eq!(reason("${input: }"), "`${input: }`: `input:` needs the id of an input");
        for odd in ["${chrome.pid}", "${chrome.}", "${chromes.port}", "${chromes.a}"] {
            assert!(reason(odd).contains("referred to as `${chrome.port}`"), "{odd}: {}", reason(odd));
        }
        assert_eq!(reason("a ${X"), "a `${` is not closed; close it with `}`, or write `$${` for a literal `${`");
        assert_eq!(reason("${A:-${B}}"), "`${A:-${B}}`: a reference cannot hold another one");
        assert_eq!(
            reason("${env:A:-b}"),
            "`${env:A:-b}`: `env:` takes the name of a variable; a default is written `${NAME:-default}`"
        );
        assert_eq!(reason("${file: }"), "`${file: }`: `file:` needs a path");
        assert_eq!(reason("${cmd:}"), "`${cmd:}`: `cmd:` needs a program");
        for odd in ["${}", "${1A}", "${A-b}", "${A:=b}", "${a b}", "${ A }", "${secret:x}"] {
            assert!(reason(odd).contains("expected `${NAME}`"), "{odd}: {}", reason(odd));
        }
    }

    #[test]
    fn filling_asks_for_each_reference_and_keeps_the_rest() {
        let mut asked = Vec::new();
        let filled = fill("$${a} ${X}-${userHome}", &mut |reference| {
            asked.push(reference.to_string());
            Ok(asked.len().to_string())
        });
        assert_eq!(filled, Ok("${a} 1-2".to_owned()));
        assert_eq!(asked, ["${X}", "${userHome}"]);
    }

    #[test]
    fn filling_fails_with_the_lookup_or_with_the_text() {
        let missing = Error::Template { reference: "${X}".into(), reason: "it is not set".into() };
        assert_eq!(fill("${X}", &mut |_| Err(missing.clone())), Err(missing.clone()));
        let broken = fill("${", &mut |_| Ok(String::new())).unwrap_err();
        assert!(matches!(broken, Error::Template { reference, .. } if reference == "${"));
        assert_eq!(references("${"), []);
    }
}
