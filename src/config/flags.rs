//! Which flags of a Chrome are ours to set, and which let others in.

/// A flag by its name, as Chrome takes it apart: one dash or two, and a value behind `=`.
fn switch(flag: &str) -> Option<(&str, Option<&str>)> {
    let name = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?;
    Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value))))
}

/// Whether a flag can be given.
///
/// # Errors
/// What it does and what to do instead, as the rest of a sentence that begins with the flag.
pub(crate) fn check(flag: &str, unsafe_flags: bool) -> Result<(), String> {
    let Some((name, value)) = switch(flag.trim()) else { return Ok(()) };
    let name = name.to_ascii_lowercase();
    let ours = match name.as_str() {
        "remote-debugging-port" => Some("is set by us; give the port as `debuggingPort`"),
        "remote-debugging-pipe" => Some("takes the place of the port that everything here needs; leave it out"),
        _ => None,
    };
    if let Some(reason) = ours {
        return Err(reason.to_owned());
    }
    let opens = match name.as_str() {
        "remote-debugging-address" => "lets other machines control the browser",
        "remote-allow-origins" if value.is_none_or(|origins| origins.contains('*')) => {
            "lets every page control the browser"
        }
        "disable-web-security" => "lets every page read every other",
        "user-data-dir" => "takes the place of the profile that was checked",
        _ => return Ok(()),
    };
    if unsafe_flags { Ok(()) } else { Err(format!("{opens}; leave it out, or set `unsafeFlags` if that is meant")) }
}

/// Whether a flag switches the sandbox off.
pub(crate) fn is_no_sandbox(flag: &str) -> bool {
    matches!(switch(flag.trim()), Some(("no-sandbox", _)))
}

/// Whether a flag asks for no windows.
pub(crate) fn is_headless(flag: &str) -> bool {
    matches!(switch(flag.trim()), Some(("headless", _)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_others_in_needs_to_be_meant() {
        for flag in [
            "--remote-debugging-address=0.0.0.0",
            "-remote-debugging-address=0.0.0.0",
            "--remote-allow-origins=*",
            "--remote-allow-origins=http://a,*",
            "--remote-allow-origins",
            "--disable-web-security",
            " --Disable-Web-Security",
            "--user-data-dir=/x",
        ] {
            let reason = check(flag, false).unwrap_err();
            assert!(reason.ends_with("leave it out, or set `unsafeFlags` if that is meant"), "{flag}: {reason}");
            assert_eq!(check(flag, true), Ok(()), "{flag}");
        }
    }

    #[test]
    fn what_is_ours_cannot_be_given_and_the_rest_can() {
        for flag in ["--remote-debugging-port=1", "--remote-debugging-pipe"] {
            assert!(check(flag, true).is_err(), "{flag}");
        }
        for flag in [
            "--mute-audio",
            "--no-sandbox",
            "about:blank",
            "--remote-allow-origins=http://127.0.0.1:1",
            "--lang=de",
            "-",
        ] {
            assert_eq!(check(flag, false), Ok(()), "{flag}");
        }
    }

    #[test]
    fn flags_are_known_in_either_spelling() {
        assert!(is_no_sandbox("--no-sandbox") && is_no_sandbox("-no-sandbox") && !is_no_sandbox("no-sandbox"));
        assert!(is_headless("--headless=new") && !is_headless("--headless-mode"));
    }
}
