//! The jobs of a shell, and the tools that look after them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use regex::Regex;
use serde_json::{Map, Value};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    arguments::Arguments,
    escapes,
    job::{Fate, Job, Wish},
    result::{append, made, refused},
};
use crate::{process, process::Size, source::Answer};

/// How many jobs are known at most; the oldest one that has ended goes first.
pub(super) const MOST: usize = 50;

/// The longest that reading waits for more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a job may take to end after it was told to.
const ENDING: Duration = Duration::from_secs(10);

/// How much is searched at a time.
const SEARCHED: usize = 1 << 20;

/// The jobs, oldest first.
#[derive(Default)]
pub(super) struct Jobs {
    known: Mutex<VecDeque<Arc<Job>>>,
}

type Told = Result<Answer, String>;

impl Jobs {
    fn known(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, job: Arc<Job>) {
        let mut known = self.known();
        known.push_back(job);
        while known.len() > MOST {
            let Some(over) = known.iter().position(|job| job.is_over()) else { return };
            known.remove(over);
        }
    }

    /// Whether there is no room for one that is not there yet.
    pub(super) fn is_full(&self) -> bool {
        self.known().iter().filter(|job| !job.is_over()).count() >= MOST
    }

    /// Does what one of the tools does; none for another tool's name.
    pub(super) async fn call(&self, tool: &str, arguments: &Arguments, most: usize) -> Option<Answer> {
        let told = match tool {
            "list_jobs" => Ok(self.list()),
            "read_job" => self.read(arguments, most).await,
            "write_job" => self.write(arguments).await,
            "resize_job" => self.resize(arguments),
            "stop_job" => self.stop(arguments).await,
            _ => return None,
        };
        Some(told.unwrap_or_else(|reason| refused(&reason)))
    }

    fn list(&self) -> Answer {
        let known: Vec<Arc<Job>> = self.known().iter().cloned().collect();
        let mut text = String::new();
        let shown: Vec<Value> = known
            .iter()
            .map(|job| {
                append(&mut text, &format!("{} {}: {}", job.id, state_of(job), job.command));
                job.shown().into()
            })
            .collect();
        if shown.is_empty() {
            text.push_str("no jobs");
        }
        made(&text, &Map::from_iter([("jobs".to_owned(), shown.into())]))
    }

    fn find(&self, arguments: &Arguments) -> Result<Arc<Job>, String> {
        let id = arguments.job()?;
        let known = self.known();
        if let Some(job) = known.iter().find(|job| job.id.to_string() == id) {
            return Ok(job.clone());
        }
        let ids: Vec<String> = known.iter().map(|job| job.id.to_string()).collect();
        let there = if ids.is_empty() { "there are none".to_owned() } else { format!("there are {}", ids.join(", ")) };
        Err(format!("there is no job `{id}`; {there}"))
    }

    async fn read(&self, arguments: &Arguments, most: usize) -> Told {
        let job = self.find(arguments)?;
        let (offset, raw) = (arguments.whole("offset")?, arguments.flag("raw")?);
        let limit = arguments.whole("limit")?.map_or(most, |limit| usize::try_from(limit).unwrap_or(most)).min(most);
        let grep = arguments.text("grep")?.map(Regex::new).transpose();
        let grep = grep.map_err(|error| format!("`grep` is no regular expression: {error}"))?;
        if let Some(wait) = arguments.millis("wait")? {
            let seen = offset.unwrap_or_else(|| job.part(None, 0).0);
            // What is there by then is shown.
            let _ = timeout(wait.min(LONGEST_WAIT), job.more_than(seen)).await;
            // What is printed at once is read at once.
            sleep(Duration::from_millis(20)).await;
        }
        let found = match grep {
            None => plain(&job, offset, limit).await?,
            Some(pattern) => matching(&job, offset.unwrap_or(0), limit, &pattern).await?,
        };
        let mut shown = job.shown();
        let output = if raw || !job.has_terminal() { found.text } else { escapes::stripped(&found.text) };
        let mut text = output.clone();
        append(&mut text, &format!("[job {} {}]", job.id, state_of(&job)));
        shown.insert("output".into(), output.into());
        shown.insert("offset".into(), found.offset.into());
        shown.insert("nextOffset".into(), found.next.into());
        Ok(made(&text, &shown))
    }

    async fn write(&self, arguments: &Arguments) -> Told {
        let job = self.find(arguments)?;
        let input = arguments.text("input")?;
        let end = arguments.flag("end")?;
        if input.is_none() && !end {
            return Err("`input` is missing; give what to write as a string".into());
        }
        if job.is_over() {
            return Err(format!("job {} has ended", job.id));
        }
        let outbox =
            job.input().ok_or("it reads nothing: only a command that was started with `background: true` does")?;
        let failed = |_| format!("job {} reads nothing more", job.id);
        outbox.send(input.unwrap_or_default().as_bytes()).map_err(failed)?;
        if end {
            if job.has_terminal() {
                outbox.send(b"\x04").map_err(failed)?;
            } else {
                // What waits is written first, for as long as the job takes it.
                let _ = timeout(ENDING, outbox.emptied()).await;
                outbox.close();
            }
        }
        let shown = job.shown();
        Ok(made(&format!("[job {} {}]", job.id, state_of(&job)), &shown))
    }

    fn resize(&self, arguments: &Arguments) -> Told {
        let job = self.find(arguments)?;
        let side = |name: &str| match arguments.whole(name)? {
            Some(side) => {
                u16::try_from(side).ok().filter(|side| *side > 0).ok_or(format!("`{name}` must be 1 to 65535"))
            }
            None => Err(format!("`{name}` is missing")),
        };
        job.resize(Size { columns: side("columns")?, rows: side("rows")? })?;
        Ok(made("resized", &job.shown()))
    }

    async fn stop(&self, arguments: &Arguments) -> Told {
        let job = self.find(arguments)?;
        match arguments.text("signal")? {
            Some(signal) if !job.is_over() => {
                let (reply, known) = oneshot::channel();
                job.wish(Wish::Signal(signal.to_owned(), reply));
                if known.await == Ok(false) {
                    return Err(format!("there is no signal `{signal}`; give one such as INT, TERM or KILL"));
                }
                // Most end of it, and then it is told how; others go on.
                let _ = timeout(Duration::from_millis(500), job.ended()).await;
            }
            Some(_) => {}
            None => {
                job.wish(Wish::End);
                if timeout(ENDING, job.ended()).await.is_err() {
                    return Err(format!("job {} does not end; it is killed again and again", job.id));
                }
            }
        }
        Ok(made(&format!("[job {} {}]", job.id, state_of(&job)), &job.shown()))
    }
}

fn state_of(job: &Job) -> String {
    match job.fate() {
        Fate::Runs => format!("is running, pid {}", job.pid),
        Fate::Ended { status, .. } => process::describe(status),
    }
}

/// A part of the output as text.
struct Found {
    text: String,
    offset: u64,
    next: u64,
}

/// The longest character in bytes.
const WIDEST: usize = 4;

/// Whether this may be the beginning of a character.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

async fn plain(job: &Job, offset: Option<u64>, limit: usize) -> Result<Found, String> {
    let is_over = job.is_over();
    // One character must have room, or nobody would ever see it.
    let (total, part) = job.part(offset, limit.max(WIDEST));
    let begin = part.offset;
    let bytes = bytes(part).await?;
    // Where nobody asked for this very byte, a character that has begun before it is left out.
    let cut = bytes.iter().take(WIDEST - 1).take_while(|byte| **byte & 0xC0 == 0x80).count();
    let skipped = if offset.is_none() && begin > 0 { cut } else { 0 };
    let (begin, bytes) = (begin + skipped as u64, &bytes[skipped..]);
    let is_last = is_over && begin + bytes.len() as u64 >= total;
    // A character that is cut is shown with what comes next.
    let whole = match bytes.utf8_chunks().last() {
        Some(last) if !is_last && is_begun(last.invalid()) => bytes.len() - last.invalid().len(),
        _ => bytes.len(),
    };
    Ok(Found { text: String::from_utf8_lossy(&bytes[..whole]).into_owned(), offset: begin, next: begin + whole as u64 })
}

/// The lines that match, until there are as many as may be shown.
async fn matching(job: &Job, offset: u64, limit: usize, pattern: &Regex) -> Result<Found, String> {
    let mut text = String::new();
    let mut next = offset;
    loop {
        let (total, part) = job.part(Some(next), SEARCHED);
        next = part.offset;
        let bytes = bytes(part).await?;
        let at_end = next + bytes.len() as u64 >= total;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        for line in lines {
            // A line that is not whole may go on in the next part.
            if !line.ends_with(b"\n") && !at_end && line.len() < bytes.len() {
                break;
            }
            let shown = String::from_utf8_lossy(line);
            if pattern.is_match(&escapes::stripped(shown.trim_end_matches(['\n', '\r']))) {
                if text.len() + shown.len() > limit {
                    return Ok(Found { text, offset, next });
                }
                text.push_str(&shown);
            }
            next += line.len() as u64;
        }
        if at_end || bytes.is_empty() {
            return Ok(Found { text, offset, next });
        }
    }
}

async fn bytes(part: super::log::Part) -> Result<Vec<u8>, String> {
    let read = process::blocking(|| part.bytes()).await.unwrap_or_else(|| Ok(Vec::new()));
    read.map_err(|error| format!("its output cannot be read: {error}"))
}
