//! What holds of the parser whatever it is given: it ends, soon, and what it renders it reads as the same again.
//!
//! `POLICY_TEXTS` is how many texts are tried.

use std::time::{Duration, Instant};

use mcp_computer::policy::{Place, Reading, Rule};

use super::{
    differential::everything,
    grammar::{Dice, mutated, script},
};

fn texts() -> u64 {
    std::env::var("POLICY_TEXTS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

/// Whether a text is read; the error says how it is not the same once it is rendered.
fn holds_for(text: &str) -> Result<bool, String> {
    let Ok(reading) = Reading::of(text) else { return Ok(false) };
    let rendered = reading.rendered();
    match Reading::of(&rendered) {
        Ok(again) if again == reading => Ok(true),
        // What it holds may be more than is read, written out: that is refused before anything runs.
        Err(Rule::Limit(_)) => Ok(true),
        Ok(again) => Err(format!("{text:?}\nis rendered {rendered:?}\nwhich reads {again:?}\nnot {reading:?}")),
        Err(rule) => Err(format!("{text:?}\nis rendered {rendered:?}\nwhich is refused: {rule}")),
    }
}

/// Tries many texts, and gives how many were read. The shortest that fails says most.
fn all_hold(texts: impl Iterator<Item = String>) -> u64 {
    let (mut read, mut failures) = (0, Vec::new());
    for text in texts {
        match holds_for(&text) {
            Ok(was_read) => read += u64::from(was_read),
            Err(failure) => failures.push(failure),
        }
    }
    failures.sort_by_key(String::len);
    assert!(failures.is_empty(), "{} texts fail, such as\n{}", failures.len(), failures[0]);
    read
}

#[test]
fn whatever_is_read_is_read_the_same_once_it_is_rendered() {
    let read = all_hold((0..texts()).map(|seed| {
        let mut dice = Dice::new(seed + 7);
        let mut text = script(&mut dice, false);
        for _ in 0..dice.below(3) {
            text = mutated(&mut dice, &text);
        }
        text
    }));
    eprintln!("{read} of {} texts were read", texts());
    assert!(read * 5 > texts(), "{read} of {} were read", texts());
}

#[test]
fn bytes_without_sense_are_refused_or_read_and_nothing_else() {
    const ALPHABET: &[u8] = b"ab1 \t\n'\"\\$`(){}[]<>|&;#!*?~=-+,.:/@%^\x00\x01\xc3\xa9";
    let read = all_hold((0..texts()).map(|seed| {
        let mut dice = Dice::new(seed + 99);
        let length = dice.below(40);
        let bytes: Vec<u8> = (0..length).map(|_| ALPHABET[dice.below(ALPHABET.len())]).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }));
    assert!(read > 0, "some of them mean something");
}

#[test]
fn the_longest_texts_end_soon() {
    let units = [
        "a",
        " ",
        "(",
        "{",
        "{ ",
        "$(",
        "`",
        "'",
        "\"",
        "\"$(",
        "${a:-",
        "$((",
        "[",
        "[[ ",
        "{a,",
        "{a,b}",
        "<<E\n",
        "<<E ",
        "a;",
        "a|",
        "a&",
        "!",
        "! ",
        "\\",
        "\\\n",
        "if ",
        "case a in ",
        "a()",
        "f() {",
        "a=",
        "~",
        "*",
        "[a",
        "a[b]",
        "a*",
        "[[:a",
        "#",
        "\n",
        "$'",
        "$x",
        "a=$x;",
        "<(",
        "a <<'E'\nE\n",
        "{1..9}",
        "$(a;)",
        "x=a;",
        "sh -c '",
        "cd a;",
        "cd a||",
        "&&a",
        "time ",
        "}",
        "a>",
        ">a ",
        ">$x/a ",
        "é",
        "for i in a;do ",
        "a{b,c}",
        "$(( 1 ))",
        "\"a\"",
        "-",
        "x={",
        "[[ a && ",
        "a\\'",
        "nice ",
        "env ",
        "command ",
        "sudo ",
        "xargs ",
        "find -exec ",
        "find . -name a ",
        "eval ",
        "ls && ",
        "x=$x$x;",
        "x=$x$y;y=$x;",
        "f() { f; };",
        "if cd a;then cd ..;fi;",
        "for x in $x $x b;do x=$x;done;",
    ];
    // Not a measure, only what no correct version comes near: a debug build on a machine with other things to do.
    let soon = Duration::from_secs(5);
    let (policy, place) = (everything(), Place::new("/"));
    for unit in units {
        for before in ["", "a ", "\"", "$(", "[[ a == ", "x=aa;y=bb;"] {
            let count = ((128 << 10) - before.len()) / unit.len();
            let text = format!("{before}{}", unit.repeat(count));
            let begin = Instant::now();
            // It is read first, and judged when it is understood.
            drop(policy.judge(&text, &place));
            assert!(begin.elapsed() < soon, "{before:?} and {unit:?} {count} times: {:?}", begin.elapsed());
        }
    }
    assert_eq!(Reading::of(&"a".repeat((128 << 10) + 1)).unwrap_err(), Rule::Limit("text"));
}
