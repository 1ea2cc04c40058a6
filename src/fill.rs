//! Filling in the `${…}` references of a recipe, anew at each start: a restart takes a rotated secret.

mod env_file;
mod programs;

use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

pub(crate) use programs::{Programs, Standing, Teller};

use crate::{
    config::template::{self, Address, Reference},
    environment::{self, InheritEnv, LoginEnvironment},
    error::{Error, Result},
    process::{self, Spawn},
    secret::{self, Secrets, looks_secret},
};

/// How long a program that prints a value may take.
const COMMAND: Duration = Duration::from_secs(10);

/// What references stand for is looked up in these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// What relative paths and `${workspaceFolder}` mean.
    pub(crate) workspace: PathBuf,
    /// Whether `${cmd:…}` may run programs.
    pub(crate) may_run_commands: bool,
    /// Variables that hold secrets of some entry: no business of a shell's.
    pub(crate) withheld: Withheld,
    /// The programs that are started and kept beside the entries.
    pub(crate) programs: Programs,
}

impl Surroundings {
    /// The same for who wants to know what would be run, and starts nothing.
    pub(crate) fn as_written(&self) -> Self {
        Self { programs: self.programs.as_written(), ..self.clone() }
    }

    /// Returns when the browsers that texts refer to are up, or have failed to be. Cancel safe.
    pub(crate) async fn browsers_settled<'t>(&self, texts: impl IntoIterator<Item = &'t str>) {
        for reference in texts.into_iter().flat_map(template::references) {
            if let Reference::Browser { program, .. } = reference {
                self.programs.settled(&program).await;
            }
        }
    }

    /// Whether the same references stand for the same.
    pub(crate) fn mean_the_same_as(&self, other: &Self) -> bool {
        self.workspace == other.workspace && self.may_run_commands == other.may_run_commands
    }
}

/// Names of variables that entries of a Computer take secrets from. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Withheld(Arc<RwLock<BTreeSet<String>>>);

impl Withheld {
    /// Adds what texts take secrets from.
    pub(crate) fn add<'t>(&self, texts: impl IntoIterator<Item = &'t str>) {
        let references = texts.into_iter().flat_map(template::references);
        let names = references.flat_map(|reference| match reference {
            Reference::Env(name) => vec![name],
            Reference::Variable { name, .. } if looks_secret(&name) => vec![name],
            Reference::Input(id) => vec![input_variable(&id), id],
            Reference::Variable { .. }
            | Reference::File(_)
            | Reference::Command(_)
            | Reference::WorkspaceFolder
            | Reference::UserHome
            | Reference::Browser { .. } => Vec::new(),
        });
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    /// Whether a variable is among them.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

/// Fills in references, and collects what must not be seen.
pub(crate) struct Filler<'a> {
    around: &'a Surroundings,
    pub(crate) login: Arc<LoginEnvironment>,
    secrets: Vec<String>,
}

impl<'a> Filler<'a> {
    pub(crate) async fn new(around: &'a Surroundings) -> Self {
        Self { around, login: environment::login().await, secrets: Vec::new() }
    }

    /// The text with its references filled in.
    pub(crate) async fn text(&mut self, text: &str) -> Result<String> {
        let mut printed = HashMap::new();
        for reference in template::references(text) {
            if let Reference::Command(command) = reference {
                let value = self.run(&command).await?;
                self.secrets.push(value.clone());
                printed.insert(command, value);
            }
        }
        template::fill(text, &mut |reference| self.value(reference, &printed))
    }

    /// What a reference stands for, but for what a program would print.
    pub(crate) fn look_up(&mut self, reference: &Reference) -> Result<String> {
        self.value(reference, &HashMap::new())
    }

    /// The content of a file of variables, unless it cannot be read or a program would have to say where it is.
    pub(crate) fn look_into(&mut self, env_file: &str) -> Result<Vec<(String, String)>> {
        let path = template::fill(env_file, &mut |reference| self.look_up(reference))?;
        self.env_file(&path)
    }

    /// Texts with their references filled in.
    pub(crate) async fn texts(&mut self, texts: &[String]) -> Result<Vec<String>> {
        let mut filled = Vec::with_capacity(texts.len());
        for text in texts {
            filled.push(self.text(text).await?);
        }
        Ok(filled)
    }

    /// Variables with their references filled in.
    pub(crate) async fn variables(&mut self, variables: &[(String, String)]) -> Result<Vec<(String, String)>> {
        let mut filled = Vec::with_capacity(variables.len());
        for (name, value) in variables {
            let value = self.text(value).await?;
            self.note(name, &value);
            filled.push((name.clone(), value));
        }
        Ok(filled)
    }

    /// The arguments of a command with their references filled in.
    pub(crate) async fn arguments(&mut self, arguments: &[String]) -> Result<Vec<String>> {
        let filled = self.texts(arguments).await?;
        self.secrets.extend(secret::secrets_in_arguments(&filled));
        Ok(filled)
    }

    /// Notes what of a variable must not be seen.
    fn note(&mut self, name: &str, value: &str) {
        if looks_secret(name) {
            self.secrets.push(value.to_owned());
        } else {
            self.secrets.extend(secret::secrets_in(value));
        }
    }

    /// The directory that a text means; the workspace when there is none.
    pub(crate) async fn directory(&mut self, text: Option<&String>, what: &str) -> Result<PathBuf> {
        let Some(text) = text else { return Ok(self.around.workspace.clone()) };
        let text = self.text(text).await?;
        let path = self.path(&text);
        if path.is_dir() {
            return Ok(path);
        }
        let reason = if path.exists() { "is no directory" } else { "does not exist" };
        let reason = format!("its `cwd` {} {reason}; make that directory, or name another", path.display());
        Err(self.secrets().mask_error(Error::Spawn { command: what.to_owned(), reason }))
    }

    /// What was filled in and must not be seen.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(self.secrets.iter().cloned())
    }

    /// Something else that must not be seen.
    pub(crate) fn hide(&mut self, value: impl Into<String>) {
        self.secrets.push(value.into());
    }

    pub(crate) fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), environment::home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.around.workspace.join(text),
        }
    }

    fn value(&mut self, reference: &Reference, printed: &HashMap<String, String>) -> Result<String> {
        match reference {
            Reference::Variable { name, default } => {
                let value = self
                    .variable(name)
                    .filter(|value| default.is_none() || !value.is_empty())
                    .or_else(|| default.clone())
                    .ok_or_else(|| unset(name, &format!("${{{name}}}")))?;
                if looks_secret(name) {
                    self.secrets.push(value.clone());
                }
                Ok(value)
            }
            Reference::Env(name) => {
                let value = self.variable(name).ok_or_else(|| unset(name, &format!("${{env:{name}}}")))?;
                self.secrets.push(value.clone());
                Ok(value)
            }
            Reference::File(path) => {
                let value = read(&self.path(path))?;
                self.secrets.push(value.clone());
                Ok(value)
            }
            Reference::Command(command) => Ok(printed.get(command).cloned().unwrap_or_default()),
            Reference::Input(id) => {
                let value = self.input(id)?;
                self.secrets.push(value.clone());
                Ok(value)
            }
            Reference::WorkspaceFolder => Ok(self.around.workspace.to_string_lossy().into_owned()),
            Reference::UserHome => environment::home()
                .map(|home| home.to_string_lossy().into_owned())
                .ok_or_else(|| unset("HOME", "${userHome}")),
            Reference::Browser { program, address } => {
                let found = self.around.programs.endpoint(program);
                let found = found.map_err(|reason| Error::Template { reference: reference.to_string(), reason })?;
                Ok(match (found, address) {
                    (None, _) => reference.to_string(),
                    (Some(endpoint), Address::Port) => endpoint.port.to_string(),
                    (Some(endpoint), Address::Url) => endpoint.url(),
                    (Some(endpoint), Address::WsUrl) => endpoint.ws_url,
                })
            }
        }
    }

    /// The daemon's own variables first: whoever starts it means what he sets.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        environment::var(name).or_else(|| self.login.get(name).map(str::to_owned))
    }

    /// What VS Code would ask for: the variable of that name, as it is or as variables are written.
    fn input(&self, id: &str) -> Result<String> {
        let name = input_variable(id);
        self.variable(id).or_else(|| self.variable(&name)).ok_or_else(|| Error::NeedsInput {
            input: id.to_owned(),
            cure: format!("set the environment variable {name}"),
        })
    }

    /// The variables of a file, those that look like secrets kept as such.
    pub(crate) fn env_file(&mut self, path: &str) -> Result<Vec<(String, String)>> {
        let path = self.path(path);
        let text = text_of(&path).map_err(|error| Error::Template {
            reference: "envFile".to_owned(),
            reason: format!("{} cannot be read ({error})", path.display()),
        })?;
        let variables = env_file::read(&text);
        for (name, value) in &variables {
            self.note(name, value);
        }
        Ok(variables)
    }

    async fn run(&self, command: &str) -> Result<String> {
        let reference = format!("${{cmd:{command}}}");
        let failed = |reason: String| Error::Template { reference: reference.clone(), reason };
        if !self.around.may_run_commands {
            return Err(failed(
                "programs are run only for a file that you own and named with --config or $COMPUTER_CONFIG".into(),
            ));
        }
        let env = environment::curated(&self.login, &InheritEnv::All);
        let printed = process::capture(Spawn::new("/bin/sh", ["-c", command], env), COMMAND).await;
        let captured = printed.map_err(|error| failed(error.to_string()))?;
        if !captured.status.is_some_and(|status| status.success()) {
            return Err(failed(format!("the program {}", process::describe(captured.status))));
        }
        let value = String::from_utf8(captured.printed).map_err(|_| failed("it printed what is no UTF-8".into()))?;
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() { Err(failed("it printed nothing".into())) } else { Ok(value.to_owned()) }
    }
}

/// The name of the variable that stands in for an input.
fn input_variable(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn unset(name: &str, reference: &str) -> Error {
    let reason = format!("the variable {name} is not set; set it, or give a default as in ${{{name}:-default}}");
    Error::Template { reference: reference.to_owned(), reason }
}

/// The text of a file. Nothing but a file: a pipe would keep whoever reads it waiting, and everybody with him.
fn text_of(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    std::fs::read_to_string(path)
}

fn read(path: &Path) -> Result<String> {
    let text = text_of(path).map_err(|error| Error::Template {
        reference: format!("${{file:{}}}", path.display()),
        reason: format!("the file cannot be read ({error})"),
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
