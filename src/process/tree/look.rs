//! What the system says of its processes.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

use nix::libc;

use crate::process::mark::Mark;

/// What the system says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::process) struct Entry {
    pub(in crate::process) pid: u32,
    pub(super) parent: u32,
    pub(super) session: u32,
    /// In clock ticks since the boot.
    pub(in crate::process) started: u64,
    /// It has ended and only waits to be reaped.
    pub(in crate::process) zombie: bool,
    pub(super) mark: Option<Mark>,
}

/// What the system says of one process; `None` when there is none.
pub(in crate::process) fn read(pid: u32) -> io::Result<Option<Entry>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        // The name of a program may be cut off in the middle of a character.
        Ok(stat) => Ok(parse(pid, &String::from_utf8_lossy(&stat))),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(pid: u32, stat: &str) -> Option<Entry> {
    // The name of the program stands in parentheses and may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let threads: u32 = fields.nth(13)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    // A process whose first thread has ended before the others is shown as a zombie, too.
    let zombie = matches!(state, "Z" | "X") && threads <= 1;
    Some(Entry { pid, parent, session, started, zombie, mark: Mark::of(pid) })
}

/// Whether a process has been killed and is still there: with many threads on a busy machine that takes its time.
pub(in crate::process) fn is_dying(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    // None at all: it is gone.
    threads.into_iter().all(|thread| is_thread_dying(&thread.path()).unwrap_or(true))
}

/// `None` when it is gone.
fn is_thread_dying(thread: &Path) -> Option<bool> {
    /// The thread is being ended, or is writing down how the process was.
    const ENDING: u32 = 0x4 | 0x200;
    const KILLED: u64 = 1 << (libc::SIGKILL - 1);
    let stat = fs::read(thread.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let flags: u32 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(6)?.parse().ok()?;
    let status = fs::read(thread.join("status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let pending = status.lines().filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")));
    let is_killed = |mask: &str| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & KILLED != 0);
    Some(flags & ENDING != 0 || pending.into_iter().any(is_killed))
}

/// How often is looked again when nobody is found in a look that does not count. Looking again costs little.
const LOOKS: usize = 50;

/// Looks until somebody who is picked lives, or nobody who is picked can have been missed. `met` is called at once for
/// each process that is read about.
///
/// A process that forks and ends, again and again, is easily taken for gone: it ended after it had been listed, and its
/// child was born too late to be. The system lists by id, and new ids are higher, so that one of a row of such processes
/// is always listed. So nobody is there only when all that were listed could be read about, and none of the picked has
/// become a zombie meanwhile. `dead` are the zombies that were known before.
pub(super) fn look_for(
    mut dead: HashSet<u32>,
    mut met: impl FnMut(&Entry),
    pick: impl Fn(&[Entry]) -> Vec<Entry>,
) -> io::Result<Vec<Entry>> {
    let mut others = HashMap::new();
    for _ in 0..LOOKS {
        let Look { all, torn } = look(&others, &mut met)?;
        let (zombies, living): (Vec<_>, Vec<_>) = pick(&all).into_iter().partition(|entry| entry.zombie);
        let zombies: HashSet<u32> = zombies.iter().map(|entry| entry.pid).collect();
        if !living.is_empty() || (!torn && zombies.is_subset(&dead)) {
            return Ok(living);
        }
        others = all.into_iter().map(|entry| (entry.pid, entry)).filter(|(pid, _)| !zombies.contains(pid)).collect();
        dead = zombies;
    }
    Ok(Vec::new())
}

/// All processes of the system.
struct Look {
    all: Vec<Entry>,
    /// Somebody had gone between being listed and being read about.
    torn: bool,
}

/// Reads about the newest first: they are the likeliest not to be there for long. What is `known` is not read again.
fn look(known: &HashMap<u32, Entry>, mut met: impl FnMut(&Entry)) -> io::Result<Look> {
    let listed = fs::read_dir("/proc")?.flatten();
    let mut pids: Vec<u32> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
    let mut look = Look { all: Vec::with_capacity(pids.len()), torn: false };
    for pid in pids {
        if let Some(entry) = known.get(&pid) {
            look.all.push(*entry);
            continue;
        }
        match read(pid) {
            Ok(Some(entry)) => {
                met(&entry);
                look.all.push(entry);
            }
            Ok(None) => look.torn = true,
            // We are too short of descriptors to be told anything.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => return Err(error),
            // Hidden from us, so that it is another user's.
            Err(_) => {}
        }
    }
    Ok(look)
}

/// The seeds and all that descends from them.
pub(super) fn closure(all: &[Entry], is_seed: impl Fn(&Entry) -> bool) -> HashSet<u32> {
    let mut found: HashSet<u32> = all.iter().filter(|entry| is_seed(entry)).map(|entry| entry.pid).collect();
    loop {
        let before = found.len();
        let children = all.iter().filter(|entry| found.contains(&entry.parent)).map(|entry| entry.pid);
        found.extend(children.collect::<Vec<_>>());
        if found.len() == before {
            return found;
        }
    }
}
