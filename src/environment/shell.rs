//! Which shell is the user's.

use std::path::{Path, PathBuf};

use super::{base_name, split_path, var};

/// Shells that run a command line as it is meant: they read POSIX syntax.
const POSIX: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// Shells that can be asked for the user's environment.
const ASKED: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "fish"];

/// Where bash and sh are when PATH does not say.
const USUAL: &str = "/bin:/usr/bin:/usr/local/bin";

/// The shell that commands run in: `$SHELL`, else the one in the user database, if it is sh, bash, dash, zsh or ksh;
/// else bash; else sh. An absolute path.
pub fn user_shell() -> PathBuf {
    choose(named(), &POSIX, &var("PATH").unwrap_or_default())
}

/// The shell that is asked for the user's environment: as [`user_shell`], but fish will do.
pub(super) fn login_shell() -> PathBuf {
    choose(named(), &ASKED, &var("PATH").unwrap_or_default())
}

fn named() -> Option<PathBuf> {
    let set = var("SHELL").filter(|shell| !shell.is_empty()).map(PathBuf::from);
    set.or_else(in_user_database)
}

#[cfg(unix)]
fn in_user_database() -> Option<PathBuf> {
    user().map(|user| user.shell)
}

#[cfg(not(unix))]
fn in_user_database() -> Option<PathBuf> {
    None
}

/// The home directory that the system knows of, whatever HOME says. Blocks: the user may be looked up elsewhere.
#[cfg(unix)]
pub(crate) fn home_in_user_database() -> Option<PathBuf> {
    user().map(|user| user.dir)
}

#[cfg(not(unix))]
pub(crate) fn home_in_user_database() -> Option<PathBuf> {
    None
}

#[cfg(unix)]
fn user() -> Option<nix::unistd::User> {
    nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok()?
}

fn choose(named: Option<PathBuf>, accepted: &[&str], path: &str) -> PathBuf {
    let usable = |shell: &Path| shell.is_absolute() && accepted.contains(&base_name(shell)) && shell.is_file();
    let find = |name: &str| {
        let directories = split_path(path).into_iter().chain(split_path(USUAL));
        directories.map(|directory| directory.join(name)).find(|shell| shell.is_file())
    };
    named
        .filter(|shell| usable(shell))
        .or_else(|| find("bash"))
        .or_else(|| find("sh"))
        .unwrap_or_else(|| PathBuf::from("/bin/sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(programs: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for program in programs {
            std::fs::write(directory.path().join(program), "").unwrap();
        }
        directory
    }

    fn chosen(directory: &tempfile::TempDir, named: Option<&str>, accepted: &[&str]) -> String {
        let path = directory.path().to_str().unwrap();
        let shell = choose(named.map(|name| directory.path().join(name)), accepted, path);
        shell.strip_prefix(directory.path()).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_posix_shell_that_the_user_named_is_taken() {
        let directory = directory_with(&["bash", "zsh"]);
        assert_eq!(chosen(&directory, Some("zsh"), &POSIX), "zsh");
    }

    #[test]
    fn fish_runs_no_commands_but_knows_the_environment() {
        let directory = directory_with(&["bash", "fish"]);
        assert_eq!(chosen(&directory, Some("fish"), &POSIX), "bash");
        assert_eq!(chosen(&directory, Some("fish"), &ASKED), "fish");
    }

    #[test]
    fn a_shell_that_is_gone_or_none_is_replaced_by_bash() {
        let directory = directory_with(&["bash", "sh", "nologin"]);
        for named in [Some("zsh"), Some("nologin"), None] {
            assert_eq!(chosen(&directory, named, &POSIX), "bash");
        }
    }

    #[test]
    fn a_relative_shell_is_not_trusted() {
        let directory = directory_with(&["bash"]);
        let shell = choose(Some(PathBuf::from("zsh")), &POSIX, directory.path().to_str().unwrap());
        assert_eq!(shell, directory.path().join("bash"));
    }

    #[test]
    fn this_users_shell_is_a_posix_shell_with_an_absolute_path() {
        let shell = user_shell();
        assert!(shell.is_absolute() && POSIX.contains(&base_name(&shell)), "{}", shell.display());
    }
}
