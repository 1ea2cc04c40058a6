//! The library under chaos: a Computer in this process, callers, and somebody who disturbs it.

use std::{future::Future, sync::Arc, time::Duration};

use mcp_computer::{AddOptions, CallContext, Computer, Error};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    cast::{Cast, NAMES, SHELL, site},
    dice::Dice,
    script::{Act, Deed, script},
    tally::{BOUND, Call, Tally},
    traces::{self, Traces},
};
use crate::support::{
    http::{Sessions, Web},
    library::{raw, until, within},
};

pub(super) const CALLERS: usize = 32;

/// How long a deed may take, that of a computer that is asked to bring everything up included.
const DEED: Duration = Duration::from_secs(120);

/// The token of calls that only show that an entry answers.
const LAST: &str = "last.";

/// A Computer with its ten entries. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) computer: Computer,
    pub(super) cast: Arc<Cast>,
    web: Arc<Mutex<Web>>,
    sessions: Sessions,
    _dir: Arc<TempDir>,
}

impl Stage {
    /// Begun, and all entries up.
    pub(super) async fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sessions = Sessions::default();
        let web = site(dir.path(), &sessions);
        let cast = Cast::new(dir.path(), &web);
        let computer = Computer::new(cast.parsed(&NAMES.map(|name| (name, 0))));
        let started = within("the start", computer.start()).await.unwrap();
        assert_eq!(started.errors, Vec::<String>::new());
        Self { computer, cast: Arc::new(cast), web: Arc::new(Mutex::new(web)), sessions, _dir: Arc::new(dir) }
    }

    /// So many acts, while everybody calls; what came of the calls.
    pub(super) async fn round(&self, dice: &mut Dice, acts: usize) -> Tally {
        let (mut callers, over) = (JoinSet::new(), CancellationToken::new());
        for caller in 0..CALLERS {
            let dice = dice.beside(caller as u64);
            callers.spawn(call(self.computer.clone(), dice, caller, over.clone()));
        }
        let mut tally = Tally::default();
        tally.wrong = self.disturb(script(dice, acts)).await;
        over.cancel();
        while let Some(calls) = callers.join_next().await {
            tally.add(calls.unwrap());
        }
        self.set_right().await;
        let mut executed = self.cast.executed();
        executed.remove(LAST);
        tally.compare(&executed);
        self.cast.forget();
        tally
    }

    /// Does what the script says; what must not be.
    async fn disturb(&self, script: Vec<Act>) -> Vec<String> {
        let mut deeds = JoinSet::new();
        for act in script {
            sleep(act.after).await;
            let stage = self.clone();
            deeds.spawn(async move {
                let done = timeout(DEED, stage.act(&act)).await;
                done.unwrap_or_else(|_| Err(format!("{act:?} took longer than {DEED:?}")))
            });
        }
        deeds.join_all().await.into_iter().filter_map(Result::err).collect()
    }

    async fn act(&self, act: &Act) -> Result<(), String> {
        let (computer, name) = (&self.computer, act.name);
        let allowed = |outcome: Result<(), Error>| match outcome {
            // Somebody has removed it, or added it, meanwhile.
            Ok(()) | Err(Error::UnknownNamespace { .. } | Error::NamespaceTaken(_)) => Ok(()),
            Err(error) => Err(format!("{act:?} failed: {error}")),
        };
        let restart = async || computer.restart_entry(name).await.map(drop);
        match act.deed {
            Deed::Kill => drop(self.signal(act, Signal::SIGKILL)),
            Deed::Freeze { pause, kill } => {
                if let Some(pid) = self.signal(act, Signal::SIGSTOP) {
                    sleep(pause).await;
                    self.cast.signal(pid, if kill { Signal::SIGKILL } else { Signal::SIGCONT });
                }
            }
            Deed::Restart => allowed(restart().await)?,
            Deed::Stop { pause } => {
                allowed(computer.stop_entry(name).await)?;
                sleep(pause).await;
                allowed(restart().await)?;
            }
            Deed::Replace { pause } => {
                computer.remove_entry(name).await;
                sleep(pause).await;
                allowed(self.add(name).await)?;
            }
            Deed::Rewrite => {
                let entries = NAMES.map(|other| (other, if other == name { act.chance } else { 0 }));
                computer.apply(self.cast.parsed(&entries)).await;
            }
            Deed::Cut { pause } => {
                let mut web = self.web.lock().await;
                web.down().await;
                sleep(pause).await;
                web.up();
            }
            Deed::Forget => self.sessions.forget(),
            Deed::Mend => drop(computer.ensure_ready().await),
            Deed::Look => drop(computer.health().await),
        }
        Ok(())
    }

    /// Sends a signal to one of an entry's processes.
    fn signal(&self, act: &Act, signal: Signal) -> Option<i32> {
        self.cast.one_of(act.name, act.chance).inspect(|pid| self.cast.signal(*pid, signal))
    }

    async fn add(&self, name: &str) -> Result<(), Error> {
        self.computer.add_entry(name, self.cast.parsed_entry(name, 0), AddOptions::default()).await
    }

    /// Brings everything back to where it was at the beginning: each entry answers, and nothing else is going on.
    pub(super) async fn set_right(&self) {
        {
            // Connections that were used side by side are kept for a while.
            let mut web = self.web.lock().await;
            web.down().await;
            web.up();
        }
        for name in NAMES {
            if !self.computer.has_entry(name) {
                self.add(name).await.unwrap();
            }
        }
        let all_up = async || {
            let health = self.computer.ensure_ready().await.health;
            for entry in health.entries.iter().filter(|entry| entry.state == "stopped") {
                self.computer.restart_entry(&entry.name).await.unwrap();
            }
            health.entries.iter().all(|entry| entry.healthy)
        };
        until("everything is up again", all_up).await;
        for name in NAMES {
            let call = Call { token: LAST.to_owned(), tool: "look", ms: None, die: false };
            let answer = within(name, send(&self.computer, name, &call, CallContext::default())).await;
            assert!(answer.is_ok_and(|text| text.contains(LAST)), "{name} answers");
        }
    }

    /// What there is of it.
    pub(super) fn traces(&self) -> Traces {
        let processes = self.cast.processes().len();
        Traces { processes, descriptors: traces::descriptors(std::process::id()), tasks: traces::tasks() }
    }

    /// What there is of it when nothing comes or goes any more.
    pub(super) async fn settled(&self) -> Traces {
        let mut last = (self.traces(), Instant::now());
        within("it comes to rest", async {
            while last.1.elapsed() < Duration::from_secs(1) {
                sleep(Duration::from_millis(50)).await;
                let now = self.traces();
                if now != last.0 {
                    last = (now, Instant::now());
                }
            }
        })
        .await;
        last.0
    }

    /// Ends everything with so much grace; the processes that are left at that moment.
    pub(super) async fn end(self, grace: Duration) -> Vec<(i32, String)> {
        within("the stop", self.computer.stop_within(grace)).await;
        let left = self.cast.processes();
        self.web.lock().await.down().await;
        left
    }
}

/// The text of an answer.
fn send(
    computer: &Computer,
    name: &str,
    call: &Call,
    context: CallContext,
) -> impl Future<Output = Result<String, Error>> + use<> {
    let (tool, arguments) = if name == SHELL {
        ("run_command", json!({ "command": call.command() }))
    } else {
        (call.tool, json!({ "token": call.token, "ms": call.ms, "die": call.die }))
    };
    let answer = computer.call_raw(&format!("{name}__{tool}"), Some(&raw(&arguments)), context);
    async move { answer.await.map(|answer| answer.get().to_owned()) }
}

/// Calls until it is over, and sees what comes of it.
async fn call(computer: Computer, mut dice: Dice, caller: usize, over: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if over.is_cancelled() {
            break;
        }
        let (name, call, taken_back) = Call::drawn(&mut dice, (caller, number));
        let begin = Instant::now();
        match timeout(BOUND, made(&computer, name, &call, taken_back)).await {
            Ok(Made::Answered(text)) => tally.answered(name, call.token, &text),
            Ok(Made::Failed(kind)) => tally.failed(kind),
            Ok(Made::Wrong(how)) => tally.wrong.push(format!("{name}: the call {} {how}", call.token)),
            Err(_) => tally.wrong.push(format!("{name}: the call {} took longer than {BOUND:?}", call.token)),
        }
        tally.took(begin.elapsed());
        sleep(dice.millis(0..12)).await;
    }
    tally
}

/// What came of a call.
enum Made {
    Answered(String),
    Failed(&'static str),
    Wrong(String),
}

/// Makes a call, and takes it back after a while if that is wanted: by its token, or by dropping it.
async fn made(computer: &Computer, name: &str, call: &Call, taken_back: Option<Duration>) -> Made {
    let cancel = CancellationToken::new();
    let context = CallContext { cancel: Some(cancel.clone()), ..CallContext::default() };
    let mut sent = Box::pin(send(computer, name, call, context));
    let outcome = match taken_back {
        None => sent.await,
        Some(time) => match timeout(time, &mut sent).await {
            Ok(outcome) => outcome,
            Err(_) if time.subsec_millis().is_multiple_of(2) => return Made::Failed("dropped"),
            Err(_) => {
                cancel.cancel();
                sent.await
            }
        },
    };
    match outcome {
        Ok(text) => Made::Answered(text),
        Err(error) => match kind(&error) {
            Some("cancelled") if taken_back.is_none() => Made::Wrong("was cancelled by nobody".to_owned()),
            Some(kind) => Made::Failed(kind),
            None => Made::Wrong(format!("failed: {error:?}")),
        },
    }
}

/// In which of the ways that are allowed a call failed.
fn kind(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Ended { .. } => "ended",
        Error::NotReady { .. } => "not ready",
        Error::Timeout { .. } => "timeout",
        Error::Http { .. } => "http",
        // It has been removed.
        Error::UnknownTool { .. } => "unknown",
        Error::Cancelled => "cancelled",
        _ => return None,
    })
}
