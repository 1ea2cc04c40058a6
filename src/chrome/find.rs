//! Finding a Chrome, or one of its kin.

use std::path::{Path, PathBuf};

use crate::{
    environment::{self, LoginEnvironment},
    error::ChromeError,
};

/// By these names they lie on PATH, the likeliest first.
const NAMES: &[&str] = &[
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "google-chrome-beta",
    "google-chrome-unstable",
    "google-chrome-canary",
    "chromium",
    "chromium-browser",
    "microsoft-edge-stable",
    "microsoft-edge",
    "msedge",
    "brave-browser-stable",
    "brave-browser",
    "brave",
];

/// Where they lie when they are not on PATH.
#[cfg(not(any(windows, target_os = "macos")))]
const PLACES: &[&str] = &[
    "/opt/google/chrome/chrome",
    "/opt/google/chrome-beta/chrome",
    "/opt/google/chrome-unstable/chrome",
    "/usr/lib/chromium/chromium",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/snap/bin/chromium",
    "/opt/microsoft/msedge/msedge",
    "/opt/brave.com/brave/brave",
    "/snap/bin/brave",
    "/var/lib/flatpak/exports/bin/com.google.Chrome",
    "~/.local/share/flatpak/exports/bin/com.google.Chrome",
    "/var/lib/flatpak/exports/bin/org.chromium.Chromium",
    "~/.local/share/flatpak/exports/bin/org.chromium.Chromium",
    "/var/lib/flatpak/exports/bin/com.microsoft.Edge",
    "~/.local/share/flatpak/exports/bin/com.microsoft.Edge",
    "/var/lib/flatpak/exports/bin/com.brave.Browser",
    "~/.local/share/flatpak/exports/bin/com.brave.Browser",
];

#[cfg(target_os = "macos")]
const PLACES: &[&str] = &[
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Google Chrome Beta.app/Contents/MacOS/Google Chrome Beta",
    "/Applications/Google Chrome Canary.app/Contents/MacOS/Google Chrome Canary",
    "~/Applications/Google Chrome Canary.app/Contents/MacOS/Google Chrome Canary",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "~/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Brave Browser.app/Contents/MacOS/Brave Browser",
];

/// `%NAME%` at the beginning is a variable.
#[cfg(windows)]
const PLACES: &[&str] = &[
    r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
    r"%LOCALAPPDATA%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles%\Google\Chrome Beta\Application\chrome.exe",
    r"%LOCALAPPDATA%\Google\Chrome SxS\Application\chrome.exe",
    r"%LOCALAPPDATA%\Chromium\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
    r"%ProgramFiles%\Microsoft\Edge\Application\msedge.exe",
    r"%ProgramFiles%\BraveSoftware\Brave-Browser\Application\brave.exe",
];

/// The variable that names one.
const VARIABLE: &str = "CHROME_PATH";

/// How one is installed.
#[cfg(not(any(windows, target_os = "macos")))]
const INSTALL: &str = "install one (`apt install chromium`, `dnf install chromium`, or google.com/chrome), or say where \
                       it is with `chromePath` or CHROME_PATH";
#[cfg(any(windows, target_os = "macos"))]
const INSTALL: &str = "install one (google.com/chrome), or say where it is with `chromePath` or CHROME_PATH";

/// The Chrome that is meant: the one that is named, else the first of the usual ones that is there. Blocks.
pub(crate) fn find(named: Option<&Path>, login: &LoginEnvironment) -> Result<PathBuf, ChromeError> {
    let path = environment::search_path(login);
    if let Some(named) = named {
        return exact(named, &path, "`chromePath`");
    }
    let variable = environment::var(VARIABLE).or_else(|| login.get(VARIABLE).map(str::to_owned));
    if let Some(named) = variable.filter(|named| !named.trim().is_empty()) {
        return exact(Path::new(&named), &path, VARIABLE);
    }
    let places: Vec<PathBuf> = PLACES.iter().filter_map(|place| written(place, login)).collect();
    usual(&path, &places).ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let searched = format!("{} on PATH ({}), and {}", NAMES.join(", "), listed(&path), places.join(", "));
        ChromeError::NotFound { searched, cure: INSTALL.to_owned() }
    })
}

fn usual(path: &[PathBuf], places: &[PathBuf]) -> Option<PathBuf> {
    let joined = environment::join_path(path);
    let on_path = |name: &&str| which::which_in(name, Some(&joined), "/").ok();
    NAMES.iter().find_map(on_path).or_else(|| places.iter().find(|place| is_program(place)).cloned())
}

/// One that was named is that one or none: another browser in its place would be a surprise.
fn exact(named: &Path, path: &[PathBuf], by: &str) -> Result<PathBuf, ChromeError> {
    let not_found = |searched: String| ChromeError::NotFound { searched, cure: format!("correct {by}") };
    if named.components().count() > 1 || named.is_absolute() {
        let at = match (named.strip_prefix("~"), environment::home()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => environment::current_dir().join(named),
        };
        return if is_program(&at) { Ok(at) } else { Err(not_found(format!("{}, which is no program", at.display()))) };
    }
    let found = which::which_in(named, Some(environment::join_path(path)), "/");
    found.map_err(|_| not_found(format!("`{}` on PATH ({})", named.display(), listed(path))))
}

fn listed(path: &[PathBuf]) -> String {
    let path: Vec<String> = path.iter().map(|directory| directory.display().to_string()).collect();
    path.join(":")
}

/// A place as it is on this machine.
fn written(place: &str, login: &LoginEnvironment) -> Option<PathBuf> {
    if let Some(rest) = place.strip_prefix("~/") {
        return Some(environment::home()?.join(rest));
    }
    if let Some((name, rest)) = place.strip_prefix('%').and_then(|rest| rest.split_once('%')) {
        let base = environment::var(name).or_else(|| login.get(name).map(str::to_owned))?;
        return Some(PathBuf::from(base + rest));
    }
    Some(PathBuf::from(place))
}

fn is_program(path: &Path) -> bool {
    which::which_in(path, None::<&str>, "/").is_ok()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn program(path: &Path) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_owned()
    }

    #[test]
    fn the_first_of_the_usual_names_counts_whichever_directory_it_is_in() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| dir.path().join(name));
        let path = [first.clone(), second.clone()];
        let chromium = program(&first.join("chromium"));
        assert_eq!(usual(&path, &[]), Some(chromium));
        let chrome = program(&second.join("google-chrome-stable"));
        assert_eq!(usual(&path, &[]), Some(chrome));
    }

    #[test]
    fn what_is_not_on_path_is_found_where_it_usually_lies() {
        let dir = tempfile::tempdir().unwrap();
        let (missing, there) = (dir.path().join("missing"), program(&dir.path().join("flatpak/com.google.Chrome")));
        assert_eq!(usual(&[], &[missing.clone(), there.clone()]), Some(there));
        assert_eq!(usual(&[], &[missing]), None);
    }

    #[test]
    fn one_that_is_named_is_that_one_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let own = program(&dir.path().join("my chrome"));
        let path = [dir.path().to_owned()];
        assert_eq!(exact(&own, &[], "`chromePath`"), Ok(own.clone()));
        assert_eq!(exact(Path::new("my chrome"), &path, "`chromePath`"), Ok(own));
        fs::write(dir.path().join("file"), "").unwrap();
        for named in [dir.path().join("missing"), dir.path().join("file"), PathBuf::from("missing")] {
            let error = exact(&named, &path, "CHROME_PATH").unwrap_err();
            assert!(error.to_string().contains("correct CHROME_PATH"), "{error}");
        }
    }

    #[test]
    fn nothing_found_tells_what_was_looked_for_and_how_to_have_it() {
        let places = [PathBuf::from("/nowhere/chrome")];
        assert_eq!(usual(&[PathBuf::from("/nowhere")], &places), None);
        let error = ChromeError::NotFound { searched: "x".into(), cure: INSTALL.into() };
        let said = error.to_string();
        assert!(said.starts_with("no Chrome was found: install one") && said.contains("CHROME_PATH"), "{said}");
    }
}
