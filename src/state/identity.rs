//! What tells one daemon from another: the config that it runs, and where, if that matters to it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    config::{ComputerConfig, EntryKind, ProgramConfig, template, template::Reference},
    environment,
};

/// What stands for the built-in config, which lies in no file.
const BUILT_IN: &str = "built-in";

/// How many characters of the hash tell one daemon from another.
pub(super) const IDENTITY: usize = 12;

/// The first characters of a hash of what the daemon runs, and of where if that matters to it.
pub(super) fn identity(config: &ComputerConfig, path: Option<&Path>) -> String {
    let canonical = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| environment::current_dir().join(path));
    let place = path.map_or_else(|| PathBuf::from(BUILT_IN), canonical);
    let entries = config.entries.iter().any(|(_, entry)| depends_on_directory(&entry.kind));
    let programs = config.programs.iter().any(|(_, program)| program_depends_on_directory(program));
    let directory = if entries || programs {
        canonical(&config.workspace.clone().unwrap_or_else(environment::current_dir))
    } else {
        PathBuf::new()
    };
    hashed(&place, &directory)
}

fn hashed(place: &Path, directory: &Path) -> String {
    let mut hash = Sha256::new();
    hash.update(place.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(directory.as_os_str().as_encoded_bytes());
    HEXLOWER.encode(&hash.finalize())[..IDENTITY].to_owned()
}

/// The two identities that a config of that place can have here, whatever it says: where the directory matters to it, and
/// where not.
pub(super) fn identities(path: Option<&Path>) -> [String; 2] {
    let canonical = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| environment::current_dir().join(path));
    let place = path.map_or_else(|| PathBuf::from(BUILT_IN), canonical);
    [canonical(&environment::current_dir()), PathBuf::new()].map(|directory| hashed(&place, &directory))
}

/// Whether an entry is another one in another directory.
fn depends_on_directory(kind: &EntryKind) -> bool {
    let is_relative = |path: &str| !path.starts_with(['/', '~', '$']);
    let runs_there = match kind {
        // A package has a slash too, behind its scope.
        EntryKind::Stdio(config) => {
            let is_path = config.command.contains('/') && !config.command.contains(['@', ':']);
            (is_path && is_relative(&config.command))
                || [&config.cwd, &config.env_file].into_iter().flatten().any(|path| is_relative(path))
        }
        EntryKind::Http(_) => false,
        // Without a directory of its own its commands run in ours.
        EntryKind::Shell(config) => config.cwd.as_deref().is_none_or(is_relative),
    };
    runs_there || kind.texts().into_iter().any(means_directory)
}

/// Whether a managed program is another one in another directory.
fn program_depends_on_directory(program: &ProgramConfig) -> bool {
    let is_relative = |path: &Path| path.to_str().is_some_and(|path| !path.starts_with(['/', '~', '$']));
    let runs_there = match program {
        ProgramConfig::Chrome(chrome) => {
            // A name alone is looked for on PATH.
            let is_path = |path: &&PathBuf| path.components().count() > 1;
            let paths = chrome.profile_dir.iter().chain(chrome.chrome_path.iter().filter(is_path));
            paths.into_iter().any(|path| is_relative(path))
        }
        ProgramConfig::Command(command) => {
            let is_path = command.command.contains('/') && !command.command.contains(['@', ':']);
            // Without a directory of its own it runs in ours.
            command.cwd.as_deref().is_none_or(|cwd| is_relative(Path::new(cwd)))
                || (is_path && is_relative(Path::new(&command.command)))
        }
    };
    runs_there || program.texts().into_iter().any(means_directory)
}

/// Whether a text means something below the directory: `.`, `../x`, `--root=./x`, `${workspaceFolder}`.
fn means_directory(text: &str) -> bool {
    let is_relative = |word: &str| matches!(word, "." | "..") || word.starts_with("./") || word.starts_with("../");
    let refers = template::references(text).into_iter().any(|reference| match reference {
        Reference::WorkspaceFolder => true,
        Reference::File(path) => !path.starts_with(['/', '~']),
        _ => false,
    });
    refers || is_relative(text) || text.split_once('=').is_some_and(|(_, value)| is_relative(value))
}
