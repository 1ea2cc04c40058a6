//! The walls of the house (DESIGN.md, "Who may import whom"), kept by reading the source.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What stands only in some rooms: the text, the rooms, and what keeps the text from meaning something else.
const WALLS: [(&str, &[&str]); 8] = [
    ("clap::", &["cli"]),
    ("tokio::process", &["process", "shutdown"]),
    ("tokio::signal", &["process", "shutdown"]),
    ("rmcp::", &["connection", "front"]),
    ("tokio_tungstenite::", &["bridge"]),
    ("std::env", &["environment"]),
    (r#""__""#, &["name"]),
    ("process::exit", &["main"]),
];

#[test]
fn every_wall_of_the_house_stands() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    assert!(files.iter().any(|file| file.ends_with("lib.rs")), "the source was read");
    let breaches: Vec<String> = files.iter().flat_map(|file| breaches(&src, file)).collect();
    assert!(breaches.is_empty(), "a wall stands in the wrong place:\n{}", breaches.join("\n"));
}

/// The rooms that the SDK must not know: it is given a Computer as a provider, as any other program's.
const BEHIND_THE_PROVIDER: [&str; 7] = ["computer", "connection", "entry", "front", "process", "registry", "source"];

#[test]
fn the_sdk_knows_no_computer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Vec<PathBuf> = rust_files(&src).into_iter().filter(|file| file.starts_with(src.join("sdk"))).collect();
    assert!(files.len() > 20, "the source was read");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let uses = BEHIND_THE_PROVIDER.iter().find(|room| {
                let listed = [format!("{room}::"), format!("{room},")];
                line.contains(&format!("crate::{room}"))
                    || listed.iter().any(|item| line.trim_start().starts_with(item))
            });
            assert!(uses.is_none(), "{}:{}: {uses:?}", file.display(), number + 1);
        }
    }
}

#[test]
fn a_breach_is_seen_in_every_spelling() {
    for line in ["use clap::Parser;", "use ::clap::Parser;", "    clap::Command::new()", "use tokio::{fs, process};"] {
        assert!(WALLS.iter().any(|(text, _)| stands_in(line, text)), "{line}");
    }
    for line in ["// clap would do", "/// see `std::env`", "let clap = 1;", "env!(\"HOME\")", "use tokio::fs;"] {
        assert!(!WALLS.iter().any(|(text, _)| stands_in(line, text)), "{line}");
    }
}

fn breaches(src: &Path, file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(src).unwrap();
    let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
    let text = fs::read_to_string(file).unwrap();
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (wall, rooms) in WALLS {
            if stands_in(line, wall) && !rooms.contains(&room) {
                breaches.push(format!("src/{}:{}: `{wall}` belongs to {rooms:?}", inside.display(), number + 1));
            }
        }
    }
    breaches
}

/// Whether a line of code, not of comment, names this.
fn stands_in(line: &str, what: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with("//") {
        return false;
    }
    if let Some((krate, module)) = what.split_once("::").filter(|(_, module)| !module.is_empty()) {
        // `use std::{env, fs}` names it as well.
        if let Some(list) = code.split_once(&format!("{krate}::{{")).map(|(_, list)| list) {
            let top = list.split([',', '{', '}', ';']).map(str::trim);
            if top.into_iter().any(|item| item == module || item.starts_with(&format!("{module}::"))) {
                return true;
            }
        }
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(what).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + what.len()..].chars().next();
        !before.is_some_and(word) && (what.ends_with("::") || !after.is_some_and(word))
    })
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}
