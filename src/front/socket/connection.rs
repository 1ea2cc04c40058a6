//! One connection to the control socket: what is asked by it, side by side.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    future::{AbortHandle, Abortable, BoxFuture},
    stream::{FuturesUnordered, StreamExt},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{io::Interest, net::UnixStream, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    control::{ATTACH, Asked, Code, Control, Follow, Refusal, Who, is_compatible, line},
    front::stdio::{Over, ends, serve_on},
    process,
    wire::{Input, Line, Lines, Outbox, Output},
};

/// The longest request: a call's arguments.
const LONGEST: usize = 64 << 20;

/// How much may be under way for one connection.
const MOST: usize = 64;

/// How often it is looked whether a client that asks for no more has gone.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// When so much waits for a slow reader, events are left out and counted.
const CROWDED: usize = 256 << 10;

/// Serves a connection until its end.
pub(super) async fn serve(stream: UnixStream, control: Control, leaving: CancellationToken) {
    let peer = stream.peer_cred().ok();
    let pid = peer.and_then(|peer| peer.pid()).map(|pid| format!(", process {pid}")).unwrap_or_default();
    let who = Who::new(&peer.map_or_else(|| "socket".to_owned(), |peer| format!("socket: user {}{pid}", peer.uid())));
    let stream = Arc::new(stream);
    let descriptors = Arc::new(Mutex::new(Vec::new()));
    let input = In { stream: stream.clone(), descriptors: descriptors.clone() };
    let outbox = Outbox::new(Out(stream));
    let connection = Connection {
        control,
        who,
        leaving,
        outbox: outbox.clone(),
        lines: Lines::new(input, LONGEST),
        descriptors,
        under_way: FuturesUnordered::new(),
        handles: HashMap::new(),
    };
    tokio::select! {
        () = connection.run() => {}
        () = outbox.drain() => {}
    }
    outbox.close();
}

struct Connection {
    control: Control,
    who: Who,
    leaving: CancellationToken,
    outbox: Outbox,
    lines: Lines<In>,
    /// What has come beside the lines.
    descriptors: Arc<Mutex<Vec<OwnedFd>>>,
    under_way: FuturesUnordered<Abortable<BoxFuture<'static, String>>>,
    /// What can be taken back, by its id as JSON.
    handles: HashMap<String, AbortHandle>,
}

/// What comes next.
enum Next {
    Line(io::Result<Option<Line>>),
    /// What had that id is done.
    Done(Option<String>),
    Leave,
}

impl Connection {
    async fn run(mut self) {
        loop {
            let leaving = self.leaving.clone();
            let next = tokio::select! {
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => Next::Done(done.ok()),
                line = self.lines.next(), if !self.outbox.holds_more_than(CROWDED) => Next::Line(line),
                () = self.outbox.emptied(), if self.outbox.holds_more_than(CROWDED) => continue,
                () = leaving.cancelled() => Next::Leave,
            };
            match next {
                Next::Done(id) => drop(id.and_then(|id| self.handles.remove(&id))),
                Next::Line(Ok(Some(Line::Whole(line)))) => match String::from_utf8(line) {
                    Ok(line) if line.trim().is_empty() => {}
                    Ok(line) => {
                        if let Some(attached) = self.take(&line) {
                            return self.attached(attached).await;
                        }
                    }
                    Err(_) => self.refuse(None, &Refusal::new(Code::Invalid, "the request is no UTF-8")),
                },
                Next::Line(Ok(Some(Line::TooLong(_)))) => {
                    let words = format!("a request must not be larger than {LONGEST} bytes");
                    self.refuse(None, &Refusal::new(Code::Invalid, words));
                }
                // It asks for no more, and may still read.
                Next::Line(Ok(None)) => return self.finish().await,
                Next::Line(Err(_)) => return,
                Next::Leave => break,
            }
        }
        // What follows something sees by itself that we leave.
        while self.under_way.next().await.is_some() {}
        self.outbox.emptied().await;
    }

    /// Answers what is under way, unless nobody is there any more to read it.
    async fn finish(mut self) {
        loop {
            tokio::select! {
                done = self.under_way.next() => if done.is_none() {
                    return self.outbox.emptied().await;
                },
                () = sleep(LOOK_AFTER) => if self.lines.is_hung_up() {
                    return;
                },
                () = self.leaving.cancelled() => return,
            }
        }
    }

    /// Takes a request; the id of one that joins as a client of MCP.
    fn take(&mut self, text: &str) -> Option<Attached> {
        let asked: Asked<'_> = match Asked::read(text) {
            Ok(asked) => asked,
            Err((id, error)) => {
                let words = format!("this is no request, which is {{ \"id\", \"verb\", \"args\" }}: {error}");
                self.refuse(id, &Refusal::new(Code::Invalid, words));
                return None;
            }
        };
        let id = asked.id.map(ToOwned::to_owned);
        match asked.verb.as_ref() {
            "cancel" => self.cancel(id.as_deref(), asked.args),
            ATTACH => return self.attach(id, asked.args),
            verb => self.begin(id, verb, asked.args),
        }
        None
    }

    fn begin(&mut self, id: Option<Box<RawValue>>, verb: &str, args: Option<&RawValue>) {
        let key = id.as_deref().map_or("null", RawValue::get).to_owned();
        if self.under_way.len() >= MOST {
            let words = format!("{MOST} requests are under way already; wait for answers before asking more");
            return self.refuse(id.as_deref(), &Refusal::new(Code::TooMany, words));
        }
        if self.handles.contains_key(&key) {
            let words = "a request of this `id` is under way already; give each another";
            return self.refuse(id.as_deref(), &Refusal::new(Code::Invalid, words));
        }
        let (control, outbox, leaving) = (self.control.clone(), self.outbox.clone(), self.leaving.clone());
        let who = self.who.clone();
        let (verb, args, key_) = (verb.to_owned(), args.map(ToOwned::to_owned), key.clone());
        let work: BoxFuture<'static, String> = Box::pin(async move {
            let id = id.as_deref();
            let told = match control.follow(&verb, args.as_deref()) {
                Ok(Some(follow)) => {
                    tokio::select! {
                        () = followed(follow, id, &outbox) => {}
                        () = leaving.cancelled() => {}
                    }
                    line(id, "result", "{}")
                }
                Ok(None) => match control.answer(&who, &verb, args.as_deref()).await {
                    Ok(result) => line(id, "result", result.get()),
                    Err(refusal) => error(id, &refusal),
                },
                Err(refusal) => error(id, &refusal),
            };
            let _ = outbox.send(&told);
            key_
        });
        let (handle, registration) = AbortHandle::new_pair();
        self.under_way.push(Abortable::new(work, registration));
        self.handles.insert(key, handle);
    }

    fn cancel(&mut self, id: Option<&RawValue>, args: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Cancel<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
        }
        let cancel = args.and_then(|args| serde_json::from_str::<Cancel<'_>>(args.get()).ok());
        let Some(Cancel { id: of }) = cancel else {
            return self.refuse(id, &Refusal::arguments("cancel", "`id` says what is taken back"));
        };
        // It may be done by now.
        if let Some(handle) = self.handles.remove(of.get()) {
            handle.abort();
            self.refuse(Some(of), &Refusal::new(Code::Cancelled, "it was taken back"));
        }
        let _ = self.outbox.send(&line(id, "result", "{}"));
    }

    /// The two ends of a client of MCP that have come along.
    fn attach(&mut self, id: Option<Box<RawValue>>, args: Option<&RawValue>) -> Option<Attached> {
        #[derive(Deserialize)]
        struct Args {
            version: String,
        }
        let descriptors = std::mem::take(&mut *self.descriptors.lock().unwrap_or_else(PoisonError::into_inner));
        let mut descriptors = descriptors.into_iter();
        let Some(Args { version }) = args.and_then(|args| serde_json::from_str(args.get()).ok()) else {
            self.refuse(id.as_deref(), &Refusal::arguments(ATTACH, "`version` is that of the program"));
            return None;
        };
        if !is_compatible(&version, env!("CARGO_PKG_VERSION")) {
            let words = format!("this daemon is of version {}, which {version} cannot join", env!("CARGO_PKG_VERSION"));
            self.refuse(id.as_deref(), &Refusal::new(Code::Invalid, words));
            return None;
        }
        let (Some(input), Some(output)) = (descriptors.next(), descriptors.next()) else {
            let words = "the stdin and the stdout of the client have to come along, as two descriptors";
            self.refuse(id.as_deref(), &Refusal::arguments(ATTACH, words));
            return None;
        };
        match ends::of_another(input, output) {
            Ok(ends) => Some(Attached { id, ends }),
            Err(error) => {
                self.refuse(id.as_deref(), &Refusal::new(Code::Failed, format!("its ends cannot be used: {error}")));
                None
            }
        }
    }

    /// Serves a client of MCP until it goes, or the process that has brought it.
    async fn attached(mut self, Attached { id, ends }: Attached) {
        let over = {
            let gone = async { while let Ok(Some(_)) = self.lines.next().await {} };
            tokio::select! {
                over = serve_on(self.control.computer(), ends, self.leaving.cancelled()) => over,
                () = gone => Over::ClientLeft,
            }
        };
        let over = match over {
            Over::ClientLeft => "clientLeft",
            Over::Asked => "asked",
        };
        let _ = self.outbox.send(&line(id.as_deref(), "result", &format!("{{\"over\":\"{over}\"}}")));
        self.outbox.emptied().await;
    }

    fn refuse(&self, id: Option<&RawValue>, refusal: &Refusal) {
        // One that does not read has gone, or will.
        let _ = self.outbox.send(&error(id, refusal));
    }
}

/// What is said to one who comes when there are too many.
pub(super) fn too_many() -> Vec<u8> {
    error(None, &Refusal::new(Code::TooMany, "the daemon has too many connections; end one of the others"))
}

/// A client of MCP that has joined.
struct Attached {
    id: Option<Box<RawValue>>,
    ends: (ends::In, ends::Out),
}

fn error(id: Option<&RawValue>, refusal: &Refusal) -> Vec<u8> {
    line(id, "error", &serde_json::to_string(refusal).unwrap_or_default())
}

/// Tells what is followed, until its end. Who reads slowly is told how much was left out.
async fn followed(mut follow: Follow, id: Option<&RawValue>, outbox: &Outbox) {
    let mut missed = 0_u64;
    loop {
        let event = tokio::select! {
            event = follow.next() => event,
            () = outbox.emptied(), if missed > 0 => {
                let told = format!("{{\"event\":\"missed\",\"count\":{missed}}}");
                missed = 0;
                if outbox.send(&line(id, "event", &told)).is_err() {
                    return;
                }
                continue;
            }
        };
        let Some(event) = event else { return };
        // What was missed is told before anything that came later.
        if missed > 0 || outbox.holds_more_than(CROWDED) {
            missed += 1;
        } else if outbox.send(&line(id, "event", event.get())).is_err() {
            return;
        }
    }
}

struct In {
    stream: Arc<UnixStream>,
    descriptors: Arc<Mutex<Vec<OwnedFd>>>,
}

/// How much is read at a time.
const CHUNK: usize = 16 << 10;

impl Input for In {
    fn is_hung_up(&self) -> bool {
        let mut asked = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        let answered = poll(&mut asked, PollTimeout::ZERO).is_ok_and(|answered| answered > 0);
        answered && asked[0].revents().is_some_and(|events| events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
    }

    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            self.stream.readable().await?;
            let before = buffer.len();
            buffer.resize(before + CHUNK, 0);
            let mut descriptors = Vec::new();
            let read = self.stream.try_io(Interest::READABLE, || {
                process::handed::receive(&self.stream, &mut buffer[before..], &mut descriptors)
            });
            buffer.truncate(before + read.as_ref().copied().unwrap_or_default());
            if !descriptors.is_empty() {
                // The latest: nobody keeps a process full of descriptors.
                *self.descriptors.lock().unwrap_or_else(PoisonError::into_inner) = descriptors;
            }
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

struct Out(Arc<UnixStream>);

impl Output for Out {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}
