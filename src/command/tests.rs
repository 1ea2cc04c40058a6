//! Commands of every kind, with real files in scratch directories.

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
    for no_package in ["npm:", "npm:a/b", "npm:@a", "npm:-y", "pypi:-c", "@scope", "pypi:git+https://x", "a b@1", ""] {
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
    let searched = |path: &[PathBuf]| Search { cwd: Path::new("/"), path, home: None, npm_prefix: None }.searched(&[]);
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
