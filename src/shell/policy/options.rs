//! Options of programs that we look into. One that is not known here is a reason to refuse.

use super::values::Arg;

/// The options that a program may be given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) flags: &'static str,
    pub(super) valued: &'static str,
    pub(super) long: &'static [&'static str],
    pub(super) long_valued: &'static [&'static str],
}

/// What an option is told.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) text: String,
    /// Nothing of it is unknown.
    pub(super) fixed: bool,
}

impl Value {
    fn known(text: &str) -> Self {
        Self { text: text.to_owned(), fixed: true }
    }
}

/// Which options were given, and where the operands begin.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) options: Vec<(String, Option<Value>)>,
    pub(super) operands: usize,
}

pub(super) const UNKNOWN: &str = "unknown option";

impl Options {
    /// Reads options up to the first operand.
    pub(super) fn read(&self, args: &[Arg]) -> Result<Given, &'static str> {
        let mut given = Given { options: Vec::new(), operands: 1 };
        while let Some(arg) = args.get(given.operands) {
            if !arg.fixed && (arg.leads || arg.text.starts_with('-')) {
                return Err(UNKNOWN);
            }
            if arg.text.len() < 2 || !arg.text.starts_with('-') {
                break;
            }
            given.operands += 1;
            if arg.text == "--" {
                break;
            }
            match arg.text.strip_prefix("--") {
                Some(long) => self.long(long, args, &mut given)?,
                None => self.short(&arg.text[1..], args, &mut given)?,
            }
        }
        Ok(given)
    }

    fn long(&self, text: &str, args: &[Arg], given: &mut Given) -> Result<(), &'static str> {
        let (name, value) =
            text.split_once('=').map_or((text, None), |(name, value)| (name, Some(Value::known(value))));
        if self.long_valued.contains(&name) {
            let value = value.map_or_else(|| value_of(args, given), Ok)?;
            given.options.push((name.to_owned(), Some(value)));
            return Ok(());
        }
        if !self.long.contains(&name) || value.is_some() {
            return Err(UNKNOWN);
        }
        given.options.push((name.to_owned(), None));
        Ok(())
    }

    fn short(&self, cluster: &str, args: &[Arg], given: &mut Given) -> Result<(), &'static str> {
        for (index, flag) in cluster.char_indices() {
            if self.flags.contains(flag) {
                given.options.push((flag.to_string(), None));
                continue;
            }
            if !self.valued.contains(flag) {
                return Err(UNKNOWN);
            }
            let rest = &cluster[index + flag.len_utf8()..];
            let value = if rest.is_empty() { value_of(args, given)? } else { Value::known(rest) };
            given.options.push((flag.to_string(), Some(value)));
            return Ok(());
        }
        Ok(())
    }
}

/// The next argument, as the value of an option.
fn value_of(args: &[Arg], given: &mut Given) -> Result<Value, &'static str> {
    let value = args.get(given.operands).filter(|value| !value.may_be_several()).ok_or(UNKNOWN)?;
    given.operands += 1;
    Ok(Value { text: value.text.clone(), fixed: value.fixed })
}

impl Given {
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|(name, _)| names.contains(&name.as_str()))
    }

    pub(super) fn value(&self, names: &[&str]) -> Option<&Value> {
        let found = self.options.iter().rev().find(|(name, _)| names.contains(&name.as_str()));
        found.and_then(|(_, value)| value.as_ref())
    }
}
