//! Commands that are written for Windows, on other systems.

use super::StdioConfig;

/// Takes `cmd /c` away where there is no such shell: what it would run is run.
///
/// On Windows many programs are scripts that only the shell finds, so that files which travel say `cmd /c npx …`.
pub(super) fn unwrap(config: &mut StdioConfig) {
    if cfg!(windows) || !is_cmd(&config.command) {
        return;
    }
    let switches = config.args.iter().take_while(|arg| arg.starts_with('/')).count();
    let runs = config.args[..switches].last().is_some_and(|switch| switch.eq_ignore_ascii_case("/c"));
    if !runs {
        return;
    }
    let mut words = config.args.split_off(switches);
    // The shell takes a whole line as well; one with quotes in it is not ours to take apart.
    if let [line] = words.as_slice()
        && !line.contains('"')
    {
        words = line.split_whitespace().map(str::to_owned).collect();
    }
    if words.is_empty() {
        config.args.extend(words);
        return;
    }
    config.command = without_extension(&words.remove(0));
    config.args = words;
}

fn is_cmd(command: &str) -> bool {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    name.eq_ignore_ascii_case("cmd") || name.eq_ignore_ascii_case("cmd.exe")
}

fn without_extension(command: &str) -> String {
    let lower = command.to_ascii_lowercase();
    let extension = [".cmd", ".exe", ".bat"].into_iter().find(|extension| lower.ends_with(extension));
    command[..command.len() - extension.map_or(0, str::len)].to_owned()
}

#[cfg(not(windows))]
#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_becomes(command: &str, args: &[&str], expected: (&str, &[&str])) {
        let mut config = StdioConfig::new(command, args.iter().copied());
        unwrap(&mut config);
        assert_eq!(
            (config.command.as_str(), config.args),
            (expected.0, StdioConfig::new("", expected.1.iter().copied()).args)
        );
    }

    #[test]
    fn what_cmd_would_run_is_run() {
        assert_becomes("cmd", &["/c", "npx", "-y", "x"], ("npx", &["-y", "x"]));
        assert_becomes("cmd.exe", &["/C", "npx.cmd", "-y", "x"], ("npx", &["-y", "x"]));
        assert_becomes(r"C:\Windows\System32\cmd.exe", &["/d", "/s", "/c", "npx -y x"], ("npx", &["-y", "x"]));
    }

    #[test]
    fn what_is_no_such_command_stays() {
        assert_becomes("cmd", &["/k", "npx"], ("cmd", &["/k", "npx"]));
        assert_becomes("cmd", &["/c"], ("cmd", &["/c"]));
        assert_becomes("cmdx", &["/c", "npx"], ("cmdx", &["/c", "npx"]));
        assert_becomes("npx", &["/c", "x"], ("npx", &["/c", "x"]));
    }
}
