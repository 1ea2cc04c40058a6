//! A desktop host: a browser, files and a shell for an agent, and nothing of them left afterwards.
//!
//! `cargo run --example desktop -- [--headless] [--no-sandbox] [--browser-server COMMAND] [--files-server COMMAND] [URL]`
//!
//! Launches a Chrome on a profile of its own, gives its port to `chrome-devtools-mcp`, opens the page, says what an
//! agent sees of it, and keeps a picture of it in `page.png`. On a machine without a screen it needs `--headless`, as
//! root `--no-sandbox`.

#![expect(clippy::print_stdout, reason = "it is what this program is for")]

use std::{env, error::Error, fs, path::PathBuf};

use data_encoding::BASE64;
use mcp_computer::{CallContext, ChromeLaunchOptions, Computer, ComputerConfig, ShellMode, guard};
use serde_json::{Value, json};

/// What may be said on the command line.
struct Wanted {
    chrome: ChromeLaunchOptions,
    browser_server: String,
    files_server: String,
    url: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    // First of all, so that nothing outlives this program however it ends (Linux). It forks: no thread may run yet.
    guard::enter();
    let wanted = Wanted::read();
    tokio::runtime::Runtime::new()?.block_on(run(wanted))
}

async fn run(wanted: Wanted) -> Result<(), Box<dyn Error>> {
    let workspace = env::current_dir()?;

    // 1. A Chrome whose debugging port is known.
    let chrome = Computer::launch_chrome(wanted.chrome).await?;
    println!("{} on port {}, process {}", chrome.version(), chrome.port(), chrome.pid());

    // 2. A Computer with all that an agent needs. The Chrome is its own from now on.
    let config = ComputerConfig::new()
        .with(
            "browser",
            Computer::stdio(wanted.browser_server, ["--browser-url=${chrome.url}", "--no-usage-statistics"]),
        )?
        .with("filesystem", Computer::stdio(wanted.files_server, [workspace.to_string_lossy()]))?
        .with("shell", Computer::shell(ShellMode::Unrestricted).cwd(&workspace))?;
    let computer = Computer::new(config);
    computer.managed("chrome", chrome)?;

    // 3. Everything is connected, all at once.
    for error in computer.start().await?.errors {
        eprintln!("not connected: {error}");
    }

    // 4. What an agent would do.
    let outcome = browse(&computer, &wanted.url).await;

    // 5. Nothing is left.
    computer.stop().await;
    outcome
}

async fn browse(computer: &Computer, url: &str) -> Result<(), Box<dyn Error>> {
    let opened = computer.call("browser__new_page", &json!({ "url": url })).await?;
    println!("{}", text(&opened));
    // Pages are numbered, and the newest is the last.
    let page = last_page(&text(&opened)).ok_or("no page was opened")?;
    let seen = computer.call("browser__take_snapshot", &json!({ "pageId": page })).await?;
    println!("{}", text(&seen));
    let arguments = serde_json::value::to_raw_value(&json!({ "pageId": page }))?;
    let shot = computer.call_raw("browser__take_screenshot", Some(&arguments), CallContext::default()).await?;
    let parts = shot.to_value()["content"].as_array().cloned().unwrap_or_default();
    let image = parts.iter().find(|part| part["type"] == "image").ok_or("there is no picture")?;
    let picture = BASE64.decode(image["data"].as_str().unwrap_or_default().as_bytes())?;
    fs::write("page.png", &picture)?;
    println!("page.png: {} bytes", picture.len());
    let files = computer.call("filesystem__list_directory", &json!({ "path": "." })).await?;
    println!("{}", text(&files));
    let ran = computer.call("shell__run_command", &json!({ "command": "ls -l page.png" })).await?;
    println!("{}", text(&ran["stdout"]));
    Ok(())
}

/// The number of the last page in a list such as `2: https://… [selected]`.
fn last_page(listed: &str) -> Option<u64> {
    let mut numbers = listed.lines().filter_map(|line| line.split_once(": ")?.0.trim().parse().ok());
    numbers.next_back()
}

/// What a value says: a text as it is, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Wanted {
    fn read() -> Self {
        let mut wanted = Self {
            chrome: ChromeLaunchOptions::default(),
            browser_server: "chrome-devtools-mcp".to_owned(),
            files_server: "@modelcontextprotocol/server-filesystem".to_owned(),
            url: "about:blank".to_owned(),
        };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_default();
            match arg.as_str() {
                "--headless" => wanted.chrome.headless = Some(true),
                "--no-sandbox" => wanted.chrome.no_sandbox = true,
                "--profile" => wanted.chrome.profile_dir = Some(PathBuf::from(value())),
                "--browser-server" => wanted.browser_server = value(),
                "--files-server" => wanted.files_server = value(),
                "--flag" => wanted.chrome.flags.push(value()),
                _ => wanted.url = arg,
            }
        }
        wanted
    }
}
