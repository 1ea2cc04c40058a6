//! Every process of the system, as it was at one moment.

use std::{
    collections::HashSet,
    io,
    time::{Duration, Instant},
};

use super::{guard, mark::Mark};

/// What the system said of every process.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    at: Instant,
    /// How long the system was up at that moment.
    uptime: Duration,
}

/// What the system said of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) session: u32,
    /// It has ended and waits to be reaped.
    pub(super) zombie: bool,
    pub(super) mark: Option<Mark>,
    /// When it was started, on the clock of the system's uptime. With the pid it is known by that for ever.
    pub(super) start: Duration,
    /// The processor time that it has used itself.
    pub(super) own: Duration,
    /// That of its children which it has reaped, and of theirs.
    pub(super) reaped: Duration,
    #[cfg(not(target_os = "linux"))]
    resident: u64,
}

impl Table {
    /// Looks at every process. Blocks for some milliseconds.
    pub(super) fn read() -> io::Result<Self> {
        let at = Instant::now();
        let (uptime, rows) = platform::all()?;
        Ok(Self { rows, at, uptime })
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// When it was looked.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// For how long a process had been there.
    pub(super) fn age(&self, row: &Row) -> Duration {
        self.uptime.saturating_sub(row.start)
    }

    /// The living members of a process's tree: its session, whoever carries its mark, and their descendants.
    pub(super) fn members(&self, pid: u32, mark: Mark) -> Vec<&Row> {
        let mut found = self.family(pid, mark);
        found.retain(|row| !row.zombie);
        found
    }

    /// The same with those that wait to be reaped.
    pub(super) fn family(&self, pid: u32, mark: Mark) -> Vec<&Row> {
        descent(&self.rows, |row| row.belongs_to(pid, mark))
    }
}

/// The seeds and all that descends from them, but for what was given to a keeper; never ourselves, never the guard.
pub(super) fn descent(rows: &[Row], is_seed: impl Fn(&Row) -> bool) -> Vec<&Row> {
    let mut found: HashSet<u32> = rows.iter().filter(|row| is_seed(row)).map(|row| row.pid).collect();
    loop {
        let before = found.len();
        let is_child = |row: &&Row| found.contains(&row.parent) && !row.is_kept();
        let children = rows.iter().filter(is_child).map(|row| row.pid);
        found.extend(children.collect::<Vec<_>>());
        if found.len() == before {
            break;
        }
    }
    rows.iter().filter(|row| found.contains(&row.pid) && !row.is_spared()).collect()
}

impl Row {
    pub(super) fn belongs_to(&self, pid: u32, mark: Mark) -> bool {
        self.mark == Some(mark) || !self.is_kept() && (self.pid == pid || self.session == pid)
    }

    /// Whether it was given to a keeper.
    fn is_kept(&self) -> bool {
        self.mark.is_some_and(Mark::is_keepers)
    }

    /// Whether nothing is ever done to it: to ourselves, and to the guard.
    pub(super) fn is_spared(&self) -> bool {
        self.pid == std::process::id() || guard::pid() == Some(self.pid)
    }
}

pub(crate) use platform::is_stopped;
#[cfg(target_os = "linux")]
pub(super) use platform::{last_pid, number, read};
pub(super) use platform::{name, open_files, resident, row, share};

#[cfg(target_os = "linux")]
mod platform {
    use std::{
        borrow::Cow,
        fs::{self, File},
        io::{self, Read},
        str::{FromStr, SplitAsciiWhitespace},
        time::Duration,
    };

    use nix::libc;

    use super::Row;
    use crate::process::mark::Mark;

    /// The milliseconds of a tick in `/proc`, the same on every architecture that Rust knows.
    const TICK: u64 = 10;

    pub(super) fn all() -> io::Result<(Duration, Vec<Row>)> {
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime = uptime.split_ascii_whitespace().next().and_then(|seconds| seconds.parse().ok());
        let uptime = uptime.map(Duration::from_secs_f64).unwrap_or_default();
        let dir = fs::read_dir("/proc")?;
        let pids = dir.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok((uptime, pids.filter_map(row).collect()))
    }

    /// A process, if it is there.
    pub(in crate::process) fn row(pid: u32) -> Option<Row> {
        read(pid).ok().flatten()
    }

    /// The same.
    ///
    /// # Errors
    /// That cannot be told.
    pub(in crate::process) fn read(pid: u32) -> io::Result<Option<Row>> {
        let mut buffer = [0; LINE];
        match stat(pid, &mut buffer) {
            Ok(stat) => Ok(parse(pid, &stat)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Longer than what the system says of a process: fifty numbers and a short name. It says all of it at once, and
    /// reading in more than one step is what costs.
    const LINE: usize = 2048;

    fn stat(pid: u32, buffer: &mut [u8]) -> io::Result<Cow<'_, str>> {
        let length = File::open(format!("/proc/{pid}/stat"))?.read(buffer)?;
        // The name of a program may be cut off in the middle of a character.
        Ok(String::from_utf8_lossy(&buffer[..length]))
    }

    /// Whether a process was stopped by a signal, or by a debugger: it does nothing until it is told to go on. No where
    /// that cannot be told.
    pub(crate) fn is_stopped(pid: u32) -> bool {
        let mut buffer = [0; LINE];
        stat(pid, &mut buffer)
            .is_ok_and(|stat| fields(&stat).is_some_and(|mut fields| matches!(fields.next(), Some("T" | "t"))))
    }

    /// What stands behind the name of the program, which is in parentheses and may hold anything, parentheses too.
    fn fields(stat: &str) -> Option<SplitAsciiWhitespace<'_>> {
        Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
    }

    /// The id that was given last.
    pub(in crate::process) fn last_pid() -> Option<u32> {
        fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().last()?.parse().ok()
    }

    fn parse(pid: u32, stat: &str) -> Option<Row> {
        let mut fields = fields(stat)?;
        let has_ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let mut times = [Duration::ZERO; 4];
        // The terminal, flags and counts of page faults are passed over.
        fields.nth(6)?;
        for time in &mut times {
            *time = ticks(fields.next()?)?;
        }
        let [user, system, reaped_user, reaped_system] = times;
        let threads: u32 = fields.nth(2)?.parse().ok()?;
        let start = ticks(fields.nth(1)?)?;
        // A process whose first thread has ended before the others is shown as one that has ended, too.
        let zombie = has_ended && threads <= 1;
        let (own, reaped) = (user + system, reaped_user + reaped_system);
        Some(Row { pid, parent, session, zombie, mark: Mark::of(pid), start, own, reaped })
    }

    fn ticks(field: &str) -> Option<Duration> {
        Some(Duration::from_millis(field.parse::<u64>().ok()?.saturating_mul(TICK)))
    }

    /// The memory of a process that is there just now, in bytes, with all that it shares.
    pub(in crate::process) fn resident(row: &Row) -> u64 {
        kilobytes(row.pid, "status", "VmRSS:").unwrap_or_default()
    }

    /// The same, of what is shared only its share; when the system does not tell that, all of it.
    pub(in crate::process) fn share(row: &Row) -> u64 {
        kilobytes(row.pid, "smaps_rollup", "Pss:").unwrap_or_else(|| resident(row))
    }

    fn kilobytes(pid: u32, file: &str, key: &str) -> Option<u64> {
        Some(number::<u64>(pid, file, key)? << 10)
    }

    /// The first number behind a key in a file about a process.
    pub(in crate::process) fn number<T: FromStr>(pid: u32, file: &str, key: &str) -> Option<T> {
        let text = fs::read(format!("/proc/{pid}/{file}")).ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    /// How many files a process has open, as far as that may be asked.
    pub(in crate::process) fn open_files(row: &Row) -> Option<u64> {
        Some(fs::read_dir(format!("/proc/{}/fd", row.pid)).ok()?.count() as u64)
    }

    /// What a process calls itself.
    pub(in crate::process) fn name(row: &Row) -> String {
        let name = fs::read(format!("/proc/{}/comm", row.pid)).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end().to_owned()
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::{io, time::Duration};

    use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

    use super::Row;

    pub(super) fn all() -> io::Result<(Duration, Vec<Row>)> {
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        let mut system = System::new().map_err(|_| io::Error::other("the system does not tell its processes"))?;
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let processes = system.processes().values();
        // Only differences of start times and the uptime count: seconds of the calendar serve as well.
        let now = processes.clone().map(|process| process.start_time() + process.run_time()).max().unwrap_or_default();
        let rows = processes.map(|process| Row {
            pid: process.pid().as_u32(),
            parent: process.parent().map_or(0, Pid::as_u32),
            session: process.session_id().map_or(0, Pid::as_u32),
            zombie: process.status() == ProcessStatus::Zombie,
            mark: None,
            start: Duration::from_secs(process.start_time()),
            own: Duration::from_millis(process.accumulated_cpu_time()),
            reaped: Duration::ZERO,
            resident: process.memory(),
        });
        Ok((Duration::from_secs(now), rows.collect()))
    }

    pub(in crate::process) fn row(_: u32) -> Option<Row> {
        None
    }

    pub(in crate::process) fn resident(row: &Row) -> u64 {
        row.resident
    }

    pub(in crate::process) fn share(row: &Row) -> u64 {
        row.resident
    }

    pub(crate) fn is_stopped(_: u32) -> bool {
        false
    }

    pub(in crate::process) fn open_files(_: &Row) -> Option<u64> {
        None
    }

    pub(in crate::process) fn name(_: &Row) -> String {
        String::new()
    }
}
