//! The files that shells read when they start, and whether they have changed.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::Variables;

const OF_THE_SYSTEM: [&str; 11] = [
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zsh",
    "/etc/zshenv",
    "/etc/zprofile",
    "/etc/zshrc",
    "/etc/fish",
    "/etc/paths",
    "/etc/paths.d",
];

const OF_BASH: [&str; 4] = [".profile", ".bash_profile", ".bash_login", ".bashrc"];

const OF_ZSH: [&str; 4] = [".zshenv", ".zprofile", ".zshrc", ".zlogin"];

/// What the start-up files looked like: those that exist, with what changes when they do.
pub(super) type Fingerprint = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// The files and directories that the shells of a user with this environment may read.
pub(super) fn files(variables: &Variables) -> Vec<PathBuf> {
    let directory = |name: &str| variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = directory("HOME");
    let configuration = directory("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let mut files: Vec<PathBuf> = OF_THE_SYSTEM.iter().map(PathBuf::from).collect();
    if let Some(home) = &home {
        files.extend(OF_BASH.iter().chain(&OF_ZSH).map(|name| home.join(name)));
    }
    if let Some(zsh) = directory("ZDOTDIR") {
        files.extend(OF_ZSH.iter().map(|name| zsh.join(name)));
    }
    if let Some(configuration) = configuration {
        files.extend(["fish/config.fish", "fish/conf.d"].map(|name| configuration.join(name)));
    }
    files
}

/// What these files, and the files directly in those of them that are directories, look like now.
pub(super) fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    let mut seen = Fingerprint::new();
    for file in files {
        let Ok(metadata) = std::fs::metadata(file) else { continue };
        seen.push(stamp(file.clone(), &metadata));
        if metadata.is_dir() {
            seen.extend(inside(file));
        }
    }
    seen
}

fn inside(directory: &Path) -> Fingerprint {
    let Ok(entries) = std::fs::read_dir(directory) else { return Fingerprint::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| std::fs::metadata(&path).ok().map(|metadata| stamp(path, &metadata))).collect()
}

fn stamp(path: PathBuf, metadata: &Metadata) -> (PathBuf, Option<SystemTime>, u64) {
    (path, metadata.modified().ok(), metadata.len())
}

/// Whether bash, started as a login shell, leaves the user's `.bashrc` unread although it is there.
///
/// A login bash reads it only when a profile says so. The bash in a terminal window is mostly no login shell and reads
/// nothing else, so that a user without a profile has everything there.
pub(super) fn login_skips_bashrc(home: &Path) -> bool {
    let mentions =
        |name: &&str| std::fs::read(home.join(name)).is_ok_and(|text| memchr::memmem::find(&text, b"bashrc").is_some());
    home.join(".bashrc").is_file() && ![".profile", ".bash_profile", ".bash_login"].iter().any(mentions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_of(home: &Path) -> Variables {
        Variables::from([("HOME".to_owned(), home.to_str().unwrap().to_owned())])
    }

    #[test]
    fn a_file_that_appears_grows_or_goes_changes_the_fingerprint() {
        let home = tempfile::tempdir().unwrap();
        let files = files(&home_of(home.path()));
        let mut seen = vec![fingerprint(&files)];
        let zshrc = home.path().join(".zshrc");
        std::fs::write(&zshrc, "a=1").unwrap();
        seen.push(fingerprint(&files));
        std::fs::write(&zshrc, "a=1; b=2").unwrap();
        seen.push(fingerprint(&files));
        assert_eq!(seen[2], fingerprint(&files));
        std::fs::remove_file(&zshrc).unwrap();
        assert_eq!(seen[0], fingerprint(&files));
        assert_ne!(seen[0], seen[1]);
        assert_ne!(seen[1], seen[2]);
    }

    #[test]
    fn files_in_directories_of_start_up_files_count() {
        let home = tempfile::tempdir().unwrap();
        let parts = home.path().join(".config/fish/conf.d");
        std::fs::create_dir_all(&parts).unwrap();
        let files = files(&home_of(home.path()));
        std::fs::write(parts.join("node.fish"), "").unwrap();
        let before = fingerprint(&files);
        std::fs::write(parts.join("node.fish"), "set -x A 1").unwrap();
        assert_ne!(before, fingerprint(&files));
    }

    #[test]
    fn zdotdir_is_where_zsh_looks_too() {
        let variables = Variables::from([("ZDOTDIR".to_owned(), "/z".to_owned())]);
        assert!(files(&variables).contains(&PathBuf::from("/z/.zshrc")));
    }

    #[test]
    fn a_bashrc_is_skipped_unless_a_profile_mentions_it() {
        let home = tempfile::tempdir().unwrap();
        assert!(!login_skips_bashrc(home.path()));
        std::fs::write(home.path().join(".bashrc"), "").unwrap();
        assert!(login_skips_bashrc(home.path()));
        std::fs::write(home.path().join(".profile"), ". ~/.bashrc").unwrap();
        assert!(!login_skips_bashrc(home.path()));
    }
}
