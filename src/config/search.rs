//! Where a config file is looked for, and whether it may be used.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    str::Utf8Error,
};

use super::{
    ComputerConfig, Dialect,
    dialect::{self, Setting},
    file::{DEFAULT, LoadError, Loaded, NAME, parse},
    ownership::Access,
    problem::{self, Problem},
    trust::Store,
};

use crate::environment;

/// Where a configuration is looked for.
pub(super) struct Search {
    pub(super) named: Option<PathBuf>,
    /// Whose the named file is; its path tells when it is not given.
    pub(super) dialect: Option<Dialect>,
    pub(super) directory: PathBuf,
    pub(super) config_home: Option<PathBuf>,
    pub(super) trusted: Option<Store>,
}

impl Search {
    pub(super) fn load(&self) -> Result<Loaded, LoadError> {
        if let Some(path) = &self.named {
            let file = Found::open(path, &self.directory)?.ok_or_else(|| LoadError::NotFound { path: path.clone() })?;
            let dialect = self.dialect.unwrap_or_else(|| Dialect::of_path(&file.path));
            // What other programs write was not written for `${cmd:…}`.
            let may_run_commands = dialect == Dialect::Computer && file.access.is_ours();
            let mut loaded = self.read(file, dialect)?;
            loaded.config.may_run_commands = may_run_commands;
            return Ok(loaded);
        }
        if let Some(dialect) = self.dialect {
            return Err(LoadError::NoFile { dialect });
        }
        let mut passed_over = Vec::new();
        let mut loaded = match self.first_file(&mut passed_over)? {
            Some(file) => self.read(file, Dialect::Computer)?,
            None => self.built_in()?,
        };
        loaded.warnings.splice(0..0, passed_over);
        Ok(loaded)
    }

    fn first_file(&self, passed_over: &mut Vec<Problem>) -> Result<Option<Found>, LoadError> {
        let local = self.directory.join(NAME);
        // A pipe or a device would be no file that anybody trusted, and opening it may wait for ever.
        if local.is_file() {
            match Found::open(&local, &self.directory) {
                Ok(Some(file)) if self.trusts(&file) => return Ok(Some(file)),
                Ok(None) => {}
                Ok(Some(_)) => passed_over.push(Problem::of_file(
                    &local.display().to_string(),
                    "not used: it was not trusted, or has changed since; `computer trust` uses it",
                )),
                Err(error) => passed_over.push(Problem::of_file(&local.display().to_string(), error.to_string())),
            }
        }
        self.config_home.as_ref().map_or(Ok(None), |home| Found::open(&home.join(NAME), &self.directory))
    }

    fn trusts(&self, file: &Found) -> bool {
        self.trusted.as_ref().is_some_and(|store| store.holds(&file.path, &file.content))
    }

    fn read(&self, file: Found, dialect: Dialect) -> Result<Loaded, LoadError> {
        let name = file.named.display().to_string();
        if let Some(reason) = file.access.danger() {
            return Err(LoadError::Unsafe { path: file.named, reason });
        }
        let text = std::str::from_utf8(&file.content).map_err(|error| not_utf8(&file.content, &name, error))?;
        let lies_in = file.path.parent().unwrap_or(&self.directory).to_owned();
        let workspace = project_of(&lies_in).unwrap_or_else(|| self.directory.clone());
        let setting = Setting { directory: lies_in, workspace: workspace.clone() };
        let (mut config, mut found) = dialect::read(text, &name, (dialect, &setting));
        if !found.mistakes.is_empty() {
            return Err(LoadError::Problems(hinted(found.mistakes, &file.path, dialect)));
        }
        if file.access.is_group_writable() {
            found
                .warnings
                .push(Problem::of_file(&name, "your group can write it, and it decides what runs; `chmod g-w` it"));
        }
        if file.access.is_readable_by_others() {
            found.warnings.extend(found.secrets.into_iter().map(|secret| exposed(secret, dialect)));
        }
        config.workspace = Some(workspace);
        Ok(Loaded { config, path: Some(file.path), dialect, warnings: found.warnings, unused: found.unused })
    }

    fn built_in(&self) -> Result<Loaded, LoadError> {
        let (config, warnings) = parse(DEFAULT, "built-in default").map_err(LoadError::Problems)?;
        let config = ComputerConfig { workspace: Some(self.directory.clone()), ..config };
        Ok(Loaded { config, path: None, dialect: Dialect::Computer, warnings, unused: Vec::new() })
    }
}

/// The project that a directory of an editor's settings belongs to: what its files mean by the workspace, wherever we were
/// started. The same directory at home is nobody's project.
fn project_of(directory: &Path) -> Option<PathBuf> {
    let is_settings = matches!(directory.file_name()?.to_str()?, ".vscode" | ".cursor" | ".roo" | ".zed" | ".gemini");
    let project = directory.parent()?;
    (is_settings && environment::home().as_deref() != Some(project)).then(|| project.to_owned())
}

fn exposed(secret: Problem, dialect: Dialect) -> Problem {
    let cure = match dialect {
        Dialect::Computer => "`chmod 600` it, or write `${env:…}` or `${file:…}`",
        _ => "`chmod 600` it",
    };
    let message = format!("`{}` looks like a secret, and other users can read this file; {cure}", secret.message);
    Problem { message, ..secret }
}

/// A file in a syntax that is not ours is most likely no file of ours.
fn hinted(mut mistakes: Vec<Problem>, path: &Path, dialect: Dialect) -> Vec<Problem> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if dialect == Dialect::Computer && matches!(ending, "toml" | "yaml" | "yml") {
        for mistake in &mut mistakes {
            mistake.message.push_str("; if it is the file of another program, say whose by `--dialect`");
        }
    }
    mistakes
}

fn not_utf8(content: &[u8], name: &str, error: Utf8Error) -> LoadError {
    let before = String::from_utf8_lossy(&content[..error.valid_up_to()]);
    let (line, column) = problem::place(&before, before.len());
    let message = "this is not UTF-8; save the file as UTF-8".to_owned();
    LoadError::Problems(vec![Problem { file: name.to_owned(), line, column, message }])
}

/// A file that was read once: what is judged is what is used.
struct Found {
    named: PathBuf,
    path: PathBuf,
    content: Vec<u8>,
    access: Access,
}

impl Found {
    /// `None` when there is no such file.
    fn open(named: &Path, directory: &Path) -> Result<Option<Self>, LoadError> {
        let path = directory.join(named);
        match Self::read(&path) {
            Ok((content, access)) => Ok(Some(Self { named: named.to_owned(), path, content, access })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LoadError::Unreadable { path: named.to_owned(), reason: error.to_string() }),
        }
    }

    fn read(path: &Path) -> io::Result<(Vec<u8>, Access)> {
        let mut file = fs::File::open(path)?;
        let access = Access::of(&file.metadata()?);
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok((content, access))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct World {
        root: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for directory in ["work", "home"] {
                fs::create_dir(root.path().join(directory)).unwrap();
            }
            Self { root }
        }

        fn path(&self, file: &str) -> PathBuf {
            self.root.path().join(file)
        }

        fn write(&self, file: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.path(file);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn store(&self) -> Store {
            Store::in_directory(self.path("state"))
        }

        fn load(&self, named: Option<&Path>) -> Result<Loaded, LoadError> {
            Search {
                named: named.map(Path::to_owned),
                dialect: None,
                directory: self.path("work"),
                config_home: Some(self.path("home")),
                trusted: Some(self.store()),
            }
            .load()
        }
    }

    /// A config that is told from others by its `nameLimit`.
    fn limit(limit: usize) -> String {
        format!(r#"{{ "nameLimit": {limit} }}"#)
    }

    #[test]
    fn without_any_file_the_default_holds() {
        let world = World::new();
        let loaded = world.load(None).unwrap();
        assert_eq!(loaded.path, None);
        assert_eq!(loaded.config.entries.len(), 2);
        assert_eq!(loaded.config.workspace, Some(world.path("work")));
        assert!(!loaded.config.may_run_commands);
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn a_named_file_wins_and_may_run_commands() {
        let world = World::new();
        world.write("home/computer.json", &limit(30), 0o600);
        world.write("work/named.json", &limit(40), 0o600);
        let loaded = world.load(Some(Path::new("named.json"))).unwrap();
        assert_eq!(loaded.config.name_limit, 40);
        assert!(loaded.config.may_run_commands);
        assert_eq!(loaded.path, Some(world.path("work/named.json")));
    }

    #[test]
    fn the_file_of_another_program_is_told_from_its_place_and_may_not_run_commands() {
        let world = World::new();
        fs::create_dir(world.path("work/.cursor")).unwrap();
        let text = r#"{ "mcpServers": { "a": { "command": "x", "env": { "API_KEY": "abc" }, "colour": 1 } } }"#;
        world.write("work/.cursor/mcp.json", text, 0o644);
        let loaded = world.load(Some(Path::new(".cursor/mcp.json"))).unwrap();
        assert_eq!((loaded.dialect, loaded.config.may_run_commands), (Dialect::Cursor, false));
        assert_eq!(loaded.unused[0].to_string(), ".cursor/mcp.json:1:71: `mcpServers.a.colour` is not used");
        let said = "`API_KEY` looks like a secret, and other users can read this file; `chmod 600` it";
        assert_eq!(loaded.warnings[0].message, said);
    }

    #[test]
    fn a_named_dialect_wins_over_the_place_and_needs_a_file() {
        let world = World::new();
        world.write("work/mine.toml", "[mcp_servers.a]\ncommand = 'x'\n", 0o600);
        let search = |named: Option<&str>| Search {
            named: named.map(PathBuf::from),
            dialect: Some(Dialect::Codex),
            directory: world.path("work"),
            config_home: None,
            trusted: None,
        };
        let loaded = search(Some("mine.toml")).load().unwrap();
        assert_eq!((loaded.dialect, loaded.config.entries.len()), (Dialect::Codex, 1));
        let error = search(None).load().unwrap_err().to_string();
        assert!(error.starts_with("`--dialect codex` says whose a file is, and no file was named"), "{error}");
        let error = world.load(Some(Path::new("mine.toml"))).unwrap_err().to_string();
        assert!(error.ends_with("; if it is the file of another program, say whose by `--dialect`"), "{error}");
    }

    #[test]
    fn the_users_own_file_is_found_and_may_not_run_commands() {
        let world = World::new();
        world.write("home/computer.json", &limit(30), 0o600);
        let loaded = world.load(None).unwrap();
        assert_eq!(loaded.config.name_limit, 30);
        assert!(!loaded.config.may_run_commands);
    }

    #[test]
    fn a_local_file_is_used_only_when_it_was_trusted_as_it_is() {
        let world = World::new();
        world.write("home/computer.json", &limit(30), 0o600);
        let local = world.write("work/computer.json", &limit(50), 0o600);
        let loaded = world.load(None).unwrap();
        assert_eq!(loaded.config.name_limit, 30);
        let said = "not used: it was not trusted, or has changed since; `computer trust` uses it";
        assert_eq!(loaded.warnings, [Problem::of_file(&local.display().to_string(), said)]);

        world.store().add(&local).unwrap();
        let loaded = world.load(None).unwrap();
        assert_eq!((loaded.config.name_limit, loaded.warnings.len()), (50, 0));
        assert!(!loaded.config.may_run_commands);

        world.write("work/computer.json", &limit(60), 0o600);
        assert_eq!(world.load(None).unwrap().config.name_limit, 30);
    }

    #[test]
    fn a_named_file_that_is_missing_or_a_directory_is_an_error() {
        let world = World::new();
        let missing = world.load(Some(Path::new("no.json"))).unwrap_err();
        assert_eq!(missing.to_string(), "there is no config file `no.json`; `computer init` writes one");
        let directory = world.load(Some(Path::new("."))).unwrap_err();
        assert!(matches!(directory, LoadError::Unreadable { .. }), "{directory}");
    }

    #[test]
    fn a_file_that_everybody_can_write_is_refused_before_it_is_read() {
        let world = World::new();
        let path = world.write("home/computer.json", "broken", 0o602);
        let error = world.load(None).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("will not use the config file `{}`: everybody can write it; `chmod o-w` it", path.display())
        );
    }

    #[test]
    fn a_file_that_the_group_can_write_is_used_with_a_warning() {
        let world = World::new();
        let path = world.write("home/computer.json", &limit(30), 0o660);
        let loaded = world.load(None).unwrap();
        let said = "your group can write it, and it decides what runs; `chmod g-w` it";
        assert_eq!(loaded.warnings, [Problem::of_file(&path.display().to_string(), said)]);
    }

    #[test]
    fn literal_secrets_in_a_file_that_others_can_read_are_warned_of_where_they_stand() {
        let world = World::new();
        let text = r#"{ "mcpServers": { "a": { "command": "x", "env": {
            "API_token": "abc",
            "KEY_FILE": "${file:~/key}",
            "EMPTY_KEY": "",
            "PLAIN": "abc" } } } }"#;
        let path = world.write("home/computer.json", text, 0o644);
        let loaded = world.load(None).unwrap();
        assert_eq!(loaded.warnings.len(), 1);
        let warning = &loaded.warnings[0];
        assert_eq!((warning.line, warning.column), (2, 26));
        assert!(warning.message.starts_with("`API_token` looks like a secret"), "{warning}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(world.load(None).unwrap().warnings, []);
    }

    #[test]
    fn the_mistakes_of_a_file_come_all_at_once() {
        let world = World::new();
        world.write("home/computer.json", r#"{ "nameLimit": 2, "statusTools": "x" }"#, 0o600);
        let LoadError::Problems(problems) = world.load(None).unwrap_err() else { panic!("no problems") };
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn a_file_that_is_not_utf_8_says_where() {
        let world = World::new();
        fs::write(world.path("home/computer.json"), b"{\n  \"\xc3\xa4\xff\" }").unwrap();
        let LoadError::Problems(problems) = world.load(None).unwrap_err() else { panic!("no problems") };
        assert_eq!((problems[0].line, problems[0].column), (2, 5));
    }
}
