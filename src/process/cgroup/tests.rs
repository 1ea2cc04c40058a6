//! With plain directories that are laid out like groups: what a file was told last is what it holds.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{sys::wait::waitpid, unistd::Pid};
use tempfile::TempDir;

use super::{
    group::Cgroup,
    place::{Place, own_group},
};
use crate::{
    error::{Error, Limit},
    process::{Found, Limits, Process, Spawn, Stdin, mark::Mark, spawner},
    shutdown::Grace,
};

const NO: Limits = Limits { memory_mb: None, processes: None, open_files: None, cpu_seconds: None };
const BOTH: Limits = Limits { memory_mb: Some(100), processes: Some(30), ..NO };

/// A tree of groups.
struct Tree(TempDir);

impl Tree {
    /// A group that was given to us, and the one below it that we were put in.
    fn with_us_one_lower() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.group("given", "cpu memory pids");
        tree.group("given/us", "memory pids");
        tree
    }

    /// A group that was given to us, with these processes in it, in one that is somebody else's.
    fn with_us_in(name: &str, pids: &[u32]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.group(name, "memory pids");
        let pids: Vec<String> = pids.iter().map(|pid| format!("{pid}\n")).collect();
        tree.put(&format!("{name}/cgroup.procs"), &pids.concat());
        tree
    }

    fn group(&self, path: &str, controllers: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
        self.put(&format!("{path}/cgroup.type"), "domain\n");
        self.put(&format!("{path}/cgroup.controllers"), &format!("{controllers}\n"));
        self.put(&format!("{path}/cgroup.subtree_control"), "\n");
        self.put(&format!("{path}/cgroup.procs"), "");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn holds(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn place(&self) -> Arc<Place> {
        Arc::new(Place::around(&self.path("given/us"), None).unwrap())
    }

    /// Why there is no place for whoever is in that group.
    #[track_caller]
    fn refuses(&self, own: &str, guard: Option<u32>) -> String {
        Place::around(&self.path(own), guard).expect_err("there is a place").to_string()
    }
}

/// The first group of this process below the one that was given to us.
fn first() -> String {
    format!("given/mcp-{}-0", std::process::id())
}

/// As if the system had removed its files with it.
fn empty(directory: &Path) {
    for file in fs::read_dir(directory).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
}

/// A process that waits.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn our_group_is_found_under_its_mount_wherever_that_is() {
    let plain = "25 20 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    assert_eq!(own_group("0::/a.slice/b\n", plain), Some("/sys/fs/cgroup/a.slice/b".into()));
    let hybrid = "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    assert_eq!(own_group("4:memory:/x\n0::/y\n", hybrid), Some("/sys/fs/cgroup/unified/y".into()));
    let part = "30 25 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    assert_eq!(own_group("0::/box/y\n", part), Some("/sys/fs/cgroup/y".into()));
    assert_eq!(own_group("0::/elsewhere\n", part), None);
    assert_eq!(own_group("0::/../outside\n", plain), None);
    assert_eq!(own_group("4:memory:/x\n", plain), None);
    assert_eq!(own_group("0::/\n", "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"), None);
}

#[test]
fn whoever_was_put_one_lower_makes_groups_beside_its_own_and_is_not_moved() {
    let tree = Tree::with_us_one_lower();
    let (group, _door) = Cgroup::within(&tree.place(), BOTH).unwrap();
    assert_eq!(tree.holds("given/cgroup.subtree_control"), "+memory +pids");
    assert!(tree.path(&first()).is_dir() && !tree.path("given/us/computer").exists());
    drop(group);
}

#[test]
fn what_is_limited_already_is_left_as_it_is() {
    let tree = Tree::with_us_one_lower();
    tree.put("given/cgroup.subtree_control", "cpu pids memory\n");
    tree.place();
    assert_eq!(tree.holds("given/cgroup.subtree_control"), "cpu pids memory\n");
}

#[test]
fn whoever_is_alone_with_its_guard_moves_one_lower() {
    let guard = Sleeper::new();
    let tree = Tree::with_us_in("alone", &[std::process::id(), guard.pid()]);
    let place = Place::around(&tree.path("alone"), Some(guard.pid())).unwrap();
    assert_eq!(tree.holds("alone/computer/cgroup.procs"), guard.pid().to_string(), "it was moved last");
    assert_eq!(tree.holds("alone/cgroup.subtree_control"), "+memory +pids");
    assert_eq!(place.new_directory().unwrap().parent(), Some(tree.path("alone").as_path()));
}

#[test]
fn nobody_is_moved_who_is_not_ours_nor_anybody_without_a_guard() {
    let (guard, other) = (Sleeper::new(), Sleeper::new());
    let tree = Tree::with_us_in("shared", &[std::process::id(), guard.pid(), other.pid()]);
    let reason = tree.refuses("shared", Some(guard.pid()));
    assert!(reason.contains(&format!("holds process {}, which is not ours", other.pid())), "{reason}");
    tree.put("shared/cgroup.procs", &std::process::id().to_string());
    let reason = tree.refuses("shared", None);
    assert!(reason.contains("we have no guard"), "{reason}");
    assert!(!tree.path("shared/computer").exists());
    assert_eq!(tree.holds("shared/cgroup.subtree_control"), "\n");
}

#[test]
fn groups_that_were_not_given_to_us_are_left_alone() {
    for unit in ["app.slice", "some.service", "session-1.scope"] {
        let tree = Tree::with_us_in(unit, &[std::process::id()]);
        tree.group(&format!("{unit}/us"), "memory pids");
        let reasons = [tree.refuses(unit, Some(std::process::id())), tree.refuses(&format!("{unit}/us"), None)];
        for reason in reasons {
            assert!(reason.contains("is systemd's; `Delegate=yes` in the unit would make it ours"), "{unit}: {reason}");
        }
        assert_eq!(tree.holds(&format!("{unit}/cgroup.subtree_control")), "\n");
    }
    let tree = Tree::with_us_one_lower();
    tree.put("given/cgroup.type", "domain threaded\n");
    assert!(tree.refuses("given/us", None).contains("is not for dividing"));
    fs::remove_file(tree.path("given/cgroup.type")).unwrap();
    assert!(tree.refuses("given/us", None).contains("is not for dividing"), "it is the topmost");
}

#[test]
fn where_neither_memory_nor_processes_can_be_limited_there_is_no_place() {
    let tree = Tree::with_us_one_lower();
    tree.put("given/cgroup.controllers", "cpuset cpu io\n");
    assert!(tree.refuses("given/us", None).contains("has no controller of memory or pids"));
    fs::remove_file(tree.path("given/cgroup.controllers")).unwrap();
    assert!(tree.refuses("given/us", None).contains("No such file"));
}

#[test]
fn within_an_entry_of_another_one_there_is_no_place() {
    let tree = Tree::with_us_one_lower();
    for own in ["given/mcp-17-3", "given/mcp-17-3/below"] {
        tree.group(own, "memory pids");
        let reason = tree.refuses(own, Some(std::process::id()));
        assert!(reason.contains("we belong to an entry that has a control group"), "{own}: {reason}");
    }
}

#[test]
fn a_group_is_told_its_limits_and_to_end_as_a_whole() {
    let tree = Tree::with_us_one_lower();
    let (_group, _door) = Cgroup::within(&tree.place(), BOTH).unwrap();
    let told = |file: &str| tree.holds(&format!("{}/{file}", first()));
    assert_eq!(told("memory.max"), (100 << 20).to_string());
    assert_eq!((told("memory.swap.max"), told("memory.oom.group")), ("0".to_owned(), "1".to_owned()));
    // 128 threads each.
    assert_eq!(told("pids.max"), "3840");
}

#[test]
fn a_single_process_may_have_many_threads() {
    let tree = Tree::with_us_one_lower();
    let (_group, _door) = Cgroup::within(&tree.place(), Limits { processes: Some(1), ..NO }).unwrap();
    assert_eq!(tree.holds(&format!("{}/pids.max", first())), "1024");
    assert!(!tree.path(&format!("{}/memory.max", first())).exists());
}

#[test]
fn an_entry_that_would_not_be_limited_gets_no_group() {
    let tree = Tree::with_us_one_lower();
    tree.put("given/cgroup.controllers", "memory\n");
    let place = tree.place();
    assert_eq!(tree.holds("given/cgroup.subtree_control"), "+memory");
    assert!(Cgroup::within(&place, Limits { processes: Some(1), ..NO }).is_err());
    assert!(!tree.path(&first()).exists());
}

#[tokio::test]
async fn a_child_is_in_its_group_before_it_is_a_program() {
    let tree = Tree::with_us_one_lower();
    let (_group, door) = Cgroup::within(&tree.place(), BOTH).unwrap();
    // What is in the file now is what the program finds there.
    let spawn = Spawn {
        program: "/bin/cat".into(),
        args: vec![tree.path(&first()).join("cgroup.procs").into()],
        env: Vec::new(),
        cwd: "/".into(),
        stdin: Stdin::Null,
        limits: NO,
    };
    let (mut printed, stdout) = io::pipe().unwrap();
    let null = || File::options().read(true).write(true).open("/dev/null").unwrap().into();
    let files = [null(), stdout.into(), null()];
    let pid = spawner::start_program(&spawn, files, (Mark::next(), ([None, None], Some(door), false))).unwrap();
    let mut text = String::new();
    printed.read_to_string(&mut text).unwrap();
    assert_eq!(text, "0", "the system takes that for whoever writes it");
    waitpid(Pid::from_raw(pid.cast_signed()), None).unwrap();
}

#[test]
fn what_was_killed_for_its_memory_has_exceeded_its_limit() {
    let tree = Tree::with_us_one_lower();
    let (group, _door) = Cgroup::within(&tree.place(), BOTH).unwrap();
    let says = |events: &str| {
        tree.put(&format!("{}/memory.events", first()), events);
        group.exceeded().map(|error| error.to_string())
    };
    assert_eq!(says("low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n"), None);
    assert_eq!(says("low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\n"), None, "it was the whole system that had no more");
    let killed = "low 0\nhigh 0\nmax 31\noom 1\noom_kill 2\noom_group_kill 1\n";
    let said = "the server was ended: it and what it started used 100 MiB of memory and asked for more, and \
                `limits.memoryMb` allows 100; raise it if the server needs more";
    assert_eq!(says(killed).as_deref(), Some(said));
    tree.put(&format!("{}/memory.peak", first()), &format!("{}\n", 103 << 20));
    let said = "the server was ended: it and what it started used 103 MiB of memory, and `limits.memoryMb` allows 100; \
                raise it if the server needs more";
    assert_eq!(says(killed).as_deref(), Some(said));
}

#[test]
fn refused_processes_are_told_of() {
    let tree = Tree::with_us_one_lower();
    let (group, _door) = Cgroup::within(&tree.place(), BOTH).unwrap();
    let refusals = group.refusals().unwrap();
    tree.put(&format!("{}/pids.events", first()), "max 0\n");
    assert_eq!(refusals.words(), None);
    tree.put(&format!("{}/pids.events", first()), "max 4\n");
    let words = refusals.words().unwrap();
    assert!(words.contains("with 30 as its `limits.processes` it may have 3840 threads in all"), "{words}");
}

#[test]
fn only_a_group_that_somebody_is_in_is_killed() {
    let tree = Tree::with_us_one_lower();
    let (group, _door) = Cgroup::within(&tree.place(), BOTH).unwrap();
    tree.put(&format!("{}/cgroup.events", first()), "populated 0\nfrozen 0\n");
    group.kill();
    assert!(!tree.path(&first()).join("cgroup.kill").exists());
    tree.put(&format!("{}/cgroup.events", first()), "populated 1\nfrozen 0\n");
    group.kill();
    assert_eq!(tree.holds(&format!("{}/cgroup.kill", first())), "1");
}

#[tokio::test]
async fn groups_are_removed_with_those_that_were_made_within() {
    let tree = Tree::with_us_one_lower();
    let place = tree.place();
    let groups = [(); 2].map(|()| Cgroup::within(&place, BOTH).unwrap().0);
    let made = [0, 1].map(|number| tree.path(&format!("given/mcp-{}-{number}", std::process::id())));
    for directory in &made {
        empty(directory);
        fs::create_dir_all(directory.join("a/b")).unwrap();
    }
    let [ended, dropped] = groups;
    ended.end().await;
    drop(dropped);
    assert!(made.iter().all(|directory| !directory.exists()));
}

#[test]
fn a_group_that_could_not_be_removed_goes_when_the_next_is_made() {
    let tree = Tree::with_us_one_lower();
    let place = tree.place();
    let (group, _door) = Cgroup::within(&place, BOTH).unwrap();
    drop(group);
    assert!(tree.path(&first()).exists(), "its files were there");
    empty(&tree.path(&first()));
    let next = place.new_directory().unwrap();
    assert!(next.exists() && !tree.path(&first()).exists());
}

#[test]
fn empty_groups_of_the_dead_are_removed_and_no_others() {
    let (living, mut dead) = (Sleeper::new(), Sleeper::new());
    dead.0.kill().unwrap();
    dead.0.wait().unwrap();
    let tree = Tree::with_us_one_lower();
    let names = [
        format!("mcp-{}-0", dead.pid()),
        format!("mcp-{}-1", dead.pid()),
        format!("mcp-{}-0", living.pid()),
        "mcp-other".to_owned(),
        "mcp-1x-0".to_owned(),
    ];
    for name in &names {
        fs::create_dir(tree.path("given").join(name)).unwrap();
    }
    // As a group in which somebody is still alive.
    tree.put(&format!("given/{}/cgroup.procs", names[1]), "17\n");
    tree.place();
    let left: Vec<bool> = names.iter().map(|name| tree.path("given").join(name).exists()).collect();
    assert_eq!(left, [false, true, true, true, true]);
}

/// A process that waits, as if it had entered the first group of a tree.
async fn member(tree: &Tree) -> Process {
    let spawn = Spawn {
        program: "/bin/sleep".into(),
        args: vec!["1000".into()],
        env: Vec::new(),
        cwd: "/".into(),
        stdin: Stdin::Null,
        limits: BOTH,
    };
    let (mut process, _pipes) = Process::spawn(spawn).await.unwrap();
    process.cgroup = Some(Cgroup::within(&tree.place(), BOTH).unwrap().0);
    process
}

#[tokio::test]
async fn a_process_tells_the_limit_of_its_group_and_is_ended_with_it() {
    let tree = Tree::with_us_one_lower();
    let process = member(&tree).await;
    let killed = Some(ExitStatus::from_raw(9));
    assert!(process.limit_behind(killed).is_none());
    tree.put(&format!("{}/memory.events", first()), "oom 1\noom_kill 1\noom_group_kill 1\n");
    let limit = process.limit_behind(killed);
    assert!(matches!(limit, Some(Error::LimitExceeded { limit: Limit::MemoryMb, used: 100, allowed: 100 })));
    tree.put(&format!("{}/cgroup.events", first()), "populated 1\n");
    process.end(Grace::of(Duration::ZERO)).await;
    assert_eq!(tree.holds(&format!("{}/cgroup.kill", first())), "1");
}

#[tokio::test]
async fn a_watch_finds_what_the_processes_of_a_group_were_refused() {
    let tree = Tree::with_us_one_lower();
    let process = member(&tree).await;
    tree.put(&format!("{}/pids.events", first()), "max 2\n");
    let found = tokio::time::timeout(Duration::from_secs(30), process.watch().next()).await.unwrap();
    assert!(matches!(&found, Found::Full(words) if words.contains("refused it new processes")), "{found:?}");
    process.end(Grace::of(Duration::ZERO)).await;
}
