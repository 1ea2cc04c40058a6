//! From the command of an entry to the program that is started for it.

use std::{
    fmt::Write,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    environment,
    error::{Error, Result},
};

/// What starts an entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    /// The program, with its full path.
    pub program: PathBuf,
    /// What comes before the entry's own arguments.
    pub args: Vec<String>,
    /// Whether a package may have to be fetched first; [`Resolved::may_fetch`] looks at the entry's arguments too.
    pub fetches: bool,
    /// How it was found.
    pub how: How,
}

/// How a command was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It is the path of a file.
    Path,
    /// It is a program on PATH.
    Program,
    /// It is a package that is installed in `node_modules` of the working directory or above.
    LocalBin,
    /// It is a package that npm installed globally.
    GlobalNpm,
    /// It is a package that npx finds or fetches.
    Npx,
    /// It is a package that uvx finds or fetches.
    Uvx,
}

impl Resolved {
    fn new(program: PathBuf, how: How) -> Self {
        let fetches = matches!(how, How::Npx | How::Uvx) || FETCHERS.contains(&stem(&program));
        Self { program, args: Vec::new(), fetches, how }
    }

    fn with(self, args: impl IntoIterator<Item = String>) -> Self {
        Self { args: args.into_iter().collect(), ..self }
    }

    /// Whether, with these arguments of the entry, a package or image may have to be fetched before it answers.
    pub(crate) fn may_fetch(&self, own_args: &[String]) -> bool {
        let words: Vec<&str> = own_args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
        let by_words = matches!(
            (stem(&self.program), words.as_slice()),
            ("npm", ["exec" | "x", ..])
                | ("pnpm" | "yarn", ["dlx", ..])
                | ("bun", ["x", ..])
                | ("uv", ["run" | "tool", ..])
                | ("pipx" | "docker" | "podman", ["run", ..])
        );
        self.fetches || by_words
    }

    /// The whole command line as a shell would take it, for people to read.
    pub(crate) fn line(&self, own_args: &[String]) -> String {
        let program = self.program.to_string_lossy();
        let words = std::iter::once(program.as_ref()).chain(self.args.iter().chain(own_args).map(String::as_str));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// Programs that fetch what they run.
const FETCHERS: [&str; 4] = ["npx", "pnpx", "bunx", "uvx"];

/// Servers that are known by one word, and where they are published. A word that is not here never becomes a download.
const WELL_KNOWN: [(&str, Index); 5] = [
    ("chrome-devtools-mcp", Index::Npm),
    ("mcp-remote", Index::Npm),
    ("mcp-server-fetch", Index::PyPi),
    ("mcp-server-git", Index::PyPi),
    ("mcp-server-time", Index::PyPi),
];

/// Finds what a command means: a path, a program in one of the directories of `path`, or a package. `cwd` is where the
/// entry runs; relative paths and `node_modules` are looked for from there.
pub(crate) fn resolve(command: &str, cwd: &Path, path: &[PathBuf]) -> Result<Resolved> {
    let prefix = ["NPM_CONFIG_PREFIX", "npm_config_prefix"].into_iter().find_map(environment::var);
    Search { cwd, path, home: environment::home(), npm_prefix: prefix.map(PathBuf::from) }.resolve(command)
}

struct Search<'a> {
    cwd: &'a Path,
    path: &'a [PathBuf],
    home: Option<PathBuf>,
    /// Where npm installs globally, when the environment says so.
    npm_prefix: Option<PathBuf>,
}

impl Search<'_> {
    fn resolve(&self, command: &str) -> Result<Resolved> {
        match Package::parse(command) {
            // A version cannot be asked of a program on PATH, and a prefix says that a package is meant.
            Some(package) if command == package.name => {
                self.program(command).map_or_else(|| self.package(command, &package), Ok)
            }
            Some(package) => self.package(command, &package),
            None if is_path(command) => self.file(command),
            None => self.program(command).ok_or_else(|| self.unknown_program(command)),
        }
    }

    fn file(&self, command: &str) -> Result<Resolved> {
        let expanded = match (command.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(command),
        };
        // Through `components`, so that `./server` is shown without the dot.
        let program: PathBuf = self.cwd.join(expanded).components().collect();
        let refused = |reason: String| Error::Spawn { command: command.to_owned(), reason };
        match std::fs::metadata(&program) {
            Ok(metadata) if metadata.is_dir() => Err(refused("it is a directory; name the program in it".to_owned())),
            Ok(_) if !is_executable(&program) => Err(refused(format!(
                "it is not executable; run `chmod +x {}`, or set `command` to its interpreter and put it into `args`",
                quoted(&program.to_string_lossy())
            ))),
            Ok(_) => Ok(Resolved::new(program, How::Path)),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(refused(error.to_string())),
            Err(_) => Err(Error::CommandNotFound {
                command: command.to_owned(),
                hint: path_hint(command),
                searched: program.display().to_string(),
            }),
        }
    }

    fn program(&self, name: &str) -> Option<Resolved> {
        Some(Resolved::new(find(name, self.path)?, How::Program))
    }

    fn package(&self, command: &str, package: &Package) -> Result<Resolved> {
        match package.index {
            Index::Npm => self.npm(command, package),
            Index::PyPi => self.pypi(command, package),
        }
    }

    fn npm(&self, command: &str, package: &Package) -> Result<Resolved> {
        let local = || self.cwd.ancestors().find_map(|directory| self.installed(package, directory, How::LocalBin));
        let global = || self.global_roots().iter().find_map(|root| self.installed(package, root, How::GlobalNpm));
        if let Some(found) = local().or_else(global) {
            return Ok(found);
        }
        let npx = find("npx", self.path).ok_or_else(|| Error::CommandNotFound {
            command: command.to_owned(),
            hint: format!(
                "the npm package `{}` is not installed and there is no `npx` to fetch it; install Node.js",
                package.spec
            ),
            searched: self.searched(&["`node_modules` of the working directory and above"]),
        })?;
        Ok(Resolved::new(npx, How::Npx).with(["-y".to_owned(), package.spec.clone()]))
    }

    fn pypi(&self, command: &str, package: &Package) -> Result<Resolved> {
        if package.spec == package.name
            && let Some(script) = self.program(&package.name)
        {
            return Ok(script);
        }
        let uvx = find("uvx", self.path).ok_or_else(|| Error::CommandNotFound {
            command: command.to_owned(),
            hint: format!(
                "the Python package `{}` is not installed and there is no `uvx` to fetch it; install uv",
                package.spec
            ),
            searched: self.searched(&[]),
        })?;
        // uvx takes `name@version` for a command; anything else that says more than a name needs `--from`.
        let plain =
            package.spec.strip_prefix(&package.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'));
        let args = if plain {
            vec![package.spec.clone()]
        } else {
            vec!["--from".to_owned(), package.spec.clone(), package.name.clone()]
        };
        Ok(Resolved::new(uvx, How::Uvx).with(args))
    }

    /// The directories whose `node_modules` npm installs into globally: of each Node.js on PATH, and the user's choice.
    fn global_roots(&self) -> Vec<PathBuf> {
        let has_node = |directory: &&PathBuf| ["node", "npm"].iter().any(|name| find_in(name, directory).is_some());
        let prefixes = self.path.iter().filter(has_node).filter_map(|bin| Some(bin.parent()?.join("lib")));
        let chosen = self.npm_prefix.clone().or_else(|| self.prefix_in_npmrc());
        let windows = self.path.iter().filter(|_| cfg!(windows)).filter(has_node).cloned();
        prefixes.chain(chosen.map(|prefix| prefix.join("lib"))).chain(windows).collect()
    }

    fn prefix_in_npmrc(&self) -> Option<PathBuf> {
        let home = self.home.as_ref()?;
        let text = std::fs::read_to_string(home.join(".npmrc")).ok()?;
        let mut settings = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = settings.find(|(name, _)| name.trim() == "prefix")?;
        let value = value.trim().trim_matches('"');
        let in_home = ["~/", "${HOME}/"].iter().find_map(|start| value.strip_prefix(start));
        Some(in_home.map_or_else(|| PathBuf::from(value), |rest| home.join(rest)))
    }

    /// The program of a package in `root/node_modules`, if it is there in the version that is wanted.
    fn installed(&self, package: &Package, root: &Path, how: How) -> Option<Resolved> {
        let modules = root.join("node_modules");
        let directory = modules.join(&package.name);
        let manifest: Value = serde_json::from_slice(&std::fs::read(directory.join("package.json")).ok()?).ok()?;
        if package.version.as_deref().is_some_and(|wanted| manifest["version"] != *wanted) {
            return None;
        }
        let (name, file) = bin(&manifest["bin"], package.last_part())?;
        let script: PathBuf = directory.join(file).components().collect();
        if let Some(flags) = node_flags(&script) {
            // Without the shell and the link that npx goes through: two processes less for each entry.
            let beside = root.parent().map(|prefix| prefix.join("bin"));
            let node = beside.and_then(|bin| find_in("node", &bin)).or_else(|| find("node", self.path))?;
            return Some(Resolved::new(node, how).with(flags.into_iter().chain([script.to_str()?.to_owned()])));
        }
        let link = find_in(name, &modules.join(".bin"));
        let program = link.or_else(|| Some(script).filter(|script| script.is_file() && is_executable(script)))?;
        Some(Resolved::new(program, how))
    }

    fn unknown_program(&self, command: &str) -> Error {
        let hint = program_hint(command);
        Error::CommandNotFound { command: command.to_owned(), hint, searched: self.searched(&[]) }
    }

    /// Where it was looked for, short enough for a line.
    fn searched(&self, before: &[&str]) -> String {
        const SHOWN: usize = 6;
        let directories = self.path.iter().map(|directory| directory.display().to_string());
        let mut places: Vec<String> = before.iter().map(|place| (*place).to_owned()).chain(directories).collect();
        let more = places.len().saturating_sub(SHOWN);
        places.truncate(SHOWN);
        match (places.is_empty(), more) {
            (true, _) => "no directory: PATH is empty".to_owned(),
            (false, 0) => places.join(", "),
            (false, more) => format!("{} and {more} more", places.join(", ")),
        }
    }
}

/// A package of a public index, as a command names it.
#[derive(Debug, PartialEq)]
struct Package {
    index: Index,
    /// Its name there.
    name: String,
    /// The version that is wanted, if one is.
    version: Option<String>,
    /// Name and version as the index' own tool takes them.
    spec: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Index {
    Npm,
    PyPi,
}

impl Package {
    fn parse(command: &str) -> Option<Self> {
        if let Some(spec) = command.strip_prefix("npm:") {
            return Self::npm(spec);
        }
        if let Some(spec) = command.strip_prefix("pypi:") {
            return Self::pypi(spec);
        }
        let (name, version) = versioned(command);
        match WELL_KNOWN.iter().find(|(known, _)| *known == name) {
            Some((_, Index::PyPi)) => Self::pypi(command),
            Some((_, Index::Npm)) => Self::npm(command),
            None if version.is_some() || name.starts_with('@') => Self::npm(command),
            None => None,
        }
    }

    fn npm(spec: &str) -> Option<Self> {
        let (name, version) = versioned(spec);
        let valid = match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| is_word(scope) && is_word(name)),
            None => is_word(name),
        };
        // What follows is given to npx: no white space, no path, no address.
        let version_fits = version.is_none_or(|version| !version.is_empty() && !version.contains(['/', ':', ' ']));
        (valid && version_fits).then(|| Self::new(Index::Npm, spec, name, version))
    }

    fn pypi(spec: &str) -> Option<Self> {
        let end = spec.find(|c: char| !is_word_char(c)).unwrap_or(spec.len());
        let (name, rest) = spec.split_at(end);
        let rest_fits = rest.is_empty() || (rest.len() > 1 && rest.starts_with(['@', '[', '=', '<', '>', '~', '!']));
        let fits = is_word(name) && rest_fits && !rest.contains(['/', ':', ' ']);
        fits.then(|| Self::new(Index::PyPi, spec, name, rest.strip_prefix('@')))
    }

    fn new(index: Index, spec: &str, name: &str, version: Option<&str>) -> Self {
        Self { index, name: name.to_owned(), version: version.map(str::to_owned), spec: spec.to_owned() }
    }

    fn last_part(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// `name@version` in its parts. The `@` of a scope is none that divides.
fn versioned(spec: &str) -> (&str, Option<&str>) {
    match spec.rfind('@') {
        Some(at) if at > 0 => (&spec[..at], Some(&spec[at + 1..])),
        _ => (spec, None),
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_') && text.chars().all(is_word_char)
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn is_path(command: &str) -> bool {
    command.contains('/') || (cfg!(windows) && command.contains('\\'))
}

/// The name and file of a package's program: the one named as the package, or the only one.
fn bin<'a>(field: &'a Value, package: &'a str) -> Option<(&'a str, &'a str)> {
    match field {
        Value::String(file) => Some((package, file)),
        Value::Object(all) => {
            let only = || all.iter().next().filter(|_| all.len() == 1).map(|(name, file)| (name.as_str(), file));
            let (name, file) = all.get(package).map(|file| (package, file)).or_else(only)?;
            Some((name, file.as_str()?))
        }
        _ => None,
    }
}

/// What to give to Node.js before the file, if the file says that Node.js runs it.
fn node_flags(script: &Path) -> Option<Vec<String>> {
    let mut start = Vec::new();
    std::fs::File::open(script).ok()?.take(256).read_to_end(&mut start).ok()?;
    let first = String::from_utf8_lossy(start.split(|byte| *byte == b'\n').next()?).into_owned();
    let Some(line) = first.strip_prefix("#!") else {
        let is_script =
            script.extension().is_some_and(|extension| ["js", "mjs", "cjs"].iter().any(|js| extension == *js));
        return is_script.then(Vec::new);
    };
    let mut words = line.split_whitespace();
    let interpreter = words.next()?;
    let program = if interpreter.ends_with("/env") { words.find(|word| *word != "-S")? } else { interpreter };
    (stem(Path::new(program)) == "node").then(|| words.map(str::to_owned).collect())
}

fn find(name: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    directories.iter().find_map(|directory| find_in(name, directory))
}

fn find_in(name: &str, directory: &Path) -> Option<PathBuf> {
    // Not a word that leads out of the directory, and not the directory itself.
    if name.is_empty() || is_path(name) {
        return None;
    }
    which::which_in_global(name, Some(directory)).ok()?.next()
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(_file: &Path) -> bool {
    true
}

fn stem(program: &Path) -> &str {
    program.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

fn path_hint(command: &str) -> String {
    let mut hint = "there is no such file".to_owned();
    if command.starts_with(['/', '~']) {
        return hint + "; check `command`";
    }
    hint.push_str("; a relative path starts at the entry's `cwd`");
    let scoped = format!("@{command}");
    if Package::npm(&scoped).is_some() {
        let _ = write!(hint, ", an npm package is written `{scoped}`");
    }
    hint
}

fn program_hint(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    match (words.as_slice(), command) {
        ([], _) => "set `command` to a program, a path or a package".to_owned(),
        ([program, _, ..], _) => {
            format!("`command` is the program alone: write `{program}` and put the rest into `args`")
        }
        (_, "node" | "npm" | "npx" | "pnpx") => "install Node.js or set `command` to a full path".to_owned(),
        (_, "uv" | "uvx") => "install uv or set `command` to a full path".to_owned(),
        (_, "bun" | "bunx") => "install Bun or set `command` to a full path".to_owned(),
        (_, word) if is_word(word) => format!(
            "install it or set `command` to a full path; if it is a package, write `npm:{word}` or `pypi:{word}`"
        ),
        _ => "install it or set `command` to a full path".to_owned(),
    }
}

/// A word as a shell takes it, in quotes only when it needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    /// A machine of its own: `bin` is on PATH, `work/app` is where the entry runs, `home` is the home directory.
    struct Machine(tempfile::TempDir);

    const NODE: &str = "#!/usr/bin/env node\n";

    impl Machine {
        fn with(programs: &[&str]) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for directory in ["bin", "work/app", "home"] {
                fs::create_dir_all(machine.at(directory)).unwrap();
            }
            for program in programs {
                machine.program(&format!("bin/{program}"), "#!/bin/sh\n");
            }
            machine
        }

        fn at(&self, place: &str) -> PathBuf {
            self.0.path().join(place)
        }

        fn file(&self, place: &str, text: &str) {
            fs::create_dir_all(self.at(place).parent().unwrap()).unwrap();
            fs::write(self.at(place), text).unwrap();
        }

        fn program(&self, place: &str, text: &str) {
            self.file(place, text);
            fs::set_permissions(self.at(place), fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn package(&self, directory: &str, bin: &str) {
            self.file(&format!("{directory}/package.json"), &format!(r#"{{ "version": "1.2.3", "bin": {bin} }}"#));
        }

        fn resolve(&self, command: &str) -> Result<Resolved> {
            let (cwd, path) = (self.at("work/app"), [self.at("bin")]);
            Search { cwd: &cwd, path: &path, home: Some(self.at("home")), npm_prefix: None }.resolve(command)
        }

        /// The command line without the machine's own directory, and how it was found.
        fn found(&self, command: &str) -> (String, How) {
            let resolved = self.resolve(command).unwrap();
            (self.relative(&resolved.line(&[])), resolved.how)
        }

        fn refusal(&self, command: &str) -> String {
            self.relative(&self.resolve(command).unwrap_err().to_string())
        }

        fn relative(&self, text: &str) -> String {
            text.replace(&format!("{}/", self.0.path().display()), "")
        }
    }

    fn line(text: &str, how: How) -> (String, How) {
        (text.to_owned(), how)
    }

    #[test]
    fn a_path_is_taken_from_cwd_home_or_root() {
        let machine = Machine::with(&["server"]);
        machine.program("work/app/bin/server", "");
        machine.program("home/server", "");
        assert_eq!(machine.found("./bin/server"), line("work/app/bin/server", How::Path));
        assert_eq!(machine.found("bin/server"), line("work/app/bin/server", How::Path));
        assert_eq!(machine.found("~/server"), line("home/server", How::Path));
        let full = machine.at("bin/server");
        assert_eq!(machine.found(full.to_str().unwrap()), line("bin/server", How::Path));
    }

    #[test]
    fn a_path_that_cannot_be_started_says_why() {
        let machine = Machine::with(&[]);
        machine.file("work/app/server.py", "");
        assert_eq!(
            machine.refusal("./server.py"),
            "cannot start `./server.py`: it is not executable; run `chmod +x work/app/server.py`, or set `command` to \
             its interpreter and put it into `args`"
        );
        assert_eq!(machine.refusal("../app"), "cannot start `../app`: it is a directory; name the program in it");
        assert_eq!(
            machine.refusal("/nowhere/server"),
            "`/nowhere/server` was not found; there is no such file; check `command` (looked in /nowhere/server)"
        );
        assert_eq!(
            machine.refusal("scope/server"),
            "`scope/server` was not found; there is no such file; a relative path starts at the entry's `cwd`, an npm \
             package is written `@scope/server` (looked in work/app/scope/server)"
        );
    }

    #[test]
    fn a_program_is_the_first_on_path_that_can_run() {
        let machine = Machine::with(&["server"]);
        machine.file("other/server", "not executable");
        let path = [machine.at("other"), machine.at("bin")];
        let search = Search { cwd: Path::new("/"), path: &path, home: None, npm_prefix: None };
        assert_eq!(search.resolve("server").unwrap().program, machine.at("bin/server"));
    }

    #[test]
    fn a_word_that_is_not_found_never_becomes_a_download() {
        let machine = Machine::with(&["npx", "uvx"]);
        assert_eq!(
            machine.refusal("gti"),
            format!(
                "`gti` was not found; install it or set `command` to a full path; if it is a package, write `npm:gti` \
                 or `pypi:gti` (looked in {})",
                machine.relative(machine.at("bin").to_str().unwrap())
            )
        );
        for no_package in
            ["npm:", "npm:a/b", "npm:@a", "npm:-y", "pypi:-c", "@scope", "pypi:git+https://x", "a b@1", ""]
        {
            assert!(matches!(machine.resolve(no_package), Err(Error::CommandNotFound { .. })), "{no_package}");
        }
    }

    #[test]
    fn hints_fit_the_mistake() {
        let machine = Machine::with(&[]);
        for (command, hint) in [
            ("npx", "install Node.js or set `command` to a full path"),
            ("uvx", "install uv or set `command` to a full path"),
            ("npx -y server", "`command` is the program alone: write `npx` and put the rest into `args`"),
            ("", "set `command` to a program, a path or a package"),
            ("@a/b", "the npm package `@a/b` is not installed and there is no `npx` to fetch it; install Node.js"),
            ("pypi:a", "the Python package `a` is not installed and there is no `uvx` to fetch it; install uv"),
        ] {
            assert!(machine.refusal(command).contains(&format!("not found; {hint} (")), "{}", machine.refusal(command));
        }
    }

    #[test]
    fn the_places_searched_are_a_short_list() {
        let path: Vec<PathBuf> = (1..=9).map(|number| PathBuf::from(format!("/{number}"))).collect();
        let searched =
            |path: &[PathBuf]| Search { cwd: Path::new("/"), path, home: None, npm_prefix: None }.searched(&[]);
        assert_eq!(searched(&path), "/1, /2, /3, /4, /5, /6 and 3 more");
        assert_eq!(searched(&path[..2]), "/1, /2");
        assert_eq!(searched(&[]), "no directory: PATH is empty");
    }

    #[test]
    fn packages_that_are_not_installed_are_fetched() {
        let machine = Machine::with(&["npx", "uvx"]);
        for (command, expected, how) in [
            ("@scope/server", "bin/npx -y @scope/server", How::Npx),
            ("@scope/server@2.0.0", "bin/npx -y @scope/server@2.0.0", How::Npx),
            ("server@latest", "bin/npx -y server@latest", How::Npx),
            ("npm:server", "bin/npx -y server", How::Npx),
            ("npm:@scope/server@^1", "bin/npx -y '@scope/server@^1'", How::Npx),
            ("chrome-devtools-mcp", "bin/npx -y chrome-devtools-mcp", How::Npx),
            ("pypi:server", "bin/uvx server", How::Uvx),
            ("pypi:server@1.0", "bin/uvx server@1.0", How::Uvx),
            ("pypi:server[cli]==1.0", "bin/uvx --from 'server[cli]==1.0' server", How::Uvx),
            ("mcp-server-time", "bin/uvx mcp-server-time", How::Uvx),
            ("mcp-server-time@2025.9.25", "bin/uvx mcp-server-time@2025.9.25", How::Uvx),
        ] {
            assert_eq!(machine.found(command), line(expected, how), "{command}");
            assert!(machine.resolve(command).unwrap().fetches);
        }
    }

    #[test]
    fn a_program_on_path_comes_before_a_package_of_its_name() {
        let machine = Machine::with(&["npx", "uvx", "chrome-devtools-mcp", "server"]);
        assert_eq!(machine.found("chrome-devtools-mcp"), line("bin/chrome-devtools-mcp", How::Program));
        assert_eq!(machine.found("pypi:server"), line("bin/server", How::Program));
        assert_eq!(machine.found("pypi:server@1.0").1, How::Uvx);
        assert_eq!(machine.found("npm:server").1, How::Npx);
    }

    #[test]
    fn a_package_in_node_modules_runs_in_node_without_npx() {
        let machine = Machine::with(&["npx", "node"]);
        machine.package("work/node_modules/@scope/server", r#"{ "other": "o.js", "server": "./dist/cli.js" }"#);
        machine.file("work/node_modules/@scope/server/dist/cli.js", NODE);
        let expected = line("bin/node work/node_modules/@scope/server/dist/cli.js", How::LocalBin);
        assert_eq!(machine.found("@scope/server"), expected);
        assert_eq!(machine.found("@scope/server@1.2.3"), expected);
        assert_eq!(machine.found("@scope/server@1.2.4").1, How::Npx);
        assert!(!machine.resolve("@scope/server").unwrap().fetches);
    }

    #[test]
    fn flags_for_node_are_kept() {
        let machine = Machine::with(&["node"]);
        machine.package("work/app/node_modules/server", r#""cli.js""#);
        machine.file("work/app/node_modules/server/cli.js", "#!/usr/bin/env -S node --no-warnings\nmain()");
        let expected = line("bin/node --no-warnings work/app/node_modules/server/cli.js", How::LocalBin);
        assert_eq!(machine.found("npm:server"), expected);
    }

    #[test]
    fn a_package_that_node_does_not_run_is_started_by_its_link() {
        let machine = Machine::with(&["npx", "node"]);
        machine.package("work/app/node_modules/server", r#"{ "only": "run.sh" }"#);
        machine.program("work/app/node_modules/server/run.sh", "#!/bin/sh\n");
        assert_eq!(machine.found("npm:server"), line("work/app/node_modules/server/run.sh", How::LocalBin));
        machine.program("work/app/node_modules/.bin/only", "#!/bin/sh\n");
        assert_eq!(machine.found("npm:server"), line("work/app/node_modules/.bin/only", How::LocalBin));
    }

    #[test]
    fn a_package_without_a_clear_program_or_without_its_file_is_left_to_npx() {
        let machine = Machine::with(&["npx", "node"]);
        for bin in [r#"{ "a": "a.js", "b": "b.js" }"#, "null", r#""missing.js""#] {
            machine.package("work/app/node_modules/server", bin);
            assert_eq!(machine.found("npm:server").1, How::Npx, "{bin}");
        }
    }

    #[test]
    fn a_global_package_belongs_to_the_node_beside_it() {
        let machine = Machine::with(&["npx", "node"]);
        machine.package("lib/node_modules/server", r#""cli.js""#);
        machine.file("lib/node_modules/server/cli.js", NODE);
        assert_eq!(machine.found("npm:server"), line("bin/node lib/node_modules/server/cli.js", How::GlobalNpm));
    }

    #[test]
    fn the_users_npm_prefix_is_searched() {
        let machine = Machine::with(&["npx", "node"]);
        machine.package("home/global/lib/node_modules/server", r#""cli.js""#);
        machine.file("home/global/lib/node_modules/server/cli.js", NODE);
        machine.file("home/.npmrc", "fund=false\nprefix = ${HOME}/global\n");
        let expected = line("bin/node home/global/lib/node_modules/server/cli.js", How::GlobalNpm);
        assert_eq!(machine.found("npm:server"), expected);
        let (cwd, path, npm_prefix) = (machine.at("work"), [machine.at("bin")], Some(machine.at("home/global")));
        let found = Search { cwd: &cwd, path: &path, home: None, npm_prefix }.resolve("npm:server");
        assert_eq!(found.unwrap().how, How::GlobalNpm);
    }

    #[test]
    fn commands_that_may_fetch_are_known() {
        let machine = Machine::with(&["npx", "npm", "docker", "node"]);
        for (command, args, fetches) in [
            ("npx", vec!["server"], true),
            ("npm", vec!["--silent", "exec", "server"], true),
            ("npm", vec!["start"], false),
            ("docker", vec!["run", "-i", "image"], true),
            ("node", vec!["run"], false),
        ] {
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            assert_eq!(machine.resolve(command).unwrap().may_fetch(&args), fetches, "{command} {args:?}");
        }
        let npx = machine.at("bin/npx");
        assert!(machine.resolve(npx.to_str().unwrap()).unwrap().fetches);
    }

    #[test]
    fn a_line_is_quoted_only_where_a_shell_needs_it() {
        let resolved = Resolved::new(PathBuf::from("/my bin/s"), How::Path);
        let args = ["--a=b", "it's", "", "$HOME", "@x/y@1.0"].map(str::to_owned);
        assert_eq!(resolved.line(&args), r"'/my bin/s' --a=b 'it'\''s' '' '$HOME' @x/y@1.0");
    }
}
