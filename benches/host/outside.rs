//! The same calls as a client sees them that others wrote, where there is one.

use std::{
    env, io,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{
    CALLERS, Plan,
    report::{Series, say, say_rate, title},
};

/// What `mcpbench calls` prints, as far as it matters here.
#[derive(Deserialize)]
struct Printed {
    per_s: f64,
    p50_us: f64,
}

/// Measures with `$MCPBENCH`, if it is set.
pub(crate) fn measure(plan: Plan, direct: &[String], front: &[String]) -> io::Result<()> {
    let Ok(mcpbench) = env::var("MCPBENCH") else { return Ok(()) };
    title("the same with mcpbench")?;
    let [mut direct_p50, mut front_p50, mut direct_rate, mut front_rate] = [const { Vec::new() }; 4];
    for _ in 0..plan.rounds {
        for (command, tool, p50, rate) in
            [(direct, "echo", &mut direct_p50, &mut direct_rate), (front, "e0__echo", &mut front_p50, &mut front_rate)]
        {
            p50.push(calls(&mcpbench, plan.calls, (1, tool), command)?.p50_us);
            rate.push(calls(&mcpbench, plan.calls * 4, (CALLERS, tool), command)?.per_s);
        }
    }
    let [direct_p50, front_p50, direct_rate, front_rate] =
        [direct_p50, front_p50, direct_rate, front_rate].map(Series::from);
    let times = format!("{:.2}×", front_p50.ratio_to(&direct_p50));
    let micros = format!("{:.0} of {:.0} µs", front_p50.median(), direct_p50.median());
    say("front / direct, p50", &times, &["< 1.5×", &micros])?;
    say_rate("16 callers", &front_rate, &direct_rate, "≥ 50 %")
}

fn calls(mcpbench: &str, calls: usize, (callers, tool): (usize, &str), command: &[String]) -> io::Result<Printed> {
    let mut client = Command::new(mcpbench);
    client.args(["calls", "--tool", tool, "-n", &calls.to_string(), "-c", &callers.to_string(), "--"]).args(command);
    let output = client.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}
