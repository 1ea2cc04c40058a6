//! Chrome, and whether its sandbox can work.

use std::path::Path;

use super::{Finding, Need, programs};
use crate::{
    chrome,
    config::{Loaded, ProgramConfig},
    environment::LoginEnvironment,
    process,
};

/// What the config wants of Chrome.
struct Wanted {
    /// Whether one is launched that is looked for.
    any: Need,
    /// Whether one is launched with its sandbox.
    sandboxed: Need,
    /// Whether there are some, and all do without.
    all_without: bool,
}

impl Wanted {
    fn by(loaded: Option<&Loaded>) -> Self {
        let programs = loaded.into_iter().flat_map(|loaded| &loaded.config.programs);
        let chromes: Vec<_> = programs
            .filter_map(|(_, program)| match program {
                ProgramConfig::Chrome(options) => Some(options),
                ProgramConfig::Command(_) => None,
            })
            .collect();
        let with = chromes.iter().filter(|options| !options.no_sandbox).count();
        Self {
            any: Need::of(chromes.iter().any(|options| options.chrome_path.is_none())),
            sandboxed: Need::of(with > 0),
            all_without: with == 0 && !chromes.is_empty(),
        }
    }
}

pub(super) async fn findings(login: &LoginEnvironment, loaded: Option<&Loaded>) -> Vec<Finding> {
    let (wanted, known) = (Wanted::by(loaded), login.clone());
    let found = process::blocking(move || chrome::find(None, &known)).await;
    let program = match found {
        Some(Ok(program)) => program,
        Some(Err(error)) => {
            let said = error.to_string();
            let (found, cure) = said.split_once(": ").unwrap_or((&said, "install one (google.com/chrome)"));
            return vec![Finding::amiss(wanted.any, "chrome", found, cure)];
        }
        None => return Vec::new(),
    };
    let version = match programs::version(&program, login).await {
        Ok(version) => Finding::ok("chrome", format!("{version} at {}", program.display())),
        Err(reason) => Finding::amiss(wanted.any, "chrome", reason, "install it anew, or another one"),
    };
    let hindrance = match hindrance(&program) {
        None => programs::refuses("unshare", &["--user", "true"], login).await,
        some => some,
    };
    vec![version, sandbox(&wanted, hindrance)]
}

const CURE: &str = "start Chrome as an ordinary user on a system with user namespaces, or set `noSandbox` if you trust \
                    every page that it opens";

fn sandbox(wanted: &Wanted, hindrance: Option<String>) -> Finding {
    let check = "chrome sandbox";
    match hindrance {
        None => Finding::ok(check, "possible"),
        Some(why) if wanted.all_without => {
            Finding::ok(check, format!("not possible ({why}), nor wanted: `noSandbox` is set"))
        }
        Some(why) => Finding::amiss(wanted.sandboxed, check, format!("not possible: {why}"), CURE),
    }
}

/// What keeps its sandbox from working.
#[cfg(target_os = "linux")]
fn hindrance(program: &Path) -> Option<String> {
    if nix::unistd::Uid::effective().is_root() {
        return Some("we are root".to_owned());
    }
    let forbidden = Namespaces::here().forbidden()?;
    (!has_helper(program)).then(|| forbidden.to_owned())
}

/// Elsewhere the system has what it takes.
#[cfg(not(target_os = "linux"))]
fn hindrance(_: &Path) -> Option<String> {
    None
}

/// What the system says of namespaces for users; what it does not know of it says nothing of.
#[cfg(target_os = "linux")]
struct Namespaces {
    most: Option<u64>,
    /// Debian's switch.
    unprivileged: Option<u64>,
    /// Ubuntu's: only programs with a profile may.
    restricted: Option<u64>,
}

#[cfg(target_os = "linux")]
impl Namespaces {
    fn here() -> Self {
        let number = |name: &str| std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok();
        Self {
            most: number("user/max_user_namespaces"),
            unprivileged: number("kernel/unprivileged_userns_clone"),
            restricted: number("kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// Why a user may have none.
    fn forbidden(&self) -> Option<&'static str> {
        match self {
            Self { most: None, .. } => Some("this kernel has no user namespaces"),
            Self { most: Some(0), .. } => Some("user namespaces are switched off (user.max_user_namespaces is 0)"),
            Self { unprivileged: Some(0), .. } => {
                Some("users may have no namespaces (kernel.unprivileged_userns_clone is 0)")
            }
            Self { restricted: Some(1..), .. } => {
                Some("only programs with an AppArmor profile may have user namespaces, and this one may have none")
            }
            _ => None,
        }
    }
}

/// Whether the helper lies beside it that does with root's rights what it may not do itself.
#[cfg(target_os = "linux")]
fn has_helper(program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let helper = real.with_file_name("chrome-sandbox");
    std::fs::metadata(helper).is_ok_and(|found| found.uid() == 0 && found.mode() & 0o4000 != 0)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn what_forbids_namespaces_to_users_is_told() {
        let of = |most, unprivileged, restricted| Namespaces { most, unprivileged, restricted }.forbidden();
        assert_eq!(of(Some(1000), None, None), None);
        assert_eq!(of(Some(1000), Some(1), Some(0)), None);
        for (forbidden, names) in [
            (of(None, None, None), "kernel"),
            (of(Some(0), None, None), "max_user_namespaces"),
            (of(Some(9), Some(0), None), "unprivileged_userns_clone"),
            (of(Some(9), Some(1), Some(1)), "AppArmor"),
        ] {
            assert!(forbidden.is_some_and(|why| why.contains(names)), "{forbidden:?}");
        }
    }
}
