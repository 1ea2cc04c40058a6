//! Where programs are looked for.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{LoginEnvironment, Variables, home, own, split_path};

/// Where version managers put programs: the variable that moves the manager, its usual place in the home directory,
/// and the directory in there.
const OF_MANAGERS: [(&str, &str, &str); 9] = [
    ("", ".local", "bin"),
    ("CARGO_HOME", ".cargo", "bin"),
    ("VOLTA_HOME", ".volta", "bin"),
    ("MISE_DATA_DIR", ".local/share/mise", "shims"),
    ("ASDF_DATA_DIR", ".asdf", "shims"),
    ("PYENV_ROOT", ".pyenv", "shims"),
    ("BUN_INSTALL", ".bun", "bin"),
    ("DENO_INSTALL", ".deno", "bin"),
    ("PNPM_HOME", ".local/share/pnpm", ""),
];

const OF_FNM: [&str; 3] = [".local/share/fnm", ".fnm", "Library/Application Support/fnm"];

const OF_THE_SYSTEM: [&str; 8] = [
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/snap/bin",
    "/usr/sbin",
    "/sbin",
];

/// The directories in which programs are looked for, the first one that has it wins: the PATH of the user's login
/// environment, then the daemon's, then the usual directories of version managers and of the system that exist.
/// A host that was started from a desktop has hardly any PATH.
pub fn search_path(login: &LoginEnvironment) -> Vec<PathBuf> {
    Places { login: &login.variables, own: &own().into_iter().collect(), home: home() }.search_path()
}

/// What says where programs are.
pub(super) struct Places<'a> {
    pub(super) login: &'a Variables,
    pub(super) own: &'a Variables,
    pub(super) home: Option<PathBuf>,
}

impl Places<'_> {
    pub(super) fn search_path(&self) -> Vec<PathBuf> {
        let mut seen = BTreeSet::new();
        let named = [self.login, self.own].into_iter().filter_map(|variables| variables.get("PATH"));
        named
            .flat_map(|path| split_path(path))
            .chain(self.usual().into_iter().filter(|directory| directory.is_dir()))
            .filter(|directory| seen.insert(directory.clone()))
            .collect()
    }

    fn usual(&self) -> Vec<PathBuf> {
        let managers = OF_MANAGERS.iter().filter_map(|(variable, place, inside)| {
            let root = self.directory(variable).or_else(|| self.in_home(place))?;
            Some(if inside.is_empty() { root } else { root.join(inside) })
        });
        managers.chain(self.nvm()).chain(self.fnm()).chain(OF_THE_SYSTEM.map(PathBuf::from)).collect()
    }

    fn nvm(&self) -> Option<PathBuf> {
        let root = self.directory("NVM_DIR").or_else(|| self.in_home(".nvm"))?;
        Some(newest(&root.join("versions/node"))?.join("bin"))
    }

    fn fnm(&self) -> Option<PathBuf> {
        let usual = OF_FNM.iter().filter_map(|place| self.in_home(place));
        let root = self.directory("FNM_DIR").into_iter().chain(usual).find(|root| root.is_dir())?;
        let default = root.join("aliases/default/bin");
        if default.is_dir() {
            return Some(default);
        }
        Some(newest(&root.join("node-versions"))?.join("installation/bin"))
    }

    fn directory(&self, variable: &str) -> Option<PathBuf> {
        let value = self.login.get(variable).or_else(|| self.own.get(variable))?;
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    }

    fn in_home(&self, place: &str) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(place))
    }
}

/// The directory with the highest version for a name, such as `v22.1.0`.
fn newest(versions: &Path) -> Option<PathBuf> {
    let directories = std::fs::read_dir(versions).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    directories.filter_map(|path| Some((version(path.file_name()?.to_str()?)?, path))).max().map(|(_, path)| path)
}

fn version(name: &str) -> Option<Vec<u64>> {
    name.strip_prefix('v')?.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn names(path: &[PathBuf]) -> Vec<&str> {
        path.iter().map(|directory| directory.to_str().unwrap()).collect()
    }

    #[test]
    fn login_comes_before_daemon_comes_before_the_usual() {
        let login = variables(&[("PATH", "/login/bin:/shared")]);
        let own = variables(&[("PATH", "/shared:/daemon/bin")]);
        let path = Places { login: &login, own: &own, home: None }.search_path();
        assert_eq!(names(&path)[..3], ["/login/bin", "/shared", "/daemon/bin"]);
        assert!(names(&path[3..]).contains(&"/usr/bin"));
    }

    #[test]
    fn empty_and_relative_elements_and_repetitions_are_dropped() {
        let login = variables(&[("PATH", ":/a::bin:.:/b:/a:~/c:")]);
        let path = Places { login: &login, own: &Variables::new(), home: None }.search_path();
        assert_eq!(names(&path)[..2], ["/a", "/b"]);
        assert!(path[2..].iter().all(|directory| OF_THE_SYSTEM.iter().any(|usual| directory == Path::new(usual))));
    }

    #[test]
    fn version_managers_are_found_where_they_exist() {
        let home = tempfile::tempdir().unwrap();
        for made in [".volta/bin", ".nvm/versions/node/v9.11.2/bin", ".nvm/versions/node/v22.3.0/bin", "cargo/bin"] {
            std::fs::create_dir_all(home.path().join(made)).unwrap();
        }
        std::fs::create_dir_all(home.path().join(".fnm/node-versions/v20.0.0/installation/bin")).unwrap();
        let login = variables(&[("CARGO_HOME", home.path().join("cargo").to_str().unwrap())]);
        let path = Places { login: &login, own: &Variables::new(), home: Some(home.path().to_owned()) }.search_path();
        let found: Vec<&str> =
            path.iter().filter_map(|directory| directory.strip_prefix(home.path()).ok()?.to_str()).collect();
        let fnm = ".fnm/node-versions/v20.0.0/installation/bin";
        assert_eq!(found, ["cargo/bin", ".volta/bin", ".nvm/versions/node/v22.3.0/bin", fnm]);
    }
}
