//! Launching a Chrome: until it can be controlled, beside its own time to write down where it listens.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use mcp_computer::{ChromeLaunchOptions, Computer, environment};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, Uid},
};

use crate::{
    Plan,
    report::{Series, millis, say, title},
};

/// What keeps it quiet where there is no network.
const QUIET: [&str; 4] =
    ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/// The first of these that is there.
const NAMES: [&str; 3] = ["google-chrome-stable", "google-chrome", "chromium"];

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    let path = environment::var("PATH").unwrap_or_default();
    let directories = environment::split_path(&path);
    let found = NAMES.iter().find_map(|name| directories.iter().map(|dir| dir.join(name)).find(|at| at.is_file()));
    let Some(chrome) = found else { return title("there is no Chrome to launch") };
    title("launching a Chrome without windows, on a new profile")?;
    let runtime = plan.runtime()?;
    runtime.block_on(environment::login());
    let (mut bare, mut ours) = (Series::default(), Series::default());
    for round in 0..plan.rounds {
        // Each takes its turn at being first: the second finds more in the caches.
        for own in [round % 2 == 0, round % 2 == 1] {
            let profile = tempfile::tempdir()?;
            if own {
                ours.push(millis(runtime.block_on(launched(&chrome, profile.path()))?));
            } else {
                bare.push(millis(written_down(&chrome, profile.path())?));
            }
        }
    }
    say("until it has written `DevToolsActivePort`, started bare", &format!("{:.0} ms", bare.median()), &["", ""])?;
    let ratio = format!("{:.2}× bare", ours.ratio_to(&bare));
    say("until it can be controlled", &format!("{:.0} ms", ours.median()), &["< 1.1× bare", &ratio])
}

fn flags() -> Vec<String> {
    let sandbox = Uid::effective().is_root().then_some("--no-sandbox");
    QUIET.into_iter().chain(sandbox).map(str::to_owned).collect()
}

async fn launched(chrome: &Path, profile: &Path) -> io::Result<Duration> {
    let options = ChromeLaunchOptions {
        profile_dir: Some(profile.to_owned()),
        chrome_path: Some(chrome.to_owned()),
        headless: Some(true),
        flags: flags(),
        ..ChromeLaunchOptions::default()
    };
    let begin = Instant::now();
    let chrome = Computer::launch_chrome(options).await.map_err(io::Error::other)?;
    let took = begin.elapsed();
    chrome.close().await;
    Ok(took)
}

fn written_down(chrome: &Path, profile: &Path) -> io::Result<Duration> {
    let file: PathBuf = profile.join("DevToolsActivePort");
    let mut command = Command::new(chrome);
    command.args(["--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check", "--headless"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(flags()).process_group(0);
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    while fs::read_to_string(&file).map_or(true, |text| !text.contains("/devtools/")) {
        thread::sleep(Duration::from_millis(1));
    }
    let took = begin.elapsed();
    let group = Pid::from_raw(child.id().cast_signed());
    killpg(group, Signal::SIGTERM)?;
    child.wait()?;
    // What has not followed its first process.
    let _ = killpg(group, Signal::SIGKILL);
    Ok(took)
}
