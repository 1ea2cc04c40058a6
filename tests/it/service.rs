//! `computer service`: units that are written, started and taken away again.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::support::{
    program::{Scratch, run, text},
    real,
};

/// A scratch in whose PATH a `systemctl` notes what it is asked for, and ends as `status` says when asked whether it hears.
fn with_systemctl(scratch: Scratch, status: u8) -> Scratch {
    let (bin, log) = (scratch.home().join("bin"), log(&scratch));
    fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\ncase \"$*\" in *show-environment) exit {status} ;; esac\n",
        text(&log)
    );
    fs::write(bin.join("systemctl"), script).unwrap();
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", text(&bin), std::env::var("PATH").unwrap());
    scratch.variable("PATH", &path)
}

fn log(scratch: &Scratch) -> PathBuf {
    scratch.home().join("systemctl.log")
}

/// What systemctl was asked for, since anybody looked.
fn asked(scratch: &Scratch) -> Vec<String> {
    let said = fs::read_to_string(log(scratch)).unwrap_or_default();
    let _ = fs::remove_file(log(scratch));
    said.lines().map(str::to_owned).collect()
}

fn unit(scratch: &Scratch) -> PathBuf {
    scratch.home().join(".config/systemd/user/computer.service")
}

fn entries() -> Scratch {
    Scratch::new().config(&json!({ "mcpServers": {} }))
}

#[test]
fn a_unit_is_written_and_started_and_taken_away_and_ended() {
    let scratch = with_systemctl(entries(), 0);
    scratch.run(["service", "install", "--http", "127.0.0.1:7332"]).ok().says(["wrote ", "computer.service"]);
    let written = fs::read_to_string(unit(&scratch)).unwrap();
    let config = scratch.path("config.json");
    let line = format!(
        "\nExecStart={} serve --config {} --http 127.0.0.1:7332\n",
        env!("CARGO_BIN_EXE_computer"),
        text(&config)
    );
    assert!(written.contains(&line), "{written}");
    assert_eq!(
        asked(&scratch),
        ["--user show-environment", "--user daemon-reload", "--user enable --now computer.service"]
    );
    // Once more: what runs by the old one is started anew.
    scratch.run(["service", "install"]).ok();
    assert_eq!(asked(&scratch).last().unwrap(), "--user restart computer.service");
    assert!(fs::read_to_string(unit(&scratch)).unwrap().contains("--http 127.0.0.1:7331\n"));

    let bare = Scratch::in_the_home_of(&scratch);
    let remove = |scratch: &Scratch| {
        let mut command = scratch.command(["service", "remove"]);
        command.env("PATH", format!("{}:/usr/bin:/bin", text(&scratch.home().join("bin"))));
        run(command, "")
    };
    remove(&bare).ok().says(["removed "]);
    assert_eq!(
        asked(&scratch),
        ["--user show-environment", "--user disable --now computer.service", "--user daemon-reload"]
    );
    assert!(!unit(&scratch).exists());
    remove(&bare).fails_with(1).says(["there is no "]);
    assert!(asked(&scratch).is_empty());
}

#[test]
fn where_no_service_manager_answers_it_is_said_what_to_type() {
    let scratch = with_systemctl(entries(), 1);
    let said = "systemctl --user daemon-reload && systemctl --user enable --now computer.service";
    scratch.run(["service", "install"]).ok().says(["no service manager answers", said]);
    assert_eq!(asked(&scratch), ["--user show-environment"]);
    assert!(unit(&scratch).exists());
}

#[test]
fn a_unit_that_somebody_else_wrote_is_let_alone() {
    let scratch = with_systemctl(entries(), 0);
    fs::create_dir_all(unit(&scratch).parent().unwrap()).unwrap();
    fs::write(unit(&scratch), "[Service]\nExecStart=/bin/mine\n").unwrap();
    scratch.run(["service", "install"]).fails_with(1).says(["will not overwrite", "did not write it"]);
    let mut command = Scratch::in_the_home_of(&scratch).command(["service", "remove"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", text(&scratch.home().join("bin"))));
    run(command, "").fails_with(1).says(["will not remove"]);
    assert_eq!(fs::read_to_string(unit(&scratch)).unwrap(), "[Service]\nExecStart=/bin/mine\n");
    assert!(asked(&scratch).is_empty());
}

#[test]
fn what_would_be_written_is_printed_and_nothing_is_changed() {
    let scratch = with_systemctl(entries(), 0);
    let state = format!("\nEnvironment=XDG_STATE_HOME={}\n", scratch.home().join(".local/state").display());
    let own = scratch.run(["service", "install", "--print"]).ok();
    own.prints(["\nExecStart=", "[Install]\nWantedBy=default.target", &state]);
    let system = scratch.run(["service", "install", "--system", "--print"]).ok();
    assert!(!system.stdout.contains("XDG_STATE_HOME"), "the machine's own service has places of its own");
    let system = system.prints(["\nDynamicUser=yes\n", "WantedBy=multi-user.target"]);
    assert!(system.stderr.is_empty(), "{system:?}");
    assert!(!unit(&scratch).exists() && asked(&scratch).is_empty());
}

#[test]
fn what_could_not_serve_is_no_unit() {
    let scratch = with_systemctl(entries(), 0);
    scratch.run(["service", "install", "--http", "nowhere"]).fails_with(2).says(["`nowhere` is no address"]);
    let broken = with_systemctl(Scratch::new().config_text("{ \"a\": 1 }"), 0);
    broken.run(["service", "install"]).fails_with(2).says(["a mistake"]);
    for scratch in [scratch, broken] {
        assert!(!unit(&scratch).exists() && asked(&scratch).is_empty());
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let Some(analyze) = real::program("systemd-analyze") else { return };
    let scratch = entries();
    for system in [false, true] {
        let whose = if system { "--system" } else { "--user" };
        let flags = if system { &["--system", "--print"][..] } else { &["--print"] };
        let unit = scratch.run([&["service", "install"], flags].concat()).ok().stdout;
        // What systemd thinks of the place of the program is another matter.
        let file = scratch.write(&format!("{whose}/computer.service"), &unit);
        let socket = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systemd/user/computer.socket");
        let mut command = scratch.other(&analyze);
        command.args([whose, "verify", "--man=no", text(&file)]).args((!system).then_some(socket));
        let looked = run(command, "").ok();
        assert_eq!(looked.stderr, "", "{whose}");
    }
}

#[test]
fn the_container_and_the_manifest_ask_for_what_there_is() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let manifest = fs::read_to_string(config.join("kubernetes.yaml")).unwrap();
    let (_, text) = manifest.split_once("  computer.json: |\n").unwrap();
    let (text, _) = text.split_once("\n---").unwrap();
    let report = Scratch::new().config_text(text).run(["check", "--json"]).ok().json();
    assert_eq!((&report["ok"], &report["warnings"]), (&json!(true), &json!([])), "{report}");
    let container = fs::read_to_string(config.join("Containerfile")).unwrap();
    let known = Scratch::new().run(["serve", "--help"]).ok().stdout;
    let arguments = |text: &str, start: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(start)).unwrap().to_owned();
        line.split(['[', ']', ',', ' ', '"'])
            .filter(|word| word.starts_with("--"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for flags in [arguments(&container, "CMD "), arguments(&manifest, "args: ")] {
        assert!(flags.contains(&"--allow-remote".to_owned()), "{flags:?}");
        assert!(flags.iter().all(|flag| known.contains(flag.as_str())), "{flags:?}");
    }
}
