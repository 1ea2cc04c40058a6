//! What a process and all that descends from it use.

use std::{
    collections::HashMap,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use super::{
    mark::Mark,
    table::{self, Row, Table},
};

/// Memory and processor time of a whole tree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Resident memory in bytes, shared pages counted once a process.
    pub(crate) rss_bytes: u64,
    /// Per cent of one processor since the last look that is not too near, or since the start at the first.
    pub(crate) cpu_percent: f32,
    /// How many processes there are.
    pub(crate) processes: usize,
}

/// Looks at processes; it remembers its last looks.
#[derive(Debug, Default)]
pub(crate) struct UsageMeter {
    seen: HashMap<Mark, History>,
}

/// The last two looks that are far enough apart.
#[derive(Debug)]
struct History {
    earlier: Sample,
    last: Sample,
}

/// The processor times of a tree at one moment, by process id.
#[derive(Debug, Clone)]
struct Sample {
    at: Instant,
    spent: HashMap<u32, Spent>,
}

/// The processor time that stands at one process.
#[derive(Debug, Clone, Copy)]
struct Spent {
    /// When it was started: another process may come to have its id.
    start: Duration,
    parent: u32,
    own: Duration,
    /// Of its children that have ended, and of theirs.
    reaped: Duration,
}

/// Looks that are nearer to each other say nothing: the system counts in hundredths of a second.
const APART: Duration = Duration::from_millis(500);

/// What one has used right after its start is told as if it had been there for so long.
const SHORTEST: Duration = Duration::from_millis(100);

impl UsageMeter {
    /// The usage of the tree of each of `roots` that is a process of ours. Blocks for some milliseconds.
    pub(crate) fn look(&mut self, roots: &[u32]) -> HashMap<u32, Usage> {
        let Ok(table) = Table::read() else { return HashMap::new() };
        let marked = roots.iter().filter_map(|root| Some((*root, Mark::given_to(*root)?)));
        let marked: Vec<(u32, Mark)> = marked.collect();
        self.seen.retain(|mark, _| marked.iter().any(|(_, known)| known == mark));
        marked.into_iter().map(|(root, mark)| (root, self.usage(&table, root, mark))).collect()
    }

    fn usage(&mut self, table: &Table, root: u32, mark: Mark) -> Usage {
        let family = table.family(root, mark);
        let age = family.iter().find(|row| row.pid == root).map_or(Duration::ZERO, |row| table.age(row));
        let now = Sample { at: table.at(), spent: family.iter().map(|row| (row.pid, Spent::of(row))).collect() };
        let cpu_percent = if let Some(history) = self.seen.get_mut(&mark) {
            history.percent(now)
        } else {
            let began = now.at.checked_sub(age).unwrap_or(now.at);
            let start = Sample { at: began, spent: HashMap::new() };
            let percent = now.percent_since(&start);
            self.seen.insert(mark, History { earlier: start, last: now });
            percent
        };
        let rss_bytes = family.iter().map(|row| table::resident(row)).sum();
        Usage { rss_bytes, cpu_percent, processes: family.len() }
    }
}

impl History {
    fn percent(&mut self, now: Sample) -> f32 {
        if now.at.saturating_duration_since(self.last.at) < APART {
            return now.percent_since(&self.earlier);
        }
        let percent = now.percent_since(&self.last);
        self.earlier = std::mem::replace(&mut self.last, now);
        percent
    }
}

impl Sample {
    fn percent_since(&self, before: &Self) -> f32 {
        let over = self.at.saturating_duration_since(before.at).max(SHORTEST);
        let percent = self.spent_since(before).as_secs_f32() * 100.0 / over.as_secs_f32();
        let processors = u16::try_from(available_parallelism().map_or(1, usize::from)).unwrap_or(u16::MAX);
        percent.min(100.0 * f32::from(processors))
    }

    /// What those who are there have used since, and those who have ended meanwhile as far as somebody reaped them.
    fn spent_since(&self, before: &Self) -> Duration {
        let mut own = Duration::ZERO;
        let mut reaped = HashMap::new();
        for (pid, spent) in &self.spent {
            let then = before.spent.get(pid).filter(|then| then.start == spent.start);
            own += spent.own.saturating_sub(then.map_or(Duration::ZERO, |then| then.own));
            reaped.insert(*pid, spent.reaped.saturating_sub(then.map_or(Duration::ZERO, |then| then.reaped)));
        }
        // What was known of one that was reaped was told already.
        for (pid, gone) in before.spent.iter().filter(|(pid, gone)| !self.has(**pid, gone)) {
            if let Some(reaped) = self.heir(before, *pid).and_then(|heir| reaped.get_mut(&heir)) {
                *reaped = reaped.saturating_sub(gone.own + gone.reaped);
            }
        }
        own + reaped.values().sum::<Duration>()
    }

    fn has(&self, pid: u32, spent: &Spent) -> bool {
        self.spent.get(&pid).is_some_and(|now| now.start == spent.start)
    }

    /// Who got the times of one that has ended, when nobody between them is left: the nearest that is still there.
    fn heir(&self, before: &Self, pid: u32) -> Option<u32> {
        let parents = std::iter::successors(before.spent.get(&pid), |spent| before.spent.get(&spent.parent));
        let heir = parents.take(before.spent.len()).map(|spent| spent.parent);
        heir.into_iter().find(|parent| before.spent.get(parent).is_some_and(|spent| self.has(*parent, spent)))
    }
}

impl Spent {
    fn of(row: &Row) -> Self {
        Self { start: row.start, parent: row.parent, own: row.own, reaped: row.reaped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample after so many milliseconds, of processes with pid, parent, own and reaped time in milliseconds.
    fn sample(begin: Instant, after: u64, processes: &[(u32, u32, u64, u64)]) -> Sample {
        let millis = Duration::from_millis;
        let spent = processes.iter().map(|(pid, parent, own, reaped)| {
            let spent = Spent { start: millis(1), parent: *parent, own: millis(*own), reaped: millis(*reaped) };
            (*pid, spent)
        });
        Sample { at: begin + millis(after), spent: spent.collect() }
    }

    fn spent(before: &[(u32, u32, u64, u64)], now: &[(u32, u32, u64, u64)]) -> u128 {
        let begin = Instant::now();
        sample(begin, 1000, now).spent_since(&sample(begin, 0, before)).as_millis()
    }

    #[test]
    fn what_each_has_used_since_is_added_up() {
        assert_eq!(
            spent(&[(1, 0, 100, 0), (2, 1, 50, 0)], &[(1, 0, 130, 0), (2, 1, 90, 0), (3, 2, 7, 0)]),
            30 + 40 + 7
        );
    }

    #[test]
    fn the_time_of_one_that_ended_is_not_counted_twice_and_its_last_part_is_counted() {
        assert_eq!(spent(&[(1, 0, 100, 0), (2, 1, 5000, 0)], &[(1, 0, 110, 5020)]), 10 + 20);
    }

    #[test]
    fn one_that_came_and_went_between_two_looks_is_counted() {
        assert_eq!(spent(&[(1, 0, 100, 0)], &[(1, 0, 100, 300)]), 300);
    }

    #[test]
    fn one_that_ended_and_was_reaped_by_nobody_of_them_takes_nothing_from_the_others() {
        assert_eq!(spent(&[(1, 0, 100, 0), (2, 9, 5000, 0)], &[(1, 0, 140, 0)]), 40);
        assert_eq!(spent(&[(1, 0, 100, 0), (2, 1, 5000, 0)], &[(1, 0, 140, 0)]), 40);
    }

    #[test]
    fn a_branch_that_ended_as_a_whole_is_inherited_by_whoever_is_left_above_it() {
        let before = [(1, 0, 100, 0), (2, 1, 10, 0), (3, 2, 4000, 500)];
        assert_eq!(spent(&before, &[(1, 0, 100, 10 + 4000 + 500 + 60)]), 60);
    }

    #[test]
    fn a_new_process_with_an_old_id_is_a_new_process() {
        let begin = Instant::now();
        let before = sample(begin, 0, &[(1, 0, 100, 0), (2, 1, 5000, 0)]);
        let mut now = sample(begin, 1000, &[(1, 0, 100, 5000), (2, 1, 30, 0)]);
        now.spent.get_mut(&2).unwrap().start = Duration::from_millis(2);
        assert_eq!(now.spent_since(&before).as_millis(), 30);
    }

    #[test]
    fn looks_that_come_too_soon_are_measured_against_an_earlier_one() {
        let begin = Instant::now();
        let mut history =
            History { earlier: sample(begin, 0, &[(1, 0, 0, 0)]), last: sample(begin, 1000, &[(1, 0, 500, 0)]) };
        let percent = history.percent(sample(begin, 1001, &[(1, 0, 510, 0)]));
        assert!((50.0..52.0).contains(&percent), "10 ms within 1 ms are no 1000 %: {percent}");
        let percent = history.percent(sample(begin, 2000, &[(1, 0, 1500, 0)]));
        assert!((99.9..100.1).contains(&percent), "{percent}");
    }

    #[test]
    fn a_first_look_right_after_the_start_does_not_exaggerate() {
        let begin = Instant::now();
        let percent = sample(begin, 5, &[(1, 0, 20, 0)]).percent_since(&sample(begin, 0, &[]));
        assert!((19.9..20.1).contains(&percent), "{percent}");
    }
}
