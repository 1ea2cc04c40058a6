//! What a process and its descendants use.

use std::collections::HashMap;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Memory and processor time of a whole tree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Resident memory in bytes, shared pages counted once a process.
    pub(crate) rss_bytes: u64,
    /// Per cent of one processor since the last look, or since the start at the first.
    pub(crate) cpu_percent: f32,
}

/// Looks at processes; it remembers its last look.
#[derive(Debug, Default)]
pub(crate) struct UsageMeter {
    /// Made at the first look: who never asks does not pay for it.
    system: Option<System>,
    seen: HashMap<u32, (u64, std::time::Instant)>,
}

impl UsageMeter {
    /// The usage of the tree below each of `roots`, the roots included. Blocks for some milliseconds.
    pub(crate) fn look(&mut self, roots: &[u32]) -> HashMap<u32, Usage> {
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        if self.system.is_none() {
            self.system = System::new().ok();
        }
        let Some(system) = &mut self.system else { return HashMap::new() };
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
        for (pid, process) in system.processes() {
            if let Some(parent) = process.parent() {
                children.entry(parent).or_default().push(*pid);
            }
        }
        self.seen.retain(|pid, _| roots.contains(pid));
        let looks: Vec<_> = roots.iter().map(|root| (*root, tree(system, *root, &children))).collect();
        looks
            .into_iter()
            .map(|(root, (rss, cpu_millis, age))| (root, self.usage(root, rss, (cpu_millis, age))))
            .collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more")]
    fn usage(&mut self, root: u32, rss_bytes: u64, (cpu_millis, age): (u64, u64)) -> Usage {
        let now = std::time::Instant::now();
        let (used, over) = match self.seen.insert(root, (cpu_millis, now)) {
            Some((before, then)) => (cpu_millis.saturating_sub(before), now.duration_since(then).as_millis() as f32),
            None => (cpu_millis, age as f32),
        };
        Usage { rss_bytes, cpu_percent: if over > 0.0 { used as f32 * 100.0 / over } else { 0.0 } }
    }
}

/// Memory, milliseconds of processor time, and milliseconds since the start of the root.
fn tree(system: &System, root: u32, children: &HashMap<Pid, Vec<Pid>>) -> (u64, u64, u64) {
    let mut open = vec![Pid::from_u32(root)];
    let mut sum = (0, 0, 0);
    while let Some(pid) = open.pop() {
        if let Some(process) = system.process(pid) {
            sum.0 += process.memory();
            sum.1 += process.accumulated_cpu_time();
            sum.2 = sum.2.max(process.run_time() * 1000);
        }
        open.extend(children.get(&pid).into_iter().flatten());
    }
    sum
}
