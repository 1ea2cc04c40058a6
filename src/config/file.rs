//! The config file: reading its text, and finding it.

use std::path::{Path, PathBuf};

pub use super::problem::Problem;
use super::{ComputerConfig, Dialect, document, search::Search, trust::Store};
use crate::environment;

/// What holds when there is no file.
pub const DEFAULT: &str = include_str!("../../config/default.json");

/// What `computer init` writes.
pub const INITIAL: &str = include_str!("init.jsonc");

/// The file that is looked for in the current directory, and in the user's directory of configurations.
pub const NAME: &str = "computer.json";

/// Names the file when nothing else does.
pub(super) const VARIABLE: &str = "COMPUTER_CONFIG";

/// A configuration and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: ComputerConfig,
    /// The file, as an absolute path; `None` for the built-in default.
    pub path: Option<PathBuf>,
    /// Whose file it is.
    pub dialect: Dialect,
    /// What is worth saying about it, and about files that were passed over.
    pub warnings: Vec<Problem>,
    /// What another program's file holds that goes unused here: keys, and whole entries that live inside that program.
    pub unused: Vec<Problem>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file has mistakes: all of them.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
    /// A file that was named is not there.
    #[error("there is no config file `{}`; `computer init` writes one", .path.display())]
    NotFound {
        /// As it was named.
        path: PathBuf,
    },
    /// A dialect was named, but no file.
    #[error(
        "`--dialect {dialect}` says whose a file is, and no file was named; name it by `--config` or $COMPUTER_CONFIG"
    )]
    NoFile {
        /// The dialect.
        dialect: Dialect,
    },
    /// A file cannot be read.
    #[error("cannot read the config file `{}`: {reason}", .path.display())]
    Unreadable {
        /// As it was named.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Somebody else could have written the file, and it decides what runs.
    #[error("will not use the config file `{}`: {reason}", .path.display())]
    Unsafe {
        /// As it was named.
        path: PathBuf,
        /// What makes it unsafe, and the cure.
        reason: String,
    },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads the text of a config file; `file` is what places in it are named after.
///
/// # Errors
/// Every mistake, in the order of the text.
pub fn parse(text: &str, file: &str) -> Result<(ComputerConfig, Vec<Problem>), Vec<Problem>> {
    let (config, found) = document::read(text, file);
    if found.mistakes.is_empty() { Ok((config, found.warnings)) } else { Err(found.mistakes) }
}

/// Finds and reads the configuration: the named file, `$COMPUTER_CONFIG`, a trusted `./computer.json`, the user's own,
/// the built-in default.
///
/// # Errors
/// The first file that is found decides: when it cannot be used, no other is tried.
pub fn load(explicit: Option<&Path>) -> Result<Loaded, LoadError> {
    load_as(explicit, None)
}

/// [`load`], with a named file read as one of that dialect. Without a dialect its path tells whose it is.
///
/// # Errors
/// As [`load`], and when no file is named that could be one of that dialect.
pub fn load_as(explicit: Option<&Path>, dialect: Option<Dialect>) -> Result<Loaded, LoadError> {
    let variable = environment::var(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    Search {
        named: explicit.map(Path::to_owned).or(variable),
        dialect,
        directory: environment::current_dir(),
        config_home: environment::config_home(),
        trusted: Store::of_user(),
    }
    .load()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{EntryConfig, EntryKind, ShellConfig, ShellMode};

    fn entry<'c>(config: &'c ComputerConfig, name: &str) -> &'c EntryConfig {
        config.entries.iter().find(|(namespace, _)| namespace.as_str() == name).map(|(_, entry)| entry).unwrap()
    }

    #[test]
    fn the_default_is_a_deferred_entry_for_the_files_of_the_workspace_and_a_shell_that_only_looks() {
        let (config, warnings) = parse(DEFAULT, "default").unwrap();
        assert_eq!(warnings, []);
        assert_eq!(config.entries.len(), 2);
        let shell = entry(&config, "shell");
        let EntryKind::Shell(ShellConfig { mode: ShellMode::Patterns(policy), cwd: None, .. }) = &shell.kind else {
            panic!("{shell:?}")
        };
        assert!(!shell.deferred && policy.allowed.is_some() && policy.allow_writes.is_empty());
        let entry = entry(&config, "filesystem");
        assert!(entry.deferred);
        let EntryKind::Stdio(stdio) = &entry.kind else { panic!("{entry:?}") };
        assert_eq!(stdio.command, "@modelcontextprotocol/server-filesystem");
        assert_eq!(stdio.args, ["."]);
        assert_eq!(stdio.cwd, None);
        assert!(entry.diagnostics.prerequisites[0].contains("Node.js"));
        assert!(entry.description.is_some());
    }

    #[test]
    fn the_initial_file_works_as_it_is_written() {
        let (config, warnings) = parse(INITIAL, "init").unwrap();
        assert_eq!(warnings, []);
        assert_eq!(config.entries.len(), 1);
        assert!(entry(&config, "filesystem").deferred);
    }

    #[test]
    fn every_example_in_the_initial_file_works_when_its_marks_are_taken_away() {
        let opened = INITIAL.replace("/*", "").replace("*/", "");
        let (config, warnings) = parse(&opened, "init").unwrap();
        assert_eq!(warnings, []);
        let names: Vec<_> = config.entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["filesystem", "git", "tracker", "github", "browser", "project", "shell"]);
        let EntryKind::Http(http) = &entry(&config, "tracker").kind else { panic!("no HTTP entry") };
        assert_eq!(http.url, "https://mcp.example.com/mcp");
        assert!(entry(&config, "browser").deferred);
        let EntryKind::Shell(shell) = &entry(&config, "shell").kind else { panic!("no shell") };
        assert_eq!(shell.timeout, Duration::from_secs(120));
        assert_eq!(config.name_limit, 64);
    }

    #[test]
    fn no_text_that_breaks_off_somewhere_is_read_or_causes_a_panic() {
        let end = INITIAL.trim_end().len();
        for (cut, _) in INITIAL[..end].char_indices() {
            assert!(!parse(&INITIAL[..cut], "init").unwrap_err().is_empty(), "cut at {cut}");
        }
    }

    #[test]
    fn an_error_prints_each_problem_on_its_line() {
        let error = LoadError::Problems(parse("{ \"a\": 1,\n  \"servers\": {} }", "x.json").unwrap_err());
        let text = error.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("x.json:1:3: unknown key `a`; known here are $schema, chrome, chromes, "),
            "{text}"
        );
        assert!(lines[1].starts_with("x.json:2:3: `servers` belongs to VS Code's files"), "{text}");
    }
}
