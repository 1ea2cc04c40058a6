//! The directory of a profile: whose it is, and who uses it.

use std::{
    fs::{self, DirBuilder},
    io,
    path::{Path, PathBuf},
};

#[cfg(target_os = "linux")]
use memchr::memmem;

use crate::{environment, error::ChromeError};

/// What Chrome leaves in the profile that it uses: a link that names who does, and two that lead to where it can be
/// spoken to.
const LOCK: &str = "SingletonLock";
const TRACES: [&str; 3] = [LOCK, "SingletonCookie", "SingletonSocket"];

/// The file in which Chrome writes down which port it has chosen.
pub(super) const PORT_FILE: &str = "DevToolsActivePort";

/// Where browsers keep the profile that their user browses with, and whose that is.
#[cfg(not(any(windows, target_os = "macos")))]
const OWN: &[(&str, &str)] = &[
    ("~/.config/google-chrome", "Google Chrome"),
    ("~/.config/google-chrome-beta", "Google Chrome Beta"),
    ("~/.config/google-chrome-unstable", "Google Chrome Dev"),
    ("~/.config/google-chrome-canary", "Google Chrome Canary"),
    ("~/.config/chromium", "Chromium"),
    ("~/snap/chromium/common/chromium", "Chromium"),
    ("~/.config/microsoft-edge", "Microsoft Edge"),
    ("~/.config/BraveSoftware/Brave-Browser", "Brave"),
    ("~/.var/app/com.google.Chrome/config/google-chrome", "Google Chrome"),
    ("~/.var/app/org.chromium.Chromium/config/chromium", "Chromium"),
    ("~/.var/app/com.microsoft.Edge/config/microsoft-edge", "Microsoft Edge"),
    ("~/.var/app/com.brave.Browser/config/BraveSoftware/Brave-Browser", "Brave"),
];
#[cfg(target_os = "macos")]
const OWN: &[(&str, &str)] = &[
    ("~/Library/Application Support/Google/Chrome", "Google Chrome"),
    ("~/Library/Application Support/Google/Chrome Beta", "Google Chrome Beta"),
    ("~/Library/Application Support/Google/Chrome Canary", "Google Chrome Canary"),
    ("~/Library/Application Support/Chromium", "Chromium"),
    ("~/Library/Application Support/Microsoft Edge", "Microsoft Edge"),
    ("~/Library/Application Support/BraveSoftware/Brave-Browser", "Brave"),
];
#[cfg(windows)]
const OWN: &[(&str, &str)] = &[
    (r"~\AppData\Local\Google\Chrome\User Data", "Google Chrome"),
    (r"~\AppData\Local\Google\Chrome Beta\User Data", "Google Chrome Beta"),
    (r"~\AppData\Local\Google\Chrome SxS\User Data", "Google Chrome Canary"),
    (r"~\AppData\Local\Chromium\User Data", "Chromium"),
    (r"~\AppData\Local\Microsoft\Edge\User Data", "Microsoft Edge"),
    (r"~\AppData\Local\BraveSoftware\Brave-Browser\User Data", "Brave"),
];

/// Makes a profile ready for a launch: it is there, is nobody's own, is used by nobody, and says nothing of an earlier
/// launch. Blocks. Returns the directory as the system knows it.
pub(super) fn prepare(profile: &Path) -> Result<PathBuf, ChromeError> {
    let unusable = |reason: String| ChromeError::Profile { profile: profile.to_owned(), reason };
    // Before it is made: a profile of the user's that is not there yet is not made by us either.
    refuse_own(profile)?;
    make(profile).map_err(|error| {
        unusable(match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "something on the way to it is no directory; name another one".to_owned()
            }
            io::ErrorKind::PermissionDenied => "it may not be made there; name another one".to_owned(),
            _ => format!("it cannot be made ({error})"),
        })
    })?;
    let canonical = fs::canonicalize(profile).map_err(|error| unusable(format!("it cannot be read ({error})")))?;
    refuse_own(&canonical)?;
    if let Some((host, pid)) = holder(&canonical) {
        let host = Some(host).filter(|host| *host != hostname());
        if host.is_some() || uses(pid, &canonical) {
            return Err(ChromeError::ProfileInUse { profile: profile.to_owned(), pid, host });
        }
        tracing::info!(profile = %profile.display(), pid, "removing the lock of a Chrome that is no more");
        for trace in TRACES {
            remove(&canonical.join(trace))
                .map_err(|error| unusable(format!("its lock cannot be removed ({error})")))?;
        }
    }
    // What stands there is about another launch.
    remove(&canonical.join(PORT_FILE)).map_err(|error| unusable(format!("it cannot be written to ({error})")))?;
    Ok(canonical)
}

/// Who uses the profile, if somebody does.
pub(super) fn user(profile: &Path) -> Option<(Option<String>, u32)> {
    let (host, pid) = holder(profile)?;
    let host = Some(host).filter(|host| *host != hostname());
    (host.is_some() || uses(pid, profile)).then_some((host, pid))
}

/// Whether a profile could be used, without making it. Blocks.
pub(super) fn check(profile: &Path) -> Result<(), ChromeError> {
    refuse_own(profile)
}

fn make(profile: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(profile)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Refuses what the user browses with, and what lies in it or around it.
fn refuse_own(profile: &Path) -> Result<(), ChromeError> {
    // Whoever changes HOME for a service does not move what he browses with.
    let homes = [environment::home(), environment::home_in_user_database()].into_iter().flatten();
    let own = homes.flat_map(|home| OWN.iter().map(move |(place, browser)| (home.join(&place[2..]), *browser)));
    match of_own(profile, own) {
        Some(browser) => Err(ChromeError::DefaultProfile { profile: profile.to_owned(), browser: browser.to_owned() }),
        None => Ok(()),
    }
}

fn of_own(profile: &Path, own: impl Iterator<Item = (PathBuf, &'static str)>) -> Option<&'static str> {
    let plain = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| without_dots(path));
    let profile = plain(profile);
    let mut own = own.map(|(place, browser)| (plain(&place), browser));
    own.find(|(place, _)| profile.starts_with(place)).map(|(_, browser)| browser)
}

/// A path without `.` and `..`, for what is not there to be asked.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in environment::current_dir().join(path).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    plain
}

/// The machine and the process that the lock names.
fn holder(profile: &Path) -> Option<(String, u32)> {
    let link = fs::read_link(profile.join(LOCK)).ok()?;
    let (host, pid) = link.to_str()?.rsplit_once('-')?;
    Some((host.to_owned(), pid.parse().ok()?))
}

#[cfg(unix)]
fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

#[cfg(not(unix))]
fn hostname() -> String {
    environment::var("COMPUTERNAME").unwrap_or_default()
}

/// Whether a process of this machine uses the profile: it answers where the profile says, or it is a browser. Ids are
/// given anew, to whoever comes next.
#[cfg(unix)]
fn uses(pid: u32, profile: &Path) -> bool {
    let alive = i32::try_from(pid).is_ok_and(|pid| {
        let asked = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
        asked.is_ok() || asked == Err(nix::errno::Errno::EPERM)
    });
    let answers = std::os::unix::net::UnixStream::connect(profile.join(TRACES[2])).is_ok();
    answers || (alive && is_browser(pid))
}

/// Chrome itself holds the directory open there, so that what could be removed is nobody's.
#[cfg(not(unix))]
fn uses(_: u32, _: &Path) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn is_browser(pid: u32) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        // One that has ended and is not reaped yet says nothing.
        Ok(line) => ["chrom", "edge", "brave"].iter().any(|word| memmem::find(&line, word.as_bytes()).is_some()),
        // What may not be asked may be anybody.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_browser(_: u32) -> bool {
    true
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn lock(profile: &Path, host: &str, pid: u32) {
        symlink(format!("{host}-{pid}"), profile.join(LOCK)).unwrap();
    }

    /// The id of a process that is no more.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn a_profile_is_made_for_its_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("a/b");
        assert_eq!(prepare(&profile), Ok(fs::canonicalize(&profile).unwrap()));
        assert_eq!(fs::metadata(&profile).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_a_dead_chrome_has_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("with-dashes-in-it");
        fs::create_dir(&profile).unwrap();
        lock(&profile, &hostname(), dead());
        fs::write(profile.join(PORT_FILE), "1\n/devtools/browser/old").unwrap();
        symlink("/nowhere", profile.join("SingletonSocket")).unwrap();
        prepare(&profile).unwrap();
        assert_eq!(fs::read_dir(&profile).unwrap().count(), 0);
    }

    #[test]
    fn a_process_that_has_the_id_of_a_dead_chrome_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        lock(dir.path(), &hostname(), other.id());
        let prepared = prepare(dir.path());
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(prepared.is_ok(), "{prepared:?}");
    }

    #[test]
    fn a_lock_of_another_machine_is_respected_and_said() {
        let dir = tempfile::tempdir().unwrap();
        lock(dir.path(), "far-away", 17);
        let said = prepare(dir.path()).unwrap_err().to_string();
        assert!(said.contains("in use by process 17 on the machine `far-away`"), "{said}");
        assert!(said.contains("if `far-away` is no more, remove"), "{said}");
        assert!(fs::symlink_metadata(dir.path().join(LOCK)).is_ok());
    }

    #[test]
    fn the_profile_that_the_user_browses_with_is_refused_in_every_spelling() {
        let home = tempfile::tempdir().unwrap();
        let own = || [(home.path().join(".config/chromium"), "Chromium")].into_iter();
        let link = home.path().join("link");
        fs::create_dir_all(home.path().join(".config/chromium/Default")).unwrap();
        symlink(home.path().join(".config"), &link).unwrap();
        for spelling in [".config/chromium", ".config/chromium/", ".config/x/../chromium/Default", "link/chromium"] {
            assert_eq!(of_own(&home.path().join(spelling), own()), Some("Chromium"), "{spelling}");
        }
        for other in [".config/chromium-agent", ".config", "chromium"] {
            assert_eq!(of_own(&home.path().join(other), own()), None, "{other}");
        }
    }

    #[test]
    fn what_can_be_no_directory_says_so() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for place in ["file", "file/profile"] {
            let said = prepare(&dir.path().join(place)).unwrap_err().to_string();
            assert!(said.ends_with("something on the way to it is no directory; name another one"), "{said}");
        }
    }
}
