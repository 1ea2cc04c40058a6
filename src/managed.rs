//! Programs that are kept beside the entries, as units: a Chrome, any command, a child that the caller has started.

mod adopted;
mod command;
mod ready;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    chrome::{self, ChromeInstance, Endpoint},
    command::Prepared,
    config::{ChromeLaunchOptions, ProgramConfig, Restart},
    error::{ChromeError, Error, Result},
    fill::{Filler, Surroundings},
    process::{self, Running, Tail},
    records::EntryLog,
    secret::Secrets,
    shutdown::Grace,
    supervisor::{Event, Live, Policy, Unit},
};

/// What a program is started from.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What its references are looked up in.
    pub(crate) around: Surroundings,
    /// What is noted of it.
    pub(crate) log: EntryLog,
}

/// The kinds of programs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// One that is written down.
    Written(ProgramConfig),
    /// A Chrome that the caller has launched: its options are meant as they are.
    Chrome(ChromeLaunchOptions),
    /// A child that the caller has started. Nobody knows how to start it again.
    Child,
}

impl Kind {
    /// As health tells it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Written(ProgramConfig::Chrome(_)) | Self::Chrome(_) => "chrome",
            Self::Written(ProgramConfig::Command(_)) => "command",
            Self::Child => "child",
        }
    }

    /// Whether only those have to do with it who refer to it.
    pub(crate) fn is_browser(&self) -> bool {
        self.name() == "chrome"
    }
}

impl Recipe {
    /// When it is tried again.
    pub(crate) fn policy(&self) -> Policy {
        let restart = match &self.kind {
            Kind::Written(ProgramConfig::Command(config)) => config.restart == Restart::Always,
            Kind::Written(ProgramConfig::Chrome(_)) | Kind::Chrome(_) => true,
            Kind::Child => false,
        };
        Policy { restart, ..Policy::default() }
    }

    /// Whether what would be started is the same.
    pub(crate) fn starts_the_same_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.around.mean_the_same_as(&other.around)
    }
}

/// The recipe by which a program is started next. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(crate) struct Basis(Arc<Mutex<Arc<Recipe>>>);

impl Basis {
    pub(crate) fn new(recipe: Arc<Recipe>) -> Self {
        Self(Arc::new(Mutex::new(recipe)))
    }

    pub(crate) fn recipe(&self) -> Arc<Recipe> {
        self.inner().clone()
    }

    /// Lets the next start go by this recipe.
    pub(crate) fn replace(&self, recipe: Arc<Recipe>) {
        *self.inner() = recipe;
    }

    fn inner(&self) -> MutexGuard<'_, Arc<Recipe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that runs already, to be kept by a Computer. Dropping it kills the program.
pub struct ManagedProcess(pub(crate) Given);

pub(crate) enum Given {
    Chrome(Box<ChromeInstance>),
    Child(Box<Running>),
}

impl Given {
    /// How it would be started again.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Chrome(chrome) => Kind::Chrome(chrome.options().clone()),
            Self::Child(_) => Kind::Child,
        }
    }
}

impl From<ChromeInstance> for ManagedProcess {
    fn from(chrome: ChromeInstance) -> Self {
        Self(Given::Chrome(Box::new(chrome)))
    }
}

impl fmt::Debug for ManagedProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManagedProcess").field(&self.0.kind().name()).finish()
    }
}

/// A program as a unit.
pub(crate) struct Program {
    basis: Basis,
    /// What runs already, until it is taken over.
    given: Option<Given>,
    /// The port that a Chrome had last: those who know it find it again.
    last_port: Option<u16>,
}

/// What others see of a program.
pub(crate) type Face = Arc<About>;

/// What is to be known of a program that is up.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) pid: u32,
    /// Where a Chrome is reached.
    pub(crate) endpoint: Option<Endpoint>,
    /// The name and version that a Chrome gave.
    pub(crate) version: Option<String>,
    /// The command line as it was resolved.
    pub(crate) command: Option<String>,
    /// What is odd about it.
    pub(crate) problems: Vec<String>,
    pub(crate) tail: Tail,
}

impl About {
    fn of(running: &Running) -> Self {
        Self {
            pid: running.process().pid(),
            endpoint: None,
            version: None,
            command: None,
            problems: Vec::new(),
            tail: running.tail().clone(),
        }
    }
}

impl Program {
    pub(crate) fn new(basis: Basis, given: Option<Given>) -> Self {
        let last_port = match &given {
            Some(Given::Chrome(chrome)) => Some(chrome.port()),
            Some(Given::Child(_)) | None => None,
        };
        Self { basis, given, last_port }
    }

    async fn launch(&mut self, filled: &Filled, recipe: &Recipe) -> Result<Up> {
        let chrome = self.launch_again(filled, recipe).await?;
        self.last_port = Some(chrome.port());
        Ok(Up::chrome(chrome))
    }

    /// On its old port if that can be had, so that nobody who knows it has to be told of another.
    async fn launch_again(&self, (options, secrets): &Filled, recipe: &Recipe) -> Result<ChromeInstance> {
        let Recipe { name, log, .. } = recipe;
        let old = self.last_port.filter(|_| options.debugging_port.is_none());
        if let Some(port) = old {
            let same = ChromeLaunchOptions { debugging_port: Some(port), ..options.clone() };
            match chrome::launch(&same, name, (secrets, log)).await {
                Err(Error::Chrome(ChromeError::PortTaken { port, by })) => {
                    tracing::info!(name, port, by, "a Chrome cannot have its old port, and gets another");
                }
                outcome => return outcome,
            }
        }
        chrome::launch(options, name, (secrets, log)).await
    }
}

impl Unit for Program {
    type Live = Up;

    async fn start(&mut self, cancel: CancellationToken) -> Result<Up> {
        if let Some(given) = self.given.take() {
            return Ok(Up::given(given));
        }
        let recipe = self.basis.recipe();
        let starting = async {
            match &recipe.kind {
                Kind::Written(ProgramConfig::Chrome(options)) => {
                    let filled = fill(options, &recipe.around).await?;
                    self.launch(&filled, &recipe).await
                }
                Kind::Written(ProgramConfig::Command(config)) => command::start(&recipe, config).await,
                Kind::Chrome(options) => self.launch(&(options.clone(), Secrets::default()), &recipe).await,
                Kind::Child => {
                    let reason = "whoever gave it to the Computer has started it; give it a new one".to_owned();
                    Err(Error::Spawn { command: recipe.name.clone(), reason })
                }
            }
        };
        // Whatever was started is killed when it is dropped.
        cancel.run_until_cancelled(starting).await.ok_or(Error::Cancelled)?
    }

    async fn is_mended(&mut self, _: &Error) -> Option<bool> {
        None
    }
}

/// What a start would run, as one line and word by word, secrets masked.
pub(crate) async fn resolve(recipe: &Recipe) -> Result<(String, Vec<String>)> {
    let around = recipe.around.as_written();
    match &recipe.kind {
        Kind::Written(ProgramConfig::Command(config)) => {
            let prepared = Prepared::new(&around, command::wanted(config)).await?;
            Ok((prepared.line(), prepared.words()))
        }
        Kind::Written(ProgramConfig::Chrome(options)) => {
            let (options, secrets) = fill(options, &around).await?;
            chrome::resolve(&options, &recipe.name, &secrets).await
        }
        Kind::Chrome(options) => chrome::resolve(options, &recipe.name, &Secrets::default()).await,
        Kind::Child => Ok(("started by its caller".to_owned(), Vec::new())),
    }
}

/// A Chrome's options with their references filled in, and what of it must not be seen.
type Filled = (ChromeLaunchOptions, Secrets);

async fn fill(options: &ChromeLaunchOptions, around: &Surroundings) -> Result<Filled> {
    let mut filler = Filler::new(around).await;
    let filled = fill_in(options, &mut filler).await;
    let secrets = filler.secrets();
    let filled = filled.map_err(|error| secrets.mask_error(error))?;
    Ok((filled, secrets))
}

async fn fill_in(options: &ChromeLaunchOptions, filler: &mut Filler<'_>) -> Result<ChromeLaunchOptions> {
    let mut filled = ChromeLaunchOptions {
        flags: filler.texts(&options.flags).await?,
        env: filler.variables(&options.env).await?,
        ..options.clone()
    };
    if let Some(profile) = options.profile_dir.as_ref().and_then(|profile| profile.to_str()) {
        let profile = filler.text(profile).await?;
        filled.profile_dir = Some(filler.path(&profile));
    }
    if let Some(chrome) = options.chrome_path.as_ref().and_then(|chrome| chrome.to_str()) {
        filled.chrome_path = Some(filler.text(chrome).await?.into());
    }
    Ok(filled)
}

/// A program that is up: its only owner.
pub(crate) struct Up {
    what: What,
    face: Face,
}

enum What {
    Chrome(Box<ChromeInstance>),
    Command(Box<command::Command>),
    Child(Box<Running>),
}

impl Up {
    fn chrome(chrome: ChromeInstance) -> Self {
        let open = chrome.has_no_sandbox().then(|| "it runs without its sandbox (`noSandbox`)".to_owned());
        let about = About {
            pid: chrome.pid(),
            endpoint: Some(chrome.endpoint().clone()),
            version: Some(chrome.version().to_owned()),
            command: None,
            problems: open.into_iter().collect(),
            tail: chrome.tail().clone(),
        };
        Self { what: What::Chrome(Box::new(chrome)), face: Arc::new(about) }
    }

    fn given(given: Given) -> Self {
        match given {
            Given::Chrome(chrome) => Self::chrome(*chrome),
            Given::Child(running) => {
                let about = About::of(&running);
                Self { what: What::Child(running), face: Arc::new(about) }
            }
        }
    }
}

impl Live for Up {
    type Face = Face;

    fn face(&self) -> Face {
        self.face.clone()
    }

    async fn next(&mut self) -> Event {
        Event::Ended(match &mut self.what {
            What::Chrome(chrome) => chrome.exited().await.into(),
            What::Command(command) => command.ended().await,
            What::Child(running) => ended(running).await,
        })
    }

    async fn stop(self, grace: Grace) {
        match self.what {
            What::Chrome(chrome) => _ = chrome.stop(grace).await,
            What::Command(command) => _ = command.stop(grace).await,
            What::Child(running) => _ = running.leave(grace).await,
        }
    }
}

/// Returns when a program has ended, and why. Cancel safe.
async fn ended(running: &Running) -> Error {
    let status = running.exited().await;
    let _ = timeout(process::LAST_WORDS, running.tail().ended()).await;
    let how = process::describe(status);
    let ended = || Error::ProgramEnded { how, output: running.tail().last_lines() };
    running.process().limit_behind(status).unwrap_or_else(ended)
}
