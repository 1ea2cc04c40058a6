//! From the command of an entry, or of a managed program, to the program that is started for it.

mod package;
mod prepare;
#[cfg(unix)]
#[cfg(test)]
mod tests;

use std::{
    fmt::Write,
    io::Read,
    path::{Path, PathBuf},
};

use package::{Index, Package, is_word};
pub(crate) use prepare::{Prepared, Wanted};
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
        as_line(std::iter::once(program.as_ref()).chain(self.args.iter().chain(own_args).map(String::as_str)))
    }
}

/// Programs that fetch what they run.
const FETCHERS: [&str; 4] = ["npx", "pnpx", "bunx", "uvx"];

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

/// Words as a shell takes them.
pub(crate) fn as_line<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
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
