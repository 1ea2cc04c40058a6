//! Pipes that are closed, cut or kept, and a process that stands still.

use std::{
    fs::OpenOptions,
    process::{self, Command},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout},
};
use serde_json::{Value, json};

use super::{good, write, write_line};
use crate::server::{self, notify};

/// Does that to itself in the middle of the call; false when the harm is none of these.
pub(super) fn harm(id: &Value, how: &str) -> bool {
    match how {
        "exit-in-mid-line" => {
            write(&good(id).as_bytes()[..40]);
            eprintln!("out of memory");
            exit(3);
        }
        "exit-after-a-whole-line-without-end" => {
            write(good(id).as_bytes());
            exit(0);
        }
        "close-stdout" => {
            close(Pipe::Stdout);
            stand_still();
        }
        "close-stdin" => {
            close(Pipe::Stdin);
            write_line(&good(id));
            stand_still();
        }
        "close-stderr" => {
            close(Pipe::Stderr);
            write_line(&good(id));
        }
        "read-nothing" => stand_still(),
        "stop" => {
            kill(Pid::this(), Signal::SIGSTOP).expect("a process can stop itself");
            write_line(&good(id));
        }
        "drip" => {
            write(&good(id).as_bytes()[..20]);
            // White space between two members, for ever.
            while server::write(b" ") {
                thread::sleep(Duration::from_millis(20));
            }
        }
        "progress-for-ever" => progress(id),
        "leave-a-noisy-child" => {
            Command::new("sh")
                .args(["-c", "while :; do echo noise of a child; done"])
                .spawn()
                .expect("there is a shell");
            eprintln!("about to leave a child");
            process::abort();
        }
        _ => return false,
    }
    true
}

/// Lets go of a pipe: whoever is at its other end sees it closed.
pub(super) fn close(pipe: Pipe) {
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null").expect("there is always nothing");
    let closed = match pipe {
        Pipe::Stdin => dup2_stdin(nothing),
        Pipe::Stdout => dup2_stdout(nothing),
        Pipe::Stderr => dup2_stderr(nothing),
    };
    closed.expect("a descriptor can be replaced");
}

/// What a server is connected by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pipe {
    Stdin,
    Stdout,
    Stderr,
}

#[expect(clippy::exit, reason = "to exit in the middle of things is what was asked for")]
fn exit(status: i32) -> ! {
    process::exit(status)
}

fn stand_still() -> ! {
    loop {
        thread::park();
    }
}

fn progress(id: &Value) {
    let id = id.clone();
    thread::spawn(move || {
        for n in 0.. {
            notify("notifications/progress", &json!({ "progressToken": id, "progress": n }));
            thread::sleep(Duration::from_millis(20));
        }
    });
}
