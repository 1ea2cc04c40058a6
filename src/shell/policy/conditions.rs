//! Judging `[[ … ]]`, and `[ … ]` with `test`.

use super::{
    Rule,
    lex::Dialect,
    tree::{Part, Test, Word},
    values::{Arg, is_number},
};

/// The words in a test.
pub(super) fn words(test: &Test) -> Vec<&Word> {
    match test {
        Test::Word(word) | Test::Unary(_, word) => vec![word],
        Test::Binary(left, _, right) => vec![left, right],
        Test::Not(test) | Test::Group(test) => words(test),
        Test::Both(left, right) | Test::Either(left, right) => [words(left), words(right)].concat(),
    }
}

/// The same, to change what stands in them.
pub(super) fn words_mut(test: &mut Test) -> Vec<&mut Word> {
    match test {
        Test::Word(word) | Test::Unary(_, word) => vec![word],
        Test::Binary(left, _, right) => vec![left, right],
        Test::Not(test) | Test::Group(test) => words_mut(test),
        Test::Both(left, right) | Test::Either(left, right) => {
            let mut words = words_mut(left);
            words.extend(words_mut(right));
            words
        }
    }
}

const COMPARES: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

/// `[[` evaluates what it compares as numbers, names and subscripts with commands in them too.
pub(super) fn judge(test: &Test, at: usize) -> Result<(), Rule> {
    match test {
        Test::Unary(sign, _) if matches!(sign.as_str(), "-v" | "-R") => Err(Rule::unsupported("-v", at)),
        Test::Word(_) | Test::Unary(..) => Ok(()),
        Test::Binary(left, sign, right) => {
            let literal = |word: &Word| match word.parts.as_slice() {
                [Part::Literal(text)] => is_integer(text),
                [Part::Param(param)] => is_number(param),
                _ => false,
            };
            if COMPARES.contains(&sign.as_str()) && !(literal(left) && literal(right)) {
                return Err(Rule::unsupported("arithmetic comparison", at));
            }
            Ok(())
        }
        Test::Not(test) | Test::Group(test) => judge(test, at),
        Test::Both(left, right) | Test::Either(left, right) => judge(left, at).and_then(|()| judge(right, at)),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

const UNARY: &str = "abcdefghknoprstuwxzGLNOS";
const BINARY: [&str; 7] = ["=", "==", "!=", "-nt", "-ot", "-ef", "<"];

/// `[` and `test`: which words are operators depends on how many words there are, so that no unknown one may become
/// several, and each operator must be known.
pub(super) fn judge_words(args: &[Arg], (at, dialect): (usize, Dialect)) -> Result<(), Rule> {
    let refuse = |what| Err(Rule::unsupported(what, at));
    let mut operands = &args[1..];
    if args[0].text == "[" {
        match operands.split_last() {
            Some((last, rest)) if last.fixed && last.text == "]" => operands = rest,
            _ => return refuse("test without its end"),
        }
    }
    // A name of a file may be an operator, when nothing says how it begins.
    if operands.iter().any(|arg| arg.loose || arg.glob && arg.leads) {
        return refuse("unquoted expansion in a test");
    }
    if operands.iter().any(|arg| arg.fixed && matches!(arg.text.as_str(), "-v" | "-R")) {
        return refuse("-v");
    }
    let sign = |arg: &Arg| if arg.fixed { arg.text.clone() } else { String::new() };
    while operands.len() > 1 && sign(&operands[0]) == "!" {
        operands = &operands[1..];
    }
    match operands {
        [] | [_] => Ok(()),
        [unary, _] => {
            let name = sign(unary);
            let known = name.len() == 2 && name.starts_with('-') && UNARY.contains(&name[1..]);
            if known { Ok(()) } else { refuse("operator of a test") }
        }
        [left, binary, right] => {
            let name = sign(binary);
            let number =
                |arg: &Arg| is_integer(&arg.text) || matches!(arg.text.as_str(), "$?" | "$#" | "${#}" | "${?}");
            let number = |arg: &Arg| arg.fixed && (number(arg) || arg.text.starts_with("${#"));
            if COMPARES.contains(&name.as_str()) {
                // Other shells evaluate what they compare here; to bash it is a number or an error.
                if dialect == Dialect::Bash {
                    return Ok(());
                }
                return if number(left) && number(right) { Ok(()) } else { refuse("arithmetic comparison") };
            }
            if BINARY.contains(&name.as_str()) { Ok(()) } else { refuse("operator of a test") }
        }
        // Longer ones are parsed by precedence: nothing in them may be unknown.
        all if all.iter().all(|arg| arg.fixed) => Ok(()),
        _ => refuse("long test"),
    }
}
