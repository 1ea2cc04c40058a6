use std::{
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    time::SystemTime,
};

use tempfile::TempDir;

use super::{super::record::Instance, *};
use crate::process::table;

/// A directory of records, and processes that carry marks of runs that never were.
struct Scene {
    directory: TempDir,
    tag: u64,
    children: Vec<Child>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        // Ours, with another nonce.
        let tag = mark::own_tag() ^ (1 + u64::from(getrandom::u32().unwrap() >> 5));
        Self { directory, tag, children: Vec::new() }
    }

    /// A process that carries a mark of this tag; its pid.
    fn marked(&mut self, tag: u64) -> u32 {
        self.child("exec sleep 1000", tag)
    }

    fn child(&mut self, script: &str, tag: u64) -> u32 {
        let mark = Mark::from_tag(tag).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        #[expect(unsafe_code, reason = "what happens between fork and exec has no safe form")]
        // SAFETY: the closure makes system calls only.
        unsafe {
            command.pre_exec(move || mark.apply());
        }
        self.children.push(command.spawn().unwrap());
        self.children.last().unwrap().id()
    }

    /// The record of a run that died, and was there before everybody.
    fn dead(&self) -> Record {
        let own = Record::own().unwrap();
        Record { process: Instance { started: 0, ..own.process }, guard: None, tag: self.tag, ..own }
    }

    fn record(&self, record: &Record) -> std::path::PathBuf {
        record.write(self.directory.path()).unwrap()
    }

    fn sweep(&self) {
        sweep(self.directory.path());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lives(pid: u32) -> bool {
    table::read(pid).unwrap().is_some_and(|row| !row.zombie)
}

#[test]
fn what_carries_a_mark_of_a_dead_run_is_ended_and_the_run_forgotten() {
    let mut scene = Scene::new();
    let pids = [scene.marked(scene.tag), scene.child("trap '' TERM; while :; do sleep 0.01; done", scene.tag)];
    let path = scene.record(&scene.dead());
    scene.sweep();
    assert!(!pids.into_iter().any(lives) && !path.exists());
    scene.sweep();
}

#[test]
fn one_that_forks_and_ends_again_and_again_is_ended_too() {
    let mut scene = Scene::new();
    let name = format!("hop-{:x}", scene.tag);
    let hop = scene.directory.path().join(&name);
    // For half a minute: it must not go on for ever when it is missed.
    fs::write(&hop, "#!/bin/sh\n[ $1 -gt 0 ] && exec setsid -f \"$0\" $(($1 - 1))\n").unwrap();
    fs::set_permissions(&hop, fs::Permissions::from_mode(0o700)).unwrap();
    for _ in 0..3 {
        scene.child(&format!("exec {} 20000", hop.display()), scene.tag);
        let path = scene.record(&scene.dead());
        scene.sweep();
        assert!(!path.exists(), "in the time that there is");
        assert_eq!(running(&name), 0);
    }
}

/// How many processes have this in their command line.
fn running(name: &str) -> usize {
    // Again, because one that is looked at may just have forked and ended.
    let look = || fs::read_dir("/proc").unwrap().flatten().filter(|entry| has_argument(&entry.path(), name)).count();
    (0..20).map(|_| look()).sum()
}

fn has_argument(process: &Path, name: &str) -> bool {
    fs::read(process.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(name))
}

#[test]
fn nobody_else_is_touched() {
    let mut scene = Scene::new();
    let other = scene.marked(scene.tag ^ (1 << 27));
    let unmarked = Command::new("sleep").arg("1000").spawn().unwrap();
    let unmarked_pid = unmarked.id();
    scene.children.push(unmarked);
    // The id of the dead run has been given to somebody else.
    let dead = scene.dead();
    let process = Instance { pid: unmarked_pid, ..dead.process };
    let path = scene.record(&Record { process, ..dead });
    scene.sweep();
    assert!(lives(other) && lives(unmarked_pid) && !path.exists());
}

#[test]
fn who_is_older_than_the_run_is_none_of_its_processes() {
    let mut scene = Scene::new();
    let old = scene.marked(scene.tag);
    let dead = scene.dead();
    let start = table::read(old).unwrap().unwrap().start;
    let started = u64::try_from(start.as_millis()).unwrap() + 1;
    // No process has the id 0.
    scene.record(&Record { process: Instance { pid: 0, started }, ..dead });
    scene.sweep();
    assert!(lives(old));
}

#[test]
fn what_belongs_to_a_living_run_is_left_to_it_whatever_another_record_says() {
    let mut scene = Scene::new();
    let pid = scene.marked(scene.tag);
    let dead = scene.dead();
    let own = Record::own().unwrap();
    let kept = scene.record(&Record { process: own.process, ..dead.clone() });
    scene.sweep();
    assert!(lives(pid) && kept.exists(), "it lives");
    scene.record(&dead);
    scene.sweep();
    assert!(lives(pid) && kept.exists(), "a copy of its record does not matter");
    fs::remove_file(&kept).unwrap();
    let guarded = scene.record(&Record { guard: Some(own.process), ..dead.clone() });
    scene.sweep();
    assert!(lives(pid) && guarded.exists(), "its guard lives and sees to it");
    scene.record(&dead);
    scene.sweep();
    assert!(!lives(pid), "now nobody does");
}

#[test]
fn a_dead_run_whose_mark_we_carry_ourselves_is_left_to_somebody_outside() {
    let mut scene = Scene::new();
    let (ours, pid) = (scene.dead(), scene.marked(scene.tag));
    let path = scene.record(&Record { tag: mark::own_tag(), ..ours });
    scene.sweep();
    assert!(lives(pid) && path.exists());
}

#[test]
fn a_run_of_another_machine_is_left_alone_and_one_of_another_boot_forgotten() {
    let mut scene = Scene::new();
    let pid = scene.marked(scene.tag);
    let dead = scene.dead();
    let text = serde_json::to_string(&dead).unwrap();
    let change = |name: &str, to: &str| {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value[name].is_string());
        value[name] = to.into();
        scene.record(&serde_json::from_value(value).unwrap())
    };
    let elsewhere = [change("host", "another"), change("namespace", "pid:[1]")];
    for path in elsewhere {
        // The same name for both.
        change("host", "another");
        scene.sweep();
        assert!(lives(pid) && path.exists());
        age(&path);
        scene.sweep();
        assert!(lives(pid) && !path.exists(), "after a month it helps nobody");
    }
    let past = change("boot", "an earlier one");
    scene.sweep();
    assert!(lives(pid) && !past.exists());
}

/// As if it had been written long ago.
fn age(path: &Path) {
    fs::File::options().append(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

#[test]
fn what_is_no_record_does_no_harm() {
    let mut scene = Scene::new();
    let pid = scene.marked(scene.tag);
    let dead = scene.dead();
    let record = serde_json::to_string(&dead).unwrap();
    let ordinary = serde_json::to_string(&Record { tag: 7, ..dead.clone() }).unwrap();
    let at = |name: &str| scene.directory.path().join(name);
    let named = scene.record(&dead);
    let own_name = named.file_name().unwrap().to_str().unwrap().to_owned();
    fs::remove_file(named).unwrap();
    for (name, text) in [
        ("notes.txt", record.as_str()),
        ("1-1-1.json", &record),
        (&own_name, "{"),
        (&own_name, "\u{0}\u{1}"),
        (&own_name, &ordinary),
        (&own_name, &format!("{record}{}", " ".repeat(5000))),
        ("1-1-1.draft", &record),
    ] {
        fs::write(at(name), text).unwrap();
        scene.sweep();
        assert!(lives(pid) && at(name).exists(), "{name}: {text}");
        age(&at(name));
        scene.sweep();
        assert_eq!(at(name).exists(), name == "notes.txt", "{name}: {text}");
    }
    nix::unistd::mkfifo(&at(&own_name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(at("2-2-2.json")).unwrap();
    scene.sweep();
    sweep(Path::new("/nowhere"));
    sweep(&at(&own_name));
    assert!(lives(pid));
}

#[test]
fn a_directory_that_others_may_write_to_is_not_believed() {
    let mut scene = Scene::new();
    let pid = scene.marked(scene.tag);
    let path = scene.record(&scene.dead());
    fs::set_permissions(scene.directory.path(), fs::Permissions::from_mode(0o770)).unwrap();
    scene.sweep();
    assert!(lives(pid) && path.exists());
    assert_eq!(scene.dead().write(scene.directory.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}
