//! Figures, and how they are said.

use std::{
    io::{self, Write},
    time::Duration,
};

/// One figure of each round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        percentile(self.0.clone(), 50)
    }

    /// The median of what each round is of the same round of `other`.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        percentile(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect(), 50)
    }
}

impl From<Vec<f64>> for Series {
    fn from(figures: Vec<f64>) -> Self {
        Self(figures)
    }
}

/// The latencies of rounds of calls, in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latency {
    pub(crate) p50: Series,
    pub(crate) p95: Series,
}

impl Latency {
    pub(crate) fn push(&mut self, round: &[Duration]) {
        let micros: Vec<f64> = round.iter().map(|call| call.as_secs_f64() * 1e6).collect();
        self.p50.push(percentile(micros.clone(), 50));
        self.p95.push(percentile(micros, 95));
    }

    /// Says how many times `floor` this is.
    pub(crate) fn say(&self, name: &str, floor: &Self, aim: &str) -> io::Result<()> {
        let micros = |series: &Series| format!("{:.0}", series.median());
        let times = |own: &Series, floor: &Series| format!("{:.2}×", own.ratio_to(floor));
        let of = |own: &Series, floor: &Series| format!("{} of {} µs", micros(own), micros(floor));
        say(&format!("{name}, p50"), &times(&self.p50, &floor.p50), &[aim, &of(&self.p50, &floor.p50)])?;
        say(&format!("{name}, p95"), &times(&self.p95, &floor.p95), &["", &of(&self.p95, &floor.p95)])
    }
}

/// Says what part of the floor's calls per second is reached.
pub(crate) fn say_rate(name: &str, own: &Series, floor: &Series, aim: &str) -> io::Result<()> {
    let share = format!("{:.0} %", own.ratio_to(floor) * 100.0);
    say(name, &share, &[aim, &format!("{:.0} of {:.0} calls/s", own.median(), floor.median())])
}

/// Says one figure, with its aim and more about it.
pub(crate) fn say(name: &str, figure: &str, [aim, more]: &[&str; 2]) -> io::Result<()> {
    let aim = if aim.is_empty() { String::new() } else { format!("(aim {aim})") };
    let line = format!("{name:<52} {figure:>9}  {aim:<18} {more}");
    writeln!(io::stdout(), "{}", line.trim_end())
}

/// Says what the figures below are about.
pub(crate) fn title(words: &str) -> io::Result<()> {
    writeln!(io::stdout(), "\n{words}")
}

/// Calls per second.
pub(crate) fn rate(calls: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn percentile(mut figures: Vec<f64>, percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = figures.len().saturating_sub(1) * percent / 100;
    figures.get(at).copied().unwrap_or(f64::NAN)
}
