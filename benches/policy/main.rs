//! What judging a command costs: the aim is 50 µs for one of 200 characters, and 50 ms with bounded memory for the
//! longest that is judged, whatever stands in it.
//!
//! `cargo bench --bench policy`; `--quick` does less of it.

mod longest; // texts as long as any that is judged

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use mcp_computer::{
    config::PolicyConfig,
    policy::{Place, Policy},
};

const COMMANDS: [&str; 4] = [
    "cd src && npm test -- --reporter dot --grep 'the parser reads what it has rendered and nothing else' 2>&1 | grep -v '^ok' | sort | uniq -c | sort -rn | head -n 20; git status --short | wc -l; git log -1 -q",
    "for f in src/a.rs src/b.rs src/c.rs; do wc -l \"$f\" && git log --oneline -n 3 -- \"$f\" || echo \"nothing is known of $f\"; done; if [ -d target ]; then ls -la target | tail -n 5; else echo none yet; fi # to see",
    "git commit -m \"$(cat <<'EOF'\nRead a command as the shell will run it\n\nIt is parsed, each simple command in it is judged by itself, and what runs is rendered\nanew from the tree that was judged: $(no) surprises.\nEOF\n)\"",
    "timeout 60 cargo test --quiet -- --test-threads 2 2>&1 | tail -40 && git add -A && git diff --cached --stat && printf '%s\\n' done ready || { echo \"failed: $?\"; git stash list | head -5; git status; exit 1; }; ls",
];

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let given = |wanted: &str| args.iter().any(|arg| arg == wanted);
    if !given("--bench") && !given("--quick") {
        // `cargo test --all-targets` runs this too, and has no use for figures.
        return Ok(());
    }
    let patterns = ["^git\\s", "^npm\\s", "^ls\\s", "^wc\\s", "^cargo\\s", "^cat\\s"];
    let blocked = ["rm\\s+-rf", "sudo"];
    let json = serde_json::json!({ "allowedPatterns": patterns, "blockedPatterns": blocked });
    let policy = Policy::new(&PolicyConfig::of_json(&json).map_err(io::Error::other)?)
        .map_err(|mistakes| io::Error::other(mistakes.join("; ")))?;
    let place = Place::new("/");
    if let Some(at) = args.iter().position(|arg| arg == longest::ONE) {
        return longest::one(args.get(at + 1).map_or("", String::as_str), &policy, &place);
    }
    let rounds = if given("--quick") { 5 } else { 25 };
    let mut out = io::stdout().lock();
    for command in COMMANDS {
        let verdict = policy.judge(command, &place);
        let mut times: Vec<Duration> = (0..rounds).map(|_| of_a_hundred(&policy, command, &place)).collect();
        times.sort();
        let median = times[times.len() / 2].as_secs_f64() * 1e6 / 100.0;
        let (length, allowed) = (command.len(), verdict.allowed);
        writeln!(out, "judging {length} characters (allowed: {allowed}): {median:.1} µs, aim below 50 µs")?;
    }
    longest::measure()
}

fn of_a_hundred(policy: &Policy, command: &str, place: &Place) -> Duration {
    let begin = Instant::now();
    for _ in 0..100 {
        std::hint::black_box(policy.judge(std::hint::black_box(command), place));
    }
    begin.elapsed()
}
