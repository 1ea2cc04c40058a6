//! What a child inherits.

use super::InheritEnv;
use super::{LoginEnvironment, Variables, home, is_bookkeeping, is_private, join_path, own, path::Places};
use crate::glob::matches;

/// Names and globs of what every child may know: who and where the user is, how the network is reached, where
/// runtimes and package managers look. The daemon's environment holds more, secrets among it.
const CURATED: &str = "HOME LOGNAME PATH SHELL TERM USER LANG LC_* TMPDIR TZ XDG_* \
    DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK \
    *_PROXY *_proxy SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO \
    NPM_CONFIG_* npm_config_* PIP_* UV_* NVM_DIR VOLTA_HOME PYENV_ROOT ASDF_* MISE_* \
    CARGO_HOME RUSTUP_HOME JAVA_HOME NODE_PATH";

/// Without these hardly a program runs on Windows.
const ON_WINDOWS: &str =
    "SystemRoot SystemDrive windir ComSpec PATHEXT TEMP TMP APPDATA LOCALAPPDATA USERPROFILE ProgramData ProgramFiles*";

/// The environment of a child: a curated set of variables and what `inherit` adds to it, sorted by name.
///
/// A value comes from the login environment, else from the daemon's own; `PATH` is the
/// [search path](super::search_path). The daemon's own secrets (`COMPUTER_*`, `OCTAVUS_*`) are never part of it.
pub fn curated(login: &LoginEnvironment, inherit: &InheritEnv) -> Vec<(String, String)> {
    let own = own().into_iter().collect();
    curate(&Places { login: &login.variables, own: &own, home: home() }, inherit)
}

fn curate(places: &Places<'_>, inherit: &InheritEnv) -> Vec<(String, String)> {
    let passes = |name: &str| match inherit {
        InheritEnv::Curated => is_curated(name),
        InheritEnv::All => true,
        InheritEnv::Matching(globs) => is_curated(name) || globs.iter().any(|glob| matches(glob, name)),
    };
    let mut taken = Variables::new();
    for (name, value) in places.own.iter().chain(places.login) {
        if passes(name) && !is_private(name) && !is_bookkeeping(name) {
            taken.insert(name.clone(), value.clone());
        }
    }
    if let Ok(path) = join_path(&places.search_path()).into_string() {
        taken.insert("PATH".to_owned(), path);
    }
    taken.into_iter().collect()
}

fn is_curated(name: &str) -> bool {
    let for_the_system = if cfg!(windows) { ON_WINDOWS } else { "" };
    CURATED.split_whitespace().chain(for_the_system.split_whitespace()).any(|glob| matches(glob, name))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn variables(names: &[&str], value: &str) -> Variables {
        names.iter().map(|name| ((*name).to_owned(), value.to_owned())).collect()
    }

    const OWN: [&str; 9] = [
        "LC_TIME",
        "https_proxy",
        "ALL_PROXY",
        "UV_CACHE_DIR",
        "AWS_SECRET_KEY",
        "AWS_REGION",
        "COMPUTER_TOKEN",
        "OCTAVUS_KEY",
        "PWD",
    ];

    fn inherited(inherit: &InheritEnv) -> Vec<String> {
        let places = Places { login: &variables(&["HOME"], "/h"), own: &variables(&OWN, "own"), home: None };
        curate(&places, inherit).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_child_gets_the_curated_set() {
        let names = inherited(&InheritEnv::Curated);
        assert_eq!(names, ["ALL_PROXY", "HOME", "LC_TIME", "PATH", "UV_CACHE_DIR", "https_proxy"]);
    }

    #[test]
    fn names_and_globs_widen_it() {
        let names = inherited(&InheritEnv::Matching(vec!["AWS_R*".to_owned(), "COMPUTER_TOKEN".to_owned()]));
        assert_eq!(names, ["ALL_PROXY", "AWS_REGION", "HOME", "LC_TIME", "PATH", "UV_CACHE_DIR", "https_proxy"]);
    }

    #[test]
    fn all_is_all_but_the_daemons_own_secrets() {
        let names = inherited(&InheritEnv::All);
        for name in ["AWS_REGION", "AWS_SECRET_KEY", "HOME", "LC_TIME"] {
            assert!(names.iter().any(|inherited| inherited == name), "{name}");
        }
        assert!(!names.iter().any(|name| ["COMPUTER_TOKEN", "OCTAVUS_KEY", "PWD"].contains(&name.as_str())));
    }

    #[test]
    fn the_login_environment_wins_and_path_is_merged() {
        let (mut login, mut own) = (variables(&["LANG"], "de_AT.UTF-8"), variables(&["LANG", "TZ"], "C"));
        login.insert("PATH".to_owned(), "/login".to_owned());
        own.insert("PATH".to_owned(), "/own".to_owned());
        let taken: Variables =
            curate(&Places { login: &login, own: &own, home: None }, &InheritEnv::Curated).into_iter().collect();
        assert_eq!((taken["LANG"].as_str(), taken["TZ"].as_str()), ("de_AT.UTF-8", "C"));
        assert!(taken["PATH"].starts_with("/login:/own:"), "{}", taken["PATH"]);
    }

    #[test]
    fn globs_match_whole_names() {
        for (glob, name) in [("A*", "A"), ("*_PROXY", "X_Y_PROXY"), ("A?C", "ABC"), ("*A*B*", "xAxxABx"), ("*", "")] {
            assert!(matches(glob, name), "{glob} {name}");
        }
        for (glob, name) in [("A*", "BA"), ("*_PROXY", "_PROXYS"), ("A?C", "AC"), ("*A*B", "BA"), ("", "A")] {
            assert!(!matches(glob, name), "{glob} {name}");
        }
    }
}
