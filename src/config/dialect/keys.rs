//! What to say of a key that means something to another program.

use super::{
    Dialect,
    table::{self, Level},
};

/// Whose files a key belongs to: `Cline's files`, `the files of Roo and Windsurf`.
pub(super) fn owners(level: Level, key: &str, reader: Dialect) -> Option<String> {
    match table::foreign(level, key, reader).as_slice() {
        [] => None,
        [one] => Some(format!("{}'s files", one.program())),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(|dialect| dialect.program()).collect();
            Some(format!("the files of {} and {}", rest.join(", "), last.program()))
        }
    }
}

/// Why a key of another program's files cannot stand in a file that is read as one of `reader`'s.
pub(in crate::config) fn refusal(level: Level, key: &str, reader: Dialect) -> Option<String> {
    let owners = owners(level, key, reader)?;
    let first = table::foreign(level, key, reader).first()?.name();
    let read_as = match reader {
        Dialect::Computer => String::new(),
        other => format!(", and this one is read as one of {}'s", other.program()),
    };
    Some(format!("`{key}` belongs to {owners}{read_as}; `--dialect {first}` reads it so"))
}
