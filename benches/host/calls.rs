//! A call through the library against one over bare pipes.

use std::{
    io,
    time::{Duration, Instant},
};

use mcp_computer::{CallContext, Computer, ComputerConfig};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::{
    CALLERS, Plan,
    bare::{Async, Bare, check, message},
    places,
    report::{Latency, Series, rate, say_rate, title},
};

/// The tool as the host offers it, and as its server does.
const NAME: &str = "floor__echo";
const OWN_NAME: &str = "echo";

#[derive(Default)]
struct Figures {
    blocking: Latency,
    tokio: Latency,
    host: Latency,
    blocking_rate: Series,
    tokio_rate: Series,
    host_rate: Series,
}

pub(crate) fn measure(plan: Plan) -> io::Result<()> {
    title(&format!("a call in this process, {} worker threads", plan.workers))?;
    let floor = places::floor()?;
    let runtime = plan.runtime()?;
    // On a worker, as the code of a host is: whoever blocks on a runtime from outside pays one waking more.
    let measured = runtime.block_on(async { runtime.spawn(rounds(plan, floor)).await });
    let figures = measured.map_err(io::Error::other)??;
    figures.host.say("call_raw / blocking pipes", &figures.blocking, "≤ 1.3×")?;
    figures.host.say("call_raw / pipes of the same runtime", &figures.tokio, "≤ 1.3×")?;
    say_rate("16 callers / blocking pipes, 16 under way", &figures.host_rate, &figures.blocking_rate, "≥ 60 %")?;
    say_rate("16 callers / pipes of the runtime, 16 under way", &figures.host_rate, &figures.tokio_rate, "≥ 60 %")
}

async fn rounds(plan: Plan, floor: String) -> io::Result<Figures> {
    let mut blocking = Bare::connect(std::slice::from_ref(&floor))?;
    let mut bare = Async::connect(&floor).await?;
    let config = ComputerConfig::new().with("floor", Computer::stdio(&floor, [""; 0])).map_err(io::Error::other)?;
    let computer = Computer::new(config);
    computer.start().await.map_err(io::Error::other)?;
    let mut figures = Figures::default();
    for round in 0..=plan.rounds {
        let mut warmed = Figures::default();
        // The first round only warms everything up.
        let figures = if round == 0 { &mut warmed } else { &mut figures };
        figures.blocking.push(&blocking.one_by_one(plan.calls, OWN_NAME)?);
        figures.tokio.push(&bare.one_by_one(plan.calls, OWN_NAME).await?);
        figures.host.push(&one_by_one(&computer, plan.calls).await?);
        let calls = plan.calls * 4;
        figures.blocking_rate.push(rate(calls, blocking.pipelined(calls, OWN_NAME, CALLERS)?));
        figures.tokio_rate.push(rate(calls, bare.pipelined(calls, OWN_NAME, CALLERS).await?));
        figures.host_rate.push(rate(calls, at_once(&computer, calls).await?));
    }
    computer.stop().await;
    Ok(figures)
}

async fn one_by_one(computer: &Computer, calls: usize) -> io::Result<Vec<Duration>> {
    let arguments = arguments();
    let mut latencies = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begin = Instant::now();
        let answer = computer.call_raw(NAME, Some(&arguments), CallContext::default()).await;
        check(answer.map_err(io::Error::other)?.get())?;
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}

async fn at_once(computer: &Computer, calls: usize) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let computer = computer.clone();
        callers.spawn(async move { one_by_one(&computer, calls / CALLERS).await.map(drop) });
    }
    while let Some(caller) = callers.join_next().await {
        caller.map_err(io::Error::other)??;
    }
    Ok(begin.elapsed())
}

fn arguments() -> Box<RawValue> {
    RawValue::from_string(message::ARGUMENTS.to_owned()).expect("the arguments are JSON")
}
