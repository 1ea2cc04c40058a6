//! The files: made for us alone, only ever added to, replaced when they are large, and never with half a line in them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::SystemTime,
};

use nix::fcntl::{Flock, FlockArg};

use super::{
    AuditLine,
    line::{LogLine, Origin},
    writer::{Order, Paper, Shared},
};

/// The directory of the records of one daemon. It may be that of others at the same time.
pub(super) struct Disk {
    directory: PathBuf,
    /// How many lines of each were lost since something was written there.
    lost: HashMap<Paper, u64>,
    /// How much was written since all logs were looked at together.
    unlooked: u64,
}

/// How large a log may be before it is put aside, and how many of those are kept.
const LOG: u64 = 4 << 20;
const OLD_LOGS: u32 = 1;
/// How large all logs may be together.
const ALL_LOGS: u64 = 64 << 20;
/// How much may be written before that is looked at again.
const LOOK: u64 = 1 << 20;
/// The audit log is put aside three times before the oldest of it goes.
const OLD_AUDITS: u32 = 3;

impl Disk {
    pub(super) fn new(directory: PathBuf) -> Self {
        // What others have left is looked at first.
        Self { directory, lost: HashMap::new(), unlooked: LOOK }
    }

    /// Writes what is ordered, and tells those who want to know.
    pub(super) fn write(&mut self, orders: VecDeque<Order>, crowded_out: HashMap<Paper, u64>, shared: &Shared) {
        let mut papers: BTreeMap<Paper, Vec<Order>> = BTreeMap::new();
        for order in orders {
            papers.entry(order.paper.clone()).or_default().push(order);
        }
        if papers.is_empty() {
            return;
        }
        let turn = self.turn();
        let mut is_well = crowded_out.is_empty();
        for (paper, orders) in papers {
            let written = self.write_on(&paper, &orders, shared);
            let failure = written.as_ref().err().map(|(_, error)| said(error, &self.path(&paper)));
            let done = written.as_ref().map_or_else(|(done, _)| *done, |()| orders.len());
            if let Some(reason) = &failure {
                is_well = false;
                let lost = (orders.len() - done) as u64;
                shared.lose(&paper, lost);
                shared.trouble(reason);
                *self.lost.entry(paper).or_default() += lost;
            }
            for (number, order) in orders.into_iter().enumerate() {
                let outcome = failure.clone().filter(|_| number >= done).map_or(Ok(()), Err);
                // Whoever wanted to know may have gone.
                order.written.map(|written| written.send(outcome));
            }
        }
        for (paper, lines) in crowded_out {
            *self.lost.entry(paper).or_default() += lines;
        }
        if is_well {
            shared.well();
        }
        if self.unlooked >= LOOK {
            self.unlooked = 0;
            prune(&self.directory.join("logs"), ALL_LOGS);
        }
        drop(turn);
    }

    /// Nobody else writes as long as it is held: two who put a file aside at the same time would lose one.
    fn turn(&self) -> Option<Flock<File>> {
        let directory = self.made(&self.directory).and_then(|()| File::open(&self.directory)).ok()?;
        Flock::lock(directory, FlockArg::LockExclusive).ok()
    }

    /// Writes lines; of what failed it says how many were written before.
    fn write_on(&mut self, paper: &Paper, orders: &[Order], shared: &Shared) -> Result<(), (usize, io::Error)> {
        let path = self.path(paper);
        let (limit, old) = match paper {
            Paper::Audit => (shared.audit_limit.load(Ordering::Relaxed) / u64::from(OLD_AUDITS + 1), OLD_AUDITS),
            Paper::Log(_) => (LOG, OLD_LOGS),
        };
        // Together with what comes after it: where there is no room for that there may be some for this alone.
        let lost = self.lost.get(paper).copied();
        let mut text = lost.map_or_else(String::new, |lost| loss(paper, lost));
        let (mut full, mut begun) = (size(&path) + text.len() as u64, 0);
        for (number, order) in orders.iter().enumerate() {
            if full + order.line.len() as u64 > limit && !text.is_empty() {
                self.append((&path, limit, old), &text).map_err(|error| (begun, error))?;
                self.lost.remove(paper);
                (text, full, begun) = (String::new(), size(&path), number);
            }
            full += order.line.len() as u64;
            text.push_str(&order.line);
        }
        self.append((&path, limit, old), &text).map_err(|error| (begun, error))?;
        self.lost.remove(paper);
        Ok(())
    }

    /// Adds lines to a file, or nothing. One that would be too large is put aside first.
    fn append(&mut self, (path, limit, old): (&Path, u64, u32), text: &str) -> io::Result<()> {
        self.made(&self.directory)?;
        self.made(path.parent().unwrap_or(&self.directory))?;
        let mut file = open(path)?;
        let mut size = file.metadata()?.len();
        if size > 0 && size + text.len() as u64 > limit {
            put_aside(path, old)?;
            file = open(path)?;
            size = 0;
        }
        if let Err(error) = file.write_all(text.as_bytes()) {
            // Half a line would be the beginning of the next one.
            file.set_len(size)?;
            return Err(error);
        }
        self.unlooked += text.len() as u64;
        Ok(())
    }

    fn path(&self, paper: &Paper) -> PathBuf {
        match paper {
            Paper::Audit => self.directory.join("audit").join("audit.jsonl"),
            Paper::Log(name) => self.directory.join("logs").join(format!("{name}.log")),
        }
    }

    fn made(&self, directory: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory == self.directory => {
                DirBuilder::new().mode(0o700).recursive(true).create(directory)
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }
}

fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.len())
}

fn open(path: &Path) -> io::Result<File> {
    // A link may lead anywhere, and a pipe would be waited for.
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file; move it away"));
    }
    Ok(file)
}

/// Puts a file aside, and what was put aside before one further; the oldest goes.
fn put_aside(path: &Path, old: u32) -> io::Result<()> {
    for number in (1..old).rev() {
        match fs::rename(aside(path, number), aside(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, aside(path, 1))
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// What is said where lines are missing.
fn loss(paper: &Paper, lines: u64) -> String {
    match paper {
        Paper::Audit => AuditLine::new("lost").number("lines", lines).finish(),
        Paper::Log(_) => {
            let text = format!("{lines} lines could not be written here");
            format!("{}\n", LogLine::new((Origin::Event, Some("warning")), &text))
        }
    }
}

/// What is wrong, and what to do.
fn said(error: &io::Error, path: &Path) -> String {
    let cure = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room there",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; let its owner write there",
        _ if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => "; it is a link: remove it",
        _ => "",
    };
    format!("`{}`: {error}{cure}", path.display())
}

/// Removes the oldest logs until all of them together are small enough.
fn prune(directory: &Path, most: u64) {
    let Ok(found) = fs::read_dir(directory) else { return };
    let known = found.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let is_old = entry.path().extension().is_some_and(|ending| ending != "log");
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((!is_old, changed, metadata.len(), entry.path()))
    });
    let mut known: Vec<_> = known.collect();
    let mut all: u64 = known.iter().map(|(_, _, size, _)| size).sum();
    // Those that were put aside first.
    known.sort();
    for (_, _, size, path) in known {
        if all <= most {
            return;
        }
        if fs::remove_file(path).is_ok() {
            all -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, sync::Arc};

    use super::*;

    fn audit(line: &str) -> Order {
        Order { paper: Paper::Audit, line: format!("{line}\n"), written: None }
    }

    /// All lines of the audit log, the oldest first.
    fn lines(directory: &Path) -> Vec<String> {
        let path = directory.join("audit/audit.jsonl");
        let files = (1..=OLD_AUDITS).rev().map(|number| aside(&path, number)).chain([path.clone()]);
        let text: String = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn two_writers_and_what_is_put_aside_lose_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("state");
        // Each of four files holds more than a quarter of what is written.
        let most = 4 * 16_000;
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let place = place.clone();
                scope.spawn(move || {
                    let (mut disk, shared) = (Disk::new(place), Shared::new(most));
                    for batch in 0..100 {
                        let orders =
                            (0..10).map(|number| audit(&format!("{writer} {batch:03} {number:03}      padded")));
                        disk.write(orders.collect(), HashMap::new(), &shared);
                    }
                });
            }
        });
        let lines = lines(&place);
        assert_eq!(lines.len(), 2000);
        for writer in ["0", "1"] {
            let own: Vec<_> = lines.iter().filter(|line| line.starts_with(writer)).collect();
            assert!(own.len() == 1000 && own.is_sorted(), "each writer's lines are there in their order");
        }
        assert!(aside(&place.join("audit/audit.jsonl"), 1).exists(), "it was put aside");
        for (path, mode) in
            [("", 0o700), ("audit", 0o700), ("audit/audit.jsonl", 0o600), ("audit/audit.jsonl.1", 0o600)]
        {
            let found = fs::metadata(place.join(path)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{path}");
        }
    }

    #[test]
    fn the_audit_log_and_all_logs_together_stay_within_their_limits() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, shared) = (Disk::new(dir.path().to_owned()), Shared::new(4000));
        for number in 0..1000 {
            disk.write([audit(&format!("{number:050}"))].into(), HashMap::new(), &shared);
        }
        let text: usize = lines(dir.path()).iter().map(|line| line.len() + 1).sum();
        assert!((3000..=4000).contains(&text), "{text}");
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        for name in ["a.log.1", "a.log", "b.log"] {
            fs::write(logs.join(name), "x".repeat(100)).unwrap();
        }
        prune(&logs, 200);
        assert!(!logs.join("a.log.1").exists() && logs.join("a.log").exists() && logs.join("b.log").exists());
    }

    #[test]
    fn a_link_is_not_followed_and_what_is_lost_is_told_where_it_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut disk, shared) = (Disk::new(dir.path().to_owned()), Shared::new(1 << 20));
        fs::create_dir(dir.path().join("logs")).unwrap();
        let (target, log) = (dir.path().join("target"), dir.path().join("logs/a.log"));
        std::os::unix::fs::symlink(&target, &log).unwrap();
        let order = || Order { paper: Paper::Log(Arc::from("a")), line: "line\n".to_owned(), written: None };
        disk.write([order(), order()].into(), HashMap::new(), &shared);
        assert!(!target.exists());
        fs::remove_file(&log).unwrap();
        disk.write([order()].into(), HashMap::new(), &shared);
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.ends_with("event[warning]: 2 lines could not be written here\nline\n"), "{text}");
    }
}
