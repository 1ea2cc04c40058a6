//! Launching a Chrome: until it can be controlled, beside its own time to write down where it listens, and to answer there.
//! In between Chrome brings up what answers; nobody can be quicker than that.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
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
    let (mut written, mut answered, mut ours) = (Series::default(), Series::default(), Series::default());
    for round in 0..plan.rounds {
        // Each takes its turn at being first: the second finds more in the caches.
        for own in [round % 2 == 0, round % 2 == 1] {
            let profile = tempfile::tempdir()?;
            if own {
                ours.push(millis(runtime.block_on(launched(&chrome, profile.path()))?));
            } else {
                let (until_written, until_answered) = bare(&chrome, profile.path())?;
                written.push(millis(until_written));
                answered.push(millis(until_answered));
            }
        }
    }
    let ms = |series: &Series| format!("{:.0} ms", series.median());
    let ratio = |to: &Series| format!("{:.2}×", ours.ratio_to(to));
    say("until it has written `DevToolsActivePort`, started bare", &ms(&written), &["", ""])?;
    say("until it answers there, started bare", &ms(&answered), &["", ""])?;
    say("until it can be controlled, beside the first", &ms(&ours), &["< 1.1×", &ratio(&written)])?;
    say("the same beside the second", &ms(&ours), &["", &ratio(&answered)])
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

/// How long it takes until it has written down where it listens, and until it answers there.
fn bare(chrome: &Path, profile: &Path) -> io::Result<(Duration, Duration)> {
    let file: PathBuf = profile.join("DevToolsActivePort");
    let mut command = Command::new(chrome);
    command.args(["--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check", "--headless"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(flags()).process_group(0);
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let port = loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.contains("/devtools/")
            && let Some(port) = text.lines().next().and_then(|port| port.parse::<u16>().ok())
        {
            break port;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let written = begin.elapsed();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "GET /json/version HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    stream.read_exact(&mut [0])?;
    let answered = begin.elapsed();
    let group = Pid::from_raw(child.id().cast_signed());
    killpg(group, Signal::SIGTERM)?;
    child.wait()?;
    // What has not followed its first process.
    let _ = killpg(group, Signal::SIGKILL);
    Ok((written, answered))
}
