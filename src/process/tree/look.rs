//! Looking at every process in such a way that nobody who is looked for is missed.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

use nix::libc;

use crate::process::table::{self, Row};

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
    mut met: impl FnMut(&Row),
    pick: impl Fn(&[Row]) -> Vec<Row>,
) -> io::Result<Vec<Row>> {
    let mut others = HashMap::new();
    for _ in 0..LOOKS {
        let Look { all, torn } = look(&others, &mut met)?;
        let (zombies, living): (Vec<_>, Vec<_>) = pick(&all).into_iter().partition(|row| row.zombie);
        let zombies: HashSet<u32> = zombies.iter().map(|row| row.pid).collect();
        if !living.is_empty() || (!torn && zombies.is_subset(&dead)) {
            return Ok(living);
        }
        others = all.into_iter().map(|row| (row.pid, row)).filter(|(pid, _)| !zombies.contains(pid)).collect();
        dead = zombies;
    }
    Ok(Vec::new())
}

/// All processes of the system.
struct Look {
    all: Vec<Row>,
    /// Somebody had gone between being listed and being read about.
    torn: bool,
}

/// Reads about the newest first: they are the likeliest not to be there for long. What is `known` is not read again.
fn look(known: &HashMap<u32, Row>, mut met: impl FnMut(&Row)) -> io::Result<Look> {
    let listed = fs::read_dir("/proc")?.flatten();
    let mut pids: Vec<u32> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
    let mut look = Look { all: Vec::with_capacity(pids.len()), torn: false };
    for pid in pids {
        if let Some(row) = known.get(&pid) {
            look.all.push(*row);
            continue;
        }
        match table::read(pid) {
            Ok(Some(row)) => {
                met(&row);
                look.all.push(row);
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
