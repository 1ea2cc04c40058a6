//! Where groups may be made: in a part of the tree of groups that was given to us.
//!
//! A group whose processes are in groups below it is the only one that may hand its limits down, so that it is never the
//! one that we are in. Either whoever started us has put us one lower (systemd with `Delegate=` and `DelegateSubgroup=`),
//! and entries get groups beside ours; or nobody but us is in a group that is ours to divide, and we move one lower
//! ourselves.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use nix::unistd::{AccessFlags, access};

use super::group::remove;
use crate::process::{guard, mark::Mark};

pub(super) const MEMORY: &str = "memory";
pub(super) const PIDS: &str = "pids";

/// What the groups of entries are called: this, our process id, and a number.
const NAME: &str = "mcp-";
/// The group that we move to.
const LEAF: &str = "computer";

/// How often those are moved who were forked while others were moved.
const ROUNDS: usize = 20;

/// What systemd calls the groups that it divides itself; to whom one is given, it says in an attribute.
const UNITS: [&str; 3] = [".slice", ".service", ".scope"];

/// A group below which those of entries are made.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    /// What is limited below it.
    controllers: Vec<&'static str>,
    made: AtomicU32,
    /// Groups that were not empty when they should have been.
    left: Mutex<Vec<PathBuf>>,
}

impl Place {
    /// The one of this process.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find() -> io::Result<Self> {
        let (own, mounts) = (fs::read_to_string("/proc/self/cgroup")?, fs::read_to_string("/proc/self/mountinfo")?);
        let own = own_group(&own, &mounts).ok_or_else(|| io::Error::other("there is no cgroup v2 to be seen"))?;
        let place = Self::around(&own, guard::pid())?;
        tracing::debug!(root = %place.root.display(), controllers = ?place.controllers, "limits are kept by control groups");
        Ok(place)
    }

    /// The one of a process that is in that group and has that guard.
    pub(super) fn around(own: &Path, guard: Option<u32>) -> io::Result<Self> {
        let is_of_entry = |part: &std::ffi::OsStr| part.to_str().is_some_and(|name| maker(name).is_some());
        if own.iter().any(is_of_entry) {
            // Beside it our entries would not be within the limits of that one, and be left over when it ends.
            return Err(io::Error::other("we belong to an entry that has a control group"));
        }
        let place = Self::beside(own).or_else(|reason| {
            Self::below(own, guard).map_err(|further| io::Error::other(format!("{reason}; {further}")))
        })?;
        place.remove_abandoned();
        Ok(place)
    }

    fn beside(own: &Path) -> io::Result<Self> {
        let root = own.parent().ok_or(io::ErrorKind::NotFound)?;
        let controllers = offered(root)?;
        enable(root, &controllers)?;
        Ok(Self::new(root, controllers))
    }

    fn below(own: &Path, guard: Option<u32>) -> io::Result<Self> {
        let controllers = offered(own)?;
        // Nobody who embeds this library expects to be moved by it.
        let guard = guard.ok_or_else(|| io::Error::other("we have no guard, and move nobody else's process"))?;
        let is_ours =
            |pid: &u32| [std::process::id(), guard].contains(pid) || Mark::of(*pid).is_some_and(Mark::is_ours);
        if let Some(other) = pids_in(own).into_iter().find(|pid| !is_ours(pid)) {
            return Err(io::Error::other(format!("{} holds process {other}, which is not ours", own.display())));
        }
        let home = own.join(LEAF);
        fs::create_dir(&home).or_else(|error| if home.is_dir() { Ok(()) } else { Err(error) })?;
        let mut outcome = Ok(());
        for _ in 0..ROUNDS {
            for pid in pids_in(own).into_iter().filter(is_ours) {
                // Whoever has ended meanwhile cannot be moved.
                let _ = fs::write(home.join("cgroup.procs"), pid.to_string());
            }
            outcome = enable(own, &controllers);
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(|()| Self::new(own, controllers))
    }

    fn new(root: &Path, controllers: Vec<&'static str>) -> Self {
        Self { root: root.to_owned(), controllers, made: AtomicU32::new(0), left: Mutex::default() }
    }

    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    /// A directory for a new group.
    pub(super) fn new_directory(&self) -> io::Result<PathBuf> {
        self.left().retain(|directory| remove(directory).is_err());
        loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let directory = self.root.join(format!("{NAME}{}-{number}", std::process::id()));
            match fs::create_dir(&directory) {
                // One had our id before us, and something in its group is still alive.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| directory),
            }
        }
    }

    /// Notes that a group could not be removed yet.
    pub(super) fn leave(&self, directory: &Path) {
        self.left().push(directory.to_owned());
    }

    fn left(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the empty groups of those that were killed. We have made none yet.
    fn remove_abandoned(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let maker = entry.file_name().to_str().and_then(maker);
            let is_there = |pid: u32| pid != std::process::id() && Path::new(&format!("/proc/{pid}")).exists();
            if maker.is_some_and(|pid| !is_there(pid)) {
                // Where somebody is still in it, it stays.
                let _ = remove(&entry.path());
            }
        }
    }
}

/// The process that has made the group of an entry.
fn maker(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(NAME)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

/// The directory of the group that a process is in, by what `/proc` says of it.
pub(super) fn own_group(cgroup: &str, mounts: &str) -> Option<PathBuf> {
    let path = Path::new(cgroup.lines().find_map(|line| line.strip_prefix("0::"))?);
    let mounted = mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        source.starts_with("cgroup2 ").then_some(())?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // What is above the mount cannot be seen.
        Some(Path::new(point).join(path.strip_prefix(root).ok()?))
    })?;
    // Whoever is outside of what can be seen is shown to be above its top.
    mounted.iter().all(|part| part != "..").then_some(mounted)
}

/// What a group lets us limit below it.
fn offered(root: &Path) -> io::Result<Vec<&'static str>> {
    let refused = |why: &str| Err(io::Error::other(format!("{} {why}", root.display())));
    // The topmost has no type; those of threads alone hold no processes.
    if fs::read_to_string(root.join("cgroup.type")).unwrap_or_default().trim() != "domain" {
        return refused("is not for dividing");
    }
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    if UNITS.iter().any(|unit| name.ends_with(unit)) && !is_given_away(root) {
        return refused("is systemd's; `Delegate=yes` in the unit would make it ours");
    }
    // Who moves a process between two groups must be allowed to write here.
    for file in ["", "cgroup.procs"] {
        access(&root.join(file), AccessFlags::W_OK)?;
    }
    let known = fs::read_to_string(root.join("cgroup.controllers"))?;
    let known: Vec<&str> = known.split_whitespace().collect();
    let offered: Vec<_> = [MEMORY, PIDS].into_iter().filter(|controller| known.contains(controller)).collect();
    if offered.is_empty() { refused("has no controller of memory or pids") } else { Ok(offered) }
}

/// Has what is below a group limited.
fn enable(root: &Path, controllers: &[&str]) -> io::Result<()> {
    let file = root.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file)?;
    if controllers.iter().all(|controller| enabled.split_whitespace().any(|one| one == *controller)) {
        return Ok(());
    }
    let wanted: Vec<String> = controllers.iter().map(|controller| format!("+{controller}")).collect();
    fs::write(&file, wanted.join(" "))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// Whether systemd says that it has given a group away.
#[expect(unsafe_code, reason = "attributes of files are behind a system call without a safe wrapper")]
fn is_given_away(root: &Path) -> bool {
    use std::{ffi::CString, os::unix::ffi::OsStrExt};
    let Ok(path) = CString::new(root.as_os_str().as_bytes()) else { return false };
    // The first is for root alone to see, and set by older ones too.
    [c"trusted.delegate", c"user.delegate"].iter().any(|name| {
        let mut value = [0_u8; 8];
        // SAFETY: both texts end with a zero, and `value` is a valid place for as many bytes as are told.
        let length =
            unsafe { nix::libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        usize::try_from(length).is_ok_and(|length| value[..length] == *b"1")
    })
}

/// The processes in a group.
fn pids_in(directory: &Path) -> Vec<u32> {
    let pids = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    pids.lines().filter_map(|pid| pid.trim().parse().ok()).collect()
}
