//! `start()` of 20 entries that need 300 ms each.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use mcp_computer::{Computer, ComputerConfig, environment};

use crate::{
    DELAY, ENTRIES, Plan,
    bare::{Bare, message},
    places,
    report::{Series, millis, say, title},
};

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    title(&format!("start() of {ENTRIES} entries that need {DELAY} ms each"))?;
    let floor = places::floor()?;
    let runtime = plan.runtime()?;
    let (mut bare, mut warm, mut cold) = (Series::default(), Series::default(), Series::default());
    runtime.block_on(environment::login());
    for _ in 0..plan.starts {
        bare.push(millis(spawned(&floor)?));
        let started = runtime.block_on(async { runtime.spawn(started(floor.clone())).await });
        warm.push(millis(started.map_err(io::Error::other)??));
        let output = places::ourselves("one-cold-start", plan)?.output()?;
        cold.push(String::from_utf8_lossy(&output.stdout).trim().parse().map_err(io::Error::other)?);
    }
    let ms = |series: &Series| format!("{:.0} ms", series.median());
    say("the same servers, started bare", &ms(&bare), &["", ""])?;
    say(
        "with the login environment at hand",
        &ms(&warm),
        &["< 350 ms", &format!("{:.2}× bare", warm.ratio_to(&bare))],
    )?;
    say("and with it still to be asked for", &ms(&cold), &["", &format!("{:.2}× bare", cold.ratio_to(&bare))])
}

/// One start in a process that has not asked for the login environment yet; prints how long it took.
pub(crate) fn cold(plan: Plan) -> io::Result<()> {
    let floor = places::floor()?;
    let runtime = plan.runtime()?;
    let took = runtime.block_on(async { runtime.spawn(started(floor)).await }).map_err(io::Error::other)??;
    writeln!(io::stdout(), "{}", millis(took))
}

/// A machine with 20 entries that are slow to start.
pub(crate) fn machine(floor: &str) -> io::Result<Computer> {
    let command = places::slow(floor);
    let mut config = ComputerConfig::new();
    for index in 0..ENTRIES {
        let entry = Computer::stdio(&command[0], &command[1..]);
        config = config.with(&format!("e{index}"), entry).map_err(io::Error::other)?;
    }
    Ok(Computer::new(config))
}

async fn started(floor: String) -> io::Result<Duration> {
    let computer = machine(&floor)?;
    let begin = Instant::now();
    let started = computer.start().await.map_err(io::Error::other)?;
    let took = begin.elapsed();
    computer.stop().await;
    if started.errors.is_empty() { Ok(took) } else { Err(io::Error::other(started.errors.join("; "))) }
}

/// The least that it can take: everything started, then everything answered.
fn spawned(floor: &str) -> io::Result<Duration> {
    let begin = Instant::now();
    let command = places::slow(floor);
    let mut servers = (0..ENTRIES).map(|_| Bare::spawn(&command)).collect::<io::Result<Vec<_>>>()?;
    for server in &mut servers {
        server.send(message::INITIALIZE)?;
    }
    for server in &mut servers {
        server.receive()?;
    }
    for server in &mut servers {
        server.tools()?;
    }
    Ok(begin.elapsed())
}
