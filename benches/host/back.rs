//! How soon the tools of a server that was killed are back.
//!
//! From the kill to the moment when its death is told, and from the moment when its next start is told to the moment when
//! it is told to be up with its tools: all but the wait in between, which is there on purpose. Beside it, the least that
//! the second part can take: the same server, started bare, with its handshake and its list of tools.

use std::{
    io,
    time::{Duration, Instant},
};

use mcp_computer::{Computer, ComputerConfig, Event, Events};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Plan,
    bare::Bare,
    places,
    report::{Series, millis, say, title},
};

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    title("from the death of a server to its tools back, but for the wait before the next start")?;
    let floor = places::floor()?;
    let runtime = plan.runtime()?;
    let measured = runtime.block_on(async { runtime.spawn(rounds(plan, floor)).await });
    let Figures { bare, noticed, back } = measured.map_err(io::Error::other)??;
    let ms = |series: &Series| format!("{:.1} ms", series.median());
    say("the same server, started bare to its tools", &ms(&bare), &["", ""])?;
    say("until its death is told", &ms(&noticed), &["", ""])?;
    say("that, and from its next start to its tools", &ms(&back), &["", &format!("{:.2}× bare", back.ratio_to(&bare))])
}

#[derive(Default)]
struct Figures {
    bare: Series,
    noticed: Series,
    back: Series,
}

async fn rounds(plan: Plan, floor: String) -> io::Result<Figures> {
    let config = ComputerConfig::new().with("floor", Computer::stdio(&floor, [""; 0])).map_err(io::Error::other)?;
    let computer = Computer::new(config);
    computer.start().await.map_err(io::Error::other)?;
    let mut figures = Figures::default();
    for round in 0..=plan.rounds * 2 {
        let bare = started(&floor)?;
        let (noticed, back) = brought_back(&computer).await?;
        // What died before is forgiven by a restart: else the waits would grow.
        computer.restart_entry("floor").await.map_err(io::Error::other)?;
        // The first round only warms everything up.
        if round > 0 {
            figures.bare.push(millis(bare));
            figures.noticed.push(millis(noticed));
            figures.back.push(millis(back));
        }
    }
    computer.stop().await;
    Ok(figures)
}

fn started(floor: &str) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut server = Bare::connect(std::slice::from_ref(&floor.to_owned()))?;
    server.tools()?;
    Ok(begin.elapsed())
}

/// Kills the server; how long it takes until that is told, and how long that and the next start take.
async fn brought_back(computer: &Computer) -> io::Result<(Duration, Duration)> {
    let health = computer.entry_health("floor").map_err(io::Error::other)?;
    let pid = health.pid.and_then(|pid| i32::try_from(pid).ok()).ok_or_else(|| io::Error::other("it is not up"))?;
    let mut events = computer.events();
    let killed = Instant::now();
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    let noticed = told(&mut events, "waiting").await?.duration_since(killed);
    let next = told(&mut events, "starting").await?;
    let up = told(&mut events, "ready").await?;
    Ok((noticed, noticed + up.duration_since(next)))
}

/// When it is told that the entry is in a state.
async fn told(events: &mut Events, wanted: &str) -> io::Result<Instant> {
    while let Some(event) = events.next().await {
        match event {
            Event::StateChanged { state, tools, .. } if state == wanted && (wanted != "ready" || tools > Some(0)) => {
                return Ok(Instant::now());
            }
            _ => {}
        }
    }
    Err(io::Error::other("the machine has gone"))
}
