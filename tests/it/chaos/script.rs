//! What is done to the entries, and in which order: all of it comes from the seed.

use std::time::Duration;

use super::{
    cast::{NAMES, SHELL, WEB},
    dice::Dice,
};

/// Something that is done to an entry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// One of its processes is killed.
    Kill,
    /// One of its processes stands still for so long; then it goes on, or is killed.
    Freeze { pause: Duration, kill: bool },
    /// It is restarted.
    Restart,
    /// It is stopped, and started so much later.
    Stop { pause: Duration },
    /// It is removed, and added so much later.
    Replace { pause: Duration },
    /// It is written in another way.
    Rewrite,
    /// The web server goes, and comes back so much later.
    Cut { pause: Duration },
    /// The web server forgets its sessions.
    Forget,
    /// What should be up and is not is brought up.
    Mend,
    /// Somebody wants to know how everything is.
    Look,
}

/// A deed, when it is done, and to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    /// The time since the act before.
    pub(super) after: Duration,
    pub(super) name: &'static str,
    pub(super) deed: Deed,
    /// Decides whatever else there is to be decided.
    pub(super) chance: u64,
}

/// So many acts.
pub(super) fn script(dice: &mut Dice, acts: usize) -> Vec<Act> {
    (0..acts).map(|_| act(dice)).collect()
}

fn act(dice: &mut Dice) -> Act {
    let after = dice.millis(5..55);
    let name = *dice.pick(&NAMES).unwrap();
    let pause = dice.millis(0..400);
    let deed = match (name, dice.below(100)) {
        (WEB, 0..30) => Deed::Cut { pause },
        (WEB, 30..50) => Deed::Forget,
        // Nothing of it but commands that were just given can be killed.
        (SHELL, 0..30) | (_, 48..70) => Deed::Restart,
        (_, 0..30) => Deed::Kill,
        (_, 30..48) => Deed::Freeze { pause: pause * 4, kill: dice.one_in(3) },
        (_, 70..80) => Deed::Stop { pause },
        (_, 80..90) => Deed::Replace { pause },
        (_, 90..94) => Deed::Rewrite,
        (_, 94..97) => Deed::Mend,
        _ => Deed::Look,
    };
    Act { after, name, deed, chance: dice.below(1 << 32) }
}
