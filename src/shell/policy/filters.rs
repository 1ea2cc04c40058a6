//! Programs that pass without a pattern where they do nothing but change what comes through a pipe.

use super::{options::Options, values::Arg};

/// Whether this is such a program, and reads no file and writes none.
pub(super) fn is_filter(args: &[Arg]) -> bool {
    let (options, operands) = match args[0].text.as_str() {
        "head" | "tail" => {
            (Options { flags: "0123456789qvz", valued: "nc", long: &["quiet"], long_valued: &["lines", "bytes"] }, 0)
        }
        "wc" => (Options { flags: "lwcmL", long: &["lines", "words", "bytes", "chars"], ..Options::default() }, 0),
        "sort" => (
            Options {
                flags: "bdfghiMnRrVcCmsuz",
                valued: "kt",
                long: &["reverse", "unique", "numeric-sort", "human-numeric-sort", "version-sort", "stable"],
                long_valued: &["key", "field-separator"],
            },
            0,
        ),
        "uniq" => (
            Options {
                flags: "cdDiuz",
                valued: "fsw",
                long: &["count", "repeated", "unique", "ignore-case"],
                ..Options::default()
            },
            0,
        ),
        "cut" => (
            Options {
                flags: "nsz",
                valued: "bcdf",
                long: &["complement", "only-delimited"],
                long_valued: &["delimiter", "fields", "characters", "bytes", "output-delimiter"],
            },
            0,
        ),
        "tr" => (Options { flags: "cCdst", ..Options::default() }, 2),
        "cat" => (Options { flags: "AbeEnstTuv", ..Options::default() }, 0),
        "grep" => return is_grep(args),
        _ => return false,
    };
    let Ok(given) = options.read(args) else { return false };
    let rest = &args[given.operands..];
    match operands {
        0 => rest.iter().all(|arg| arg.fixed && arg.text == "-"),
        _ => rest.len() <= operands && rest.iter().all(|arg| arg.fixed),
    }
}

fn is_grep(args: &[Arg]) -> bool {
    let options = Options {
        flags: "0123456789EFGPciLlnoqshHvwxyazZb",
        valued: "eABCm",
        long: &["ignore-case", "invert-match", "count", "line-number", "only-matching", "quiet", "extended-regexp"],
        long_valued: &["regexp", "max-count", "after-context", "before-context", "context", "color", "colour"],
    };
    let Ok(given) = options.read(args) else { return false };
    let rest = &args[given.operands..];
    let patterns = usize::from(!given.has(&["e", "regexp"]));
    rest.len() == patterns && !rest.iter().any(Arg::may_be_several)
}
