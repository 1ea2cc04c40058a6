//! What is asked of a supervisor, in order.

use tokio::sync::{mpsc, oneshot};

use super::Renewal;

/// Told when what was asked has happened.
pub(super) type Done = oneshot::Sender<()>;

/// What is asked of a supervisor; answered when it has happened.
#[derive(Debug)]
pub(super) enum Command {
    /// Close what is there and start anew.
    Restart(Done),
    /// Start if it should be up and is not, or is to be up when it is used; nothing when it is up or held otherwise.
    Ensure(Done),
    /// Close and stay closed.
    Stop(Done),
    /// Go by what the unit is made of now.
    Renew(Renewal, Done),
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Mailbox {
    commands: mpsc::UnboundedReceiver<Command>,
    /// Taken out while looking for restarts, and still to be dealt with.
    next: Option<Command>,
}

impl Mailbox {
    pub(super) fn new(commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self { commands, next: None }
    }

    /// The next command; `None` when nobody can send any more. Cancel safe.
    pub(super) async fn recv(&mut self) -> Option<Command> {
        match self.next.take() {
            Some(command) => Some(command),
            None => self.commands.recv().await,
        }
    }

    /// Takes out what a start that is about to begin serves too: the restarts that wait behind it.
    pub(super) fn join(&mut self, done: Done) -> Vec<Done> {
        let mut served = vec![done];
        while self.next.is_none() {
            match self.commands.try_recv() {
                Ok(Command::Restart(done) | Command::Ensure(done)) => served.push(done),
                Ok(other @ (Command::Stop(_) | Command::Renew(..))) => self.next = Some(other),
                Err(_) => break,
            }
        }
        served
    }
}
