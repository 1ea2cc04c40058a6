//! Seeing that a config file has changed, and reading it again from where it was found.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fs, mem,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

use super::{
    ComputerConfig, Dialect,
    file::{self, LoadError, Loaded, NAME, VARIABLE},
    trust::Store,
};
use crate::environment;

/// Where a configuration was read from, to read it from there again.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    path: PathBuf,
    first: Arc<ComputerConfig>,
    found: Found,
}

/// How a file was found, which decides what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// The user named it, on the command line or in the variable.
    Named(Option<PathBuf>, Option<Dialect>),
    /// It lies in the current directory, and was trusted.
    Here,
    /// It lies where the user's configurations lie.
    OfUser,
}

impl Origin {
    /// Where `loaded` came from, which was loaded for `explicit` and `dialect`; none for the built-in default.
    pub fn of(loaded: &Loaded, explicit: Option<&Path>, dialect: Option<Dialect>) -> Option<Self> {
        let path = loaded.path.clone()?;
        let by_variable = environment::var(VARIABLE).is_some_and(|named| !named.is_empty());
        let found = if explicit.is_some() || by_variable {
            Found::Named(explicit.map(Path::to_owned), dialect)
        } else if path == environment::current_dir().join(NAME) {
            Found::Here
        } else {
            Found::OfUser
        };
        Some(Self { path, found, first: Arc::new(loaded.config.clone()) })
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was read from it.
    pub fn first(&self) -> &ComputerConfig {
        &self.first
    }

    /// The files that decide what is read: this one, and what remembers whether it was trusted.
    pub fn decided_by(&self) -> Vec<PathBuf> {
        let store = match self.found {
            Found::Here => Store::of_user().map(|store| store.file()),
            Found::Named(..) | Found::OfUser => None,
        };
        [self.path.clone()].into_iter().chain(store).collect()
    }

    /// Reads it again. No other file takes its place, even if a search would find one now.
    ///
    /// # Errors
    /// As [`load`](file::load); a file in the current directory that was changed has to be trusted again.
    pub fn read(&self) -> Result<Loaded, LoadError> {
        match &self.found {
            Found::Named(explicit, dialect) => file::load_as(explicit.as_deref(), *dialect),
            Found::Here => match file::load(None) {
                Ok(loaded) if loaded.path.as_ref() == Some(&self.path) => Ok(loaded),
                _ if !self.path.exists() => Err(LoadError::NotFound { path: self.path.clone() }),
                _ => Err(LoadError::Unsafe {
                    path: self.path.clone(),
                    reason: "it has changed since it was trusted; `computer trust` uses it as it is now".to_owned(),
                }),
            },
            Found::OfUser => file::load(Some(&self.path)).map(|mut loaded| {
                // It was found and not named, just as at the start.
                loaded.config.may_run_commands = false;
                loaded
            }),
        }
    }
}

/// Tells when one of some files may have changed.
///
/// What is watched are the directories that lead to them, so that it is seen when an editor puts another file in the
/// place of one, when a link on the way leads elsewhere, and when one was gone and comes back. It works as long as it is
/// kept.
#[derive(Debug)]
pub struct Watch {
    files: Vec<PathBuf>,
    signal: Arc<Signal>,
    watcher: Option<RecommendedWatcher>,
    /// Empty when the system does not tell of changes.
    watched: BTreeSet<PathBuf>,
    /// Whether something was seen that nobody was told of.
    pending: bool,
}

/// What the watcher's thread and we share.
#[derive(Debug, Default)]
struct Signal {
    /// The names whose changes count; a directory is full of others.
    names: Mutex<BTreeSet<PathBuf>>,
    seen: Notify,
}

/// A change is told when nothing more has happened for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(200);
/// A file that is written without a pause is looked at all the same.
const LONGEST: Duration = Duration::from_secs(2);
/// How often it is looked where the system does not tell of changes.
const POLL: Duration = Duration::from_secs(5);
/// So many links lead to no file but in a circle.
const LINKS: usize = 40;

impl Watch {
    /// Begins to watch. Changes from now on are told.
    ///
    /// Where the system does not tell of changes (too many are watched) that is said in the log, and the caller is told to
    /// look every 5 s.
    pub fn begin<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Self {
        let signal = Arc::new(Signal::default());
        let here = environment::current_dir();
        let files = files.into_iter().map(|file| here.join(file)).collect();
        let mut watch = Self { files, signal, watcher: None, watched: BTreeSet::new(), pending: false };
        if let Err(error) = watch.look_out() {
            watch.say_blind(&error);
        }
        watch
    }

    /// Returns when a file may have changed since this was asked last. Changes that come together are told once.
    /// Cancel safe.
    pub async fn changed(&mut self) {
        if !self.pending {
            let (signal, blind) = (self.signal.clone(), self.watcher.is_none());
            tokio::select! {
                () = signal.seen.notified() => {}
                () = sleep(POLL), if blind => {}
            }
            self.pending = true;
        }
        let latest = Instant::now() + LONGEST;
        while timeout_at(latest.min(Instant::now() + QUIET), self.signal.seen.notified()).await.is_ok() {}
        // Before the caller reads it: what happens from here on is seen.
        let saw = self.watcher.is_some();
        if let Err(error) = self.look_out()
            && saw
        {
            self.say_blind(&error);
        }
        self.pending = false;
    }

    fn say_blind(&self, error: &notify::Error) {
        tracing::warn!(files = ?self.files, %error, "the system does not tell when the config changes; it is looked at every 5 s");
    }

    /// Watches the way to each file as it is now.
    fn look_out(&mut self) -> notify::Result<()> {
        let names: Vec<PathBuf> = self.files.iter().flat_map(|file| way_to(file)).collect();
        let directories: BTreeSet<PathBuf> = names.iter().filter_map(|name| Some(name.parent()?.to_owned())).collect();
        // A directory that is taken away and made anew is another one under the same name.
        let all = names.into_iter().chain(directories.iter().cloned()).collect();
        *self.signal.names.lock().unwrap_or_else(PoisonError::into_inner) = all;
        let mut watcher = self.watcher.take().map_or_else(|| watcher(&self.signal), Ok)?;
        for before in mem::take(&mut self.watched) {
            // It may have gone by itself. What stays is watched anew: its name may lead to another directory now.
            let _ = watcher.unwatch(&before);
        }
        for directory in &directories {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        (self.watcher, self.watched) = (Some(watcher), directories);
        Ok(())
    }
}

fn watcher(signal: &Arc<Signal>) -> notify::Result<RecommendedWatcher> {
    let signal = signal.clone();
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !signal.concerns(&event)) {
            return;
        }
        // Of an error it is not known what it hides.
        signal.seen.notify_one();
    })
}

impl Signal {
    fn concerns(&self, event: &notify::Event) -> bool {
        let is_change = match event.kind {
            // Reading it, as we do, is no change.
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        };
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        event.need_rescan() || (is_change && event.paths.iter().any(|path| names.contains(path)))
    }
}

/// The names that decide what stands at `path`: each link on the way, and the file itself or the first name that is
/// not there.
fn way_to(path: &Path) -> Vec<PathBuf> {
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<VecDeque<OsString>>();
    let (mut names, mut at, mut rest) = (Vec::new(), PathBuf::new(), parts(path));
    while let Some(part) = rest.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            None | Some(Component::CurDir) => continue,
            Some(Component::Prefix(_) | Component::RootDir | Component::Normal(_)) => {}
        }
        let name = at.join(&part);
        let link = fs::read_link(&name).ok().filter(|_| names.len() < LINKS);
        if link.is_some() || rest.is_empty() || !name.exists() {
            names.push(name.clone());
        }
        match link {
            Some(target) => rest = parts(&target).into_iter().chain(rest).collect(),
            None if !name.exists() => break,
            None => at = name,
        }
    }
    names
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Scene {
        root: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            Self { root: tempfile::tempdir().unwrap() }
        }

        /// Without links above it, which are on the way too.
        fn path(&self, name: &str) -> PathBuf {
            self.root.path().canonicalize().unwrap().join(name)
        }

        fn write(&self, name: &str) -> PathBuf {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            path
        }
    }

    async fn is_told(watch: &mut Watch) {
        tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.expect("the change is told");
    }

    /// Nothing more is told of what happened so far. That nothing comes can only be waited for.
    async fn is_quiet(watch: &mut Watch) {
        assert!(tokio::time::timeout(QUIET * 3, watch.changed()).await.is_err(), "it is told once");
    }

    #[test]
    fn the_way_to_a_file_is_the_file_and_the_links_that_lead_to_it() {
        let scene = Scene::new();
        let file = scene.write("2024/c.json");
        assert_eq!(way_to(&file), [scene.path("2024/c.json")]);
        symlink("2024", scene.path("data")).unwrap();
        symlink("data/c.json", scene.path("c.json")).unwrap();
        assert_eq!(way_to(&scene.path("c.json")), [scene.path("c.json"), scene.path("data"), file.clone()]);
        assert_eq!(way_to(&scene.path("2024/../data/c.json")), [scene.path("data"), file]);
    }

    #[test]
    fn the_way_to_what_is_not_there_ends_where_it_would_begin_to_be() {
        let scene = Scene::new();
        assert_eq!(way_to(&scene.path("a/b/c.json")), [scene.path("a")]);
        symlink("a/c.json", scene.path("link")).unwrap();
        assert_eq!(way_to(&scene.path("link")), [scene.path("link"), scene.path("a")]);
        symlink("round", scene.path("round")).unwrap();
        assert!(way_to(&scene.path("round")).len() <= LINKS + 1);
    }

    #[tokio::test]
    async fn a_write_is_told_once_and_reading_is_no_change() {
        let scene = Scene::new();
        let file = scene.write("c.json");
        let mut watch = Watch::begin([&file]);
        for text in ["a", "b", "c"] {
            fs::write(&file, text).unwrap();
        }
        is_told(&mut watch).await;
        fs::read(&file).unwrap();
        scene.write("other.json");
        is_quiet(&mut watch).await;
    }

    #[tokio::test]
    async fn a_file_in_its_place_is_told_and_so_is_what_becomes_of_that() {
        let scene = Scene::new();
        let file = scene.write("c.json");
        let mut watch = Watch::begin([&file]);
        for _ in 0..2 {
            fs::rename(scene.write("draft"), &file).unwrap();
            is_told(&mut watch).await;
        }
        fs::write(&file, "in place").unwrap();
        is_told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_link_on_the_way_that_leads_elsewhere_is_told() {
        let scene = Scene::new();
        scene.write("1/c.json");
        let second = scene.write("2/c.json");
        symlink("1", scene.path("data")).unwrap();
        symlink("data/c.json", scene.path("c.json")).unwrap();
        let mut watch = Watch::begin([scene.path("c.json")]);
        symlink("2", scene.path("draft")).unwrap();
        fs::rename(scene.path("draft"), scene.path("data")).unwrap();
        is_told(&mut watch).await;
        fs::write(&second, "more").unwrap();
        is_told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_file_that_goes_with_its_directory_and_comes_back_is_told() {
        let scene = Scene::new();
        let file = scene.write("a/b/c.json");
        let mut watch = Watch::begin([&file]);
        fs::remove_dir_all(scene.path("a")).unwrap();
        is_told(&mut watch).await;
        scene.write("a/b/c.json");
        is_told(&mut watch).await;
        fs::write(&file, "more").unwrap();
        is_told(&mut watch).await;
    }

    #[tokio::test]
    async fn what_happens_while_nobody_asks_is_told_when_somebody_does() {
        let scene = Scene::new();
        let file = scene.write("c.json");
        let mut watch = Watch::begin([&file]);
        fs::write(&file, "more").unwrap();
        assert!(tokio::time::timeout(QUIET / 4, watch.changed()).await.is_err(), "it waits for quiet");
        is_told(&mut watch).await;
    }
}
