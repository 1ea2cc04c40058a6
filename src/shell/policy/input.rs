//! Where a command's input comes from: a pipe or the text itself, which filters may read, or a file.

use super::{
    tree::{Direction, Redirect, Simple, Word},
    values::{Arg, Variables},
};

/// What redirections make of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// It stays what it was.
    Kept,
    /// It stands in the text.
    Text,
    /// A file, or whatever another descriptor is.
    Opened,
}

impl Input {
    /// The last redirection of the input is what counts.
    pub(super) fn of(redirects: &[Redirect]) -> Self {
        match redirects.iter().rev().find(|redirect| is_of_input(redirect)).map(|redirect| &redirect.kind) {
            None => Self::Kept,
            Some(Direction::Text(_) | Direction::Document(_)) => Self::Text,
            Some(Direction::File(..) | Direction::Copy(..)) => Self::Opened,
        }
    }

    /// Whether a pipe or the text is read, where that was so before or was not.
    pub(super) fn is_fed(self, before: bool) -> bool {
        match self {
            Self::Kept => before,
            Self::Text => true,
            Self::Opened => false,
        }
    }
}

fn is_of_input(redirect: &Redirect) -> bool {
    let reads = match &redirect.kind {
        Direction::File(sign, _) => matches!(*sign, "<" | "<>"),
        Direction::Copy(sign, _) => *sign == "<&",
        Direction::Text(_) | Direction::Document(_) => true,
    };
    redirect.fd.map_or(reads, |fd| fd == 0)
}

/// Whether what is printed goes to a file, the last redirection of it being what counts.
pub(super) fn keeps_output(redirects: &[Redirect]) -> bool {
    let last = redirects.iter().rev().find(|redirect| is_of_output(redirect));
    let a_stream = |word: &Word| word.text().is_none_or(|name| name.starts_with("/dev/std"));
    last.is_some_and(|last| matches!(&last.kind, Direction::File(_, word) if !a_stream(word)))
}

fn is_of_output(redirect: &Redirect) -> bool {
    let writes = match &redirect.kind {
        Direction::File(sign, _) => !matches!(*sign, "<" | "<>"),
        Direction::Copy(sign, _) => *sign == ">&",
        Direction::Text(_) | Direction::Document(_) => false,
    };
    redirect.fd.map_or(writes, |fd| fd == 1)
}

/// Whether a command changes the input of all that follows it.
pub(super) fn reopens(simple: &Simple) -> bool {
    let is_exec = |word: &Word| word.text() == Some("exec");
    simple.words.iter().any(is_exec) && Input::of(&simple.redirects) != Input::Kept
}

/// Redirections alone: in a substitution, `< file` gives out what is in the file. These are the commands that would do
/// the same.
pub(super) fn printed(redirects: &[Redirect], variables: &Variables) -> Vec<Vec<Arg>> {
    let of_file = |redirect: &Redirect| match &redirect.kind {
        Direction::File("<" | "<>", word) if is_of_input(redirect) => {
            variables.variants(&[Word::literal("cat"), word.clone()])
        }
        _ => Vec::new(),
    };
    redirects.iter().flat_map(of_file).collect()
}
