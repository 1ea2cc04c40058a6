//! Many clients at once: each gets its own answers, and nothing of them stays.

use std::{collections::HashMap, fs, net::TcpStream, thread};

use serde_json::{Value, json};

use crate::support::{
    client::MODERN,
    fake::fake,
    http_client::{Caller, Daemon, Reply},
    procs::eventually,
    program::Scratch,
};

/// How many clients there are, and how many calls each has in flight.
const CLIENTS: usize = 100;
const CALLS: usize = 10;

/// Has all clients call at the same time, and looks at each answer.
fn round(daemon: &Daemon, number: usize) {
    let address = daemon.address();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let version = if client % 2 == 0 { "2025-11-25" } else { MODERN };
                let mut caller = Caller::new(address, "/mcp", version);
                if version != MODERN {
                    caller.initialize();
                }
                let begun: HashMap<u64, (TcpStream, String)> = (0..CALLS)
                    .map(|call| {
                        let said = format!("{number}/{client}/{call}");
                        let params = json!({ "name": "fake__echo", "arguments": { "message": said } });
                        let (ask, id) = caller.ask("tools/call", params);
                        (id.as_u64().unwrap(), (ask.begin(address), said))
                    })
                    .collect();
                for (id, (stream, said)) in begun {
                    let mut reply = Reply::read(stream);
                    let answers: Vec<Value> = reply.messages();
                    assert_eq!(answers.len(), 1, "one answer, and no other's: {answers:?}");
                    assert_eq!(
                        (&answers[0]["id"], &answers[0]["result"]["content"][0]["text"]),
                        (&json!(id), &json!(said))
                    );
                }
                if version != MODERN {
                    assert_eq!(caller.end(), 204);
                }
            });
        }
    });
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Resident memory in kB.
fn memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_hundred_clients_with_ten_calls_each_get_their_own_answers_and_leave_nothing_behind() {
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) }));
    let daemon = Daemon::start(&scratch);
    let pid = daemon.daemon();
    Caller::legacy(daemon.address()).tools();
    let before = descriptors(pid);
    // Buffers grow to what a crowd needs, once.
    round(&daemon, 0);
    round(&daemon, 1);
    eventually("its connections are closed", || descriptors(pid) <= before + 2);
    let grown = memory(pid);
    for number in 2..6 {
        round(&daemon, number);
    }
    eventually("its connections are closed again", || descriptors(pid) <= before + 2);
    let after = memory(pid);
    assert!(after < grown + (8 << 10), "4,000 more calls: from {grown} to {after} kB");
}
