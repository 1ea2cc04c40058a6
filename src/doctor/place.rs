//! Where the daemon keeps what is its own: whose it is, whether it can be written, and how much room is left.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::{
    environment,
    state::{State, StateError},
};

pub(super) fn findings(state: Option<&State>) -> Vec<Finding> {
    let Some(home) = environment::state_home() else {
        return vec![of_error("state", &StateError::Homeless)];
    };
    let place = state.map_or(home.as_path(), State::place);
    let mut findings = vec![directory(state, place)];
    findings.extend(state.map(token));
    findings.push(room(place));
    findings.push(runtime());
    findings
}

/// The directory of the state: others must not look into it, and we must be able to write there.
fn directory(state: Option<&State>, place: &Path) -> Finding {
    let there = match state.map_or(Ok(place.is_dir()), State::has_directory) {
        Ok(there) => there,
        Err(error) => return of_error("state", &error),
    };
    let nearest = nearest(place);
    if !is_writable(&nearest) {
        let found = format!("{}: {} cannot be written", place.display(), nearest.display());
        return Finding::problem("state", found, "make it yours (`chown`, `chmod u+rwx`), or set XDG_STATE_HOME");
    }
    let found = if there { "for us alone" } else { "made when it is needed" };
    Finding::ok("state", format!("{} ({found})", place.display()))
}

fn token(state: &State) -> Finding {
    match state.has_token() {
        Ok(true) => Finding::ok("token", "there, for us alone"),
        Ok(false) => Finding::ok("token", "none yet: it is made when it is needed"),
        Err(error) => of_error("token", &error),
    }
}

fn of_error(check: &str, error: &StateError) -> Finding {
    let said = error.to_string();
    let (found, cure) = said.split_once("; ").unwrap_or((&said, "see that it is yours, or set XDG_STATE_HOME"));
    Finding::problem(check, found, cure)
}

/// What is there of a path.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(unix)]
fn is_writable(directory: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(directory: &Path) -> bool {
    std::fs::metadata(directory).is_ok_and(|found| !found.permissions().readonly())
}

const MIB: u128 = 1 << 20;
/// Logs, output and profiles of browsers take some hundreds.
const LITTLE_ROOM: u128 = 512 * MIB;
const NO_ROOM: u128 = 16 * MIB;

#[cfg(unix)]
fn room(place: &Path) -> Finding {
    let place = nearest(place);
    let cure = "free some, or set XDG_STATE_HOME to a place on another disk";
    let Ok(found) = nix::sys::statvfs::statvfs(&place) else {
        return Finding::warning("disk", format!("the system does not tell what is free at {}", place.display()), cure);
    };
    let free = u128::from(found.blocks_available()) * u128::from(found.fragment_size());
    // A file system that counts no files says 0 of 0.
    let no_files = found.files() > 0 && found.files_available() == 0;
    let said =
        format!("{} MiB free at {}{}", free / MIB, place.display(), if no_files { ", but for no file" } else { "" });
    if free < NO_ROOM || no_files {
        Finding::problem("disk", said, cure)
    } else if free < LITTLE_ROOM {
        Finding::warning("disk", said, cure)
    } else {
        Finding::ok("disk", said)
    }
}

#[cfg(not(unix))]
fn room(place: &Path) -> Finding {
    Finding::ok("disk", format!("not looked at on this system ({})", place.display()))
}

/// The directory of what lasts as long as the user is logged in.
fn runtime() -> Finding {
    let cure = "log in by the system's own login, or `loginctl enable-linger`; the state directory serves meanwhile";
    let Some(named) = environment::var("XDG_RUNTIME_DIR").filter(|named| !named.is_empty()) else {
        let found = "XDG_RUNTIME_DIR is not set";
        return if cfg!(target_os = "linux") {
            Finding::warning("runtime directory", found, cure)
        } else {
            Finding::ok("runtime directory", format!("{found}: the state directory serves"))
        };
    };
    match unfit(Path::new(&named)) {
        None => Finding::ok("runtime directory", format!("{named} (for us alone)")),
        Some(why) => Finding::warning("runtime directory", format!("{named} {why}"), cure),
    }
}

/// Why it is not one to use.
#[cfg(unix)]
fn unfit(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if !path.is_absolute() {
        return Some("is no absolute path".to_owned());
    }
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return Some("is no directory".to_owned()),
        Err(error) => return Some(format!("cannot be used: {error}")),
    };
    if found.uid() != nix::unistd::Uid::effective().as_raw() {
        return Some(format!("belongs to another user (uid {})", found.uid()));
    }
    let mode = found.mode() & 0o777;
    (mode & 0o077 != 0).then(|| format!("can be used by others (mode {mode:o}, not 700)"))
}

#[cfg(not(unix))]
fn unfit(path: &Path) -> Option<String> {
    (!path.is_dir()).then(|| "is no directory".to_owned())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_runtime_directory_is_ours_alone_or_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o700);
        assert_eq!(unfit(dir.path()), None);
        mode(0o755);
        assert!(unfit(dir.path()).is_some_and(|why| why.contains("mode 755")));
        for (path, why) in [("run", "absolute"), ("/dev/null", "no directory"), ("/no/such/place", "cannot be used")] {
            assert!(unfit(Path::new(path)).is_some_and(|said| said.contains(why)), "{path}");
        }
    }

    #[test]
    fn what_is_there_of_a_path_is_what_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&dir.path().join("a/b")), dir.path());
    }
}
