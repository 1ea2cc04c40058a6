//! Real shells with start-up files of all kinds, good and bad.

use super::{keeper::Keeper, *};

/// A user of their own: a home directory with these files, and nothing of this machine's user.
struct Person {
    home: tempfile::TempDir,
    asked: Asked,
}

fn person(shell: &str, files: &[(&str, &str)]) -> Person {
    let home = tempfile::tempdir().unwrap();
    let base = Variables::from(
        [("HOME", home.path().to_str().unwrap()), ("PATH", "/usr/bin:/bin"), ("KEPT", "as it was")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let person = Person { home, asked: Asked { shell: PathBuf::from(shell), base, deadline: Duration::from_secs(10) } };
    for (name, text) in files {
        person.write(name, text);
    }
    person
}

impl Person {
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    fn asked_within(mut self, deadline: Duration) -> Self {
        self.asked.deadline = deadline;
        self
    }

    async fn environment(&self) -> LoginEnvironment {
        self.asked.environment().await
    }
}

const BASH: &str = "/bin/bash";
const SH: &str = "/bin/sh";

#[tokio::test]
async fn variables_of_the_profile_and_of_the_daemon_are_there() {
    for shell in [BASH, SH] {
        let environment = person(shell, &[(".profile", "export FRUIT='a pear\nand a plum = two'")]).environment().await;
        assert_eq!(environment.get("FRUIT"), Some("a pear\nand a plum = two"), "{shell}");
        assert_eq!(environment.get("KEPT"), Some("as it was"));
        assert_eq!(environment.warning, None);
    }
}

#[tokio::test]
async fn banners_before_and_hooks_after_do_no_harm() {
    let noise = "echo Welcome; echo X=1; printf 'A=1\\0B=2\\0'; trap 'echo leaving=yes' EXIT\n\
                 trap 'echo hook' DEBUG; env() { echo none; }; alias printf=false; export FRUIT=pear";
    let person = person(BASH, &[(".bash_profile", noise), (".bash_logout", "echo bye; sleep 100")]);
    let environment = person.environment().await;
    assert_eq!(environment.warning, None);
    assert_eq!(environment.get("FRUIT"), Some("pear"));
    for name in ["X", "A", "B", "leaving"] {
        assert_eq!(environment.get(name), None, "{name}");
    }
    assert!(environment.variables.keys().all(|name| !name.contains(char::is_whitespace)), "{environment:?}");
}

#[tokio::test]
async fn whatever_a_profile_prints_or_leaves_running_does_no_harm() {
    for odd in [
        "head -c 20M /dev/zero | tr '\\0' x; head -c 20M /dev/zero | tr '\\0' x >&2",
        "printf 'caf\\377\\376\\n'; export BAD=$(printf '\\377')",
        "(while :; do echo again; sleep 0.01; done) & sleep 1000 &",
    ] {
        let environment = person(SH, &[(".profile", &format!("{odd}\nexport FRUIT=pear"))]).environment().await;
        assert_eq!((environment.get("FRUIT"), &environment.warning), (Some("pear"), &None), "{odd}");
        assert_eq!(environment.get("BAD"), None);
    }
}

#[tokio::test]
async fn what_only_interactive_shells_read_is_there() {
    let bashrc = "case $- in *i*) ;; *) return;; esac\nexport PATH=/opt/node/bin:$PATH";
    let environment = person(BASH, &[(".profile", ". ~/.bashrc"), (".bashrc", bashrc)]).environment().await;
    assert!(environment.get("PATH").unwrap().starts_with("/opt/node/bin:"), "{:?}", environment.get("PATH"));
}

#[tokio::test]
async fn a_bashrc_that_no_profile_reads_is_read_once() {
    let environment = person(BASH, &[(".bashrc", "export TIMES=x$TIMES")]).environment().await;
    assert_eq!(environment.get("TIMES"), Some("x"));
    let files = [(".profile", ". ~/.bashrc"), (".bashrc", "export TIMES=x$TIMES")];
    assert_eq!(person(BASH, &files).environment().await.get("TIMES"), Some("x"));
}

#[tokio::test]
async fn an_interactive_part_that_hangs_or_leaves_costs_only_itself() {
    let profile = "export FRUIT=pear; . ~/.bashrc";
    for end in ["exec cat", "exit 3", "while :; do :; done"] {
        let bashrc = format!("case $- in *i*) {end};; esac");
        let person = person(BASH, &[(".profile", profile), (".bashrc", &bashrc)]);
        let environment = person.asked_within(Duration::from_secs(4)).environment().await;
        assert_eq!((environment.get("FRUIT"), &environment.warning), (Some("pear"), &None), "{end}");
    }
}

#[tokio::test]
async fn a_profile_that_exits_leaves_the_daemons_environment_and_a_warning() {
    let environment = person(BASH, &[(".profile", "export FRUIT=pear; exit 3")]).environment().await;
    assert_eq!(environment.get("KEPT"), Some("as it was"));
    assert_eq!(environment.get("FRUIT"), None);
    assert_eq!(
        environment.warning.unwrap(),
        "the user's environment is unknown, the daemon's own is used instead: `/bin/bash -l -i` ended without an \
         answer, `/bin/bash -l` ended without an answer; look for what waits, exits or replaces the shell in its \
         start-up files"
    );
}

#[tokio::test]
async fn a_profile_that_loops_for_ever_ends_at_the_deadline() {
    let person = person(SH, &[(".profile", "while :; do :; done")]).asked_within(Duration::from_secs(1));
    let started = Instant::now();
    let environment = person.environment().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(environment.get("KEPT"), Some("as it was"));
    assert!(environment.warning.unwrap().contains("`/bin/sh -l -i` gave no answer within 0.7 s"));
}

#[tokio::test]
async fn a_shell_that_is_not_there_is_a_warning() {
    let environment = person("/nowhere/bash", &[]).environment().await;
    assert!(environment.warning.unwrap().contains("`/nowhere/bash -l` could not be started (No such file"));
}

#[tokio::test]
async fn an_answer_counts_whatever_the_exit_status() {
    let files = [(".profile", "export FRUIT=pear; set -e; false || true")];
    assert_eq!(person(SH, &files).environment().await.get("FRUIT"), Some("pear"));
    let output = b"hello__login_environment_begin_7A=1\0B=2\0noise__login_environment_end_7 bye";
    let markers = Markers { stem: "__login_environment_", id: "7".to_owned() };
    assert_eq!(parse(markers.between(output).unwrap()).into_iter().collect::<Vec<_>>().len(), 2);
}

#[tokio::test]
async fn what_the_shell_notes_for_itself_and_the_daemons_secrets_are_not_taken_over() {
    let environment = person(BASH, &[(".profile", "cd /tmp; export OCTAVUS_API_KEY=s COMPUTER_TOKEN=s")]);
    let environment = environment.environment().await;
    for name in ["_", "SHLVL", "PWD", "OLDPWD", "OCTAVUS_API_KEY", "COMPUTER_TOKEN"] {
        assert_eq!(environment.get(name), None, "{name}");
    }
}

#[test]
fn this_daemons_own_variables_do_not_reach_the_shell() {
    let asked = Asked::this_user();
    assert!(asked.base.keys().all(|name| !is_private(name)));
    assert!(asked.base.contains_key("HOME"));
}

#[test]
fn values_are_not_printed_for_debugging() {
    let variables = Variables::from([("TOKEN".to_owned(), "hunter2".to_owned())]);
    let printed = format!("{:?}", LoginEnvironment { variables, asked: None, warning: None });
    assert_eq!(printed, r#"LoginEnvironment { variables: ["TOKEN"], asked: None, warning: None }"#);
}

/// Asks as [`login`] does, counting how often the shell is started: each start adds a letter to a file.
struct Counted {
    person: Person,
    keeper: &'static Keeper,
}

const COUNTING: &str = "printf x >> ~/starts; export N=1";

impl Counted {
    fn new(recheck: Duration) -> Self {
        Self::growing_old_after(recheck, Duration::from_secs(3600))
    }

    fn growing_old_after(recheck: Duration, old: Duration) -> Self {
        // As long as the program, as the real one.
        let keeper = Box::leak(Box::new(Keeper::new(recheck, old)));
        Self { person: person(SH, &[(".profile", COUNTING)]), keeper }
    }

    fn asked(&self) -> impl FnOnce() -> Asked + Send + 'static + use<> {
        let Asked { shell, base, deadline } = &self.person.asked;
        let asked = Asked { shell: shell.clone(), base: base.clone(), deadline: *deadline };
        || asked
    }

    async fn get(&self) -> Arc<LoginEnvironment> {
        self.keeper.get(self.asked()).await
    }

    /// Looks without waiting until it says so of the variable.
    async fn comes_to_say(&self, value: &str) {
        let said = async {
            while self.keeper.latest(self.asked()).is_none_or(|latest| latest.get("N") != Some(value)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), said).await.expect("it is asked for again");
    }

    fn starts(&self) -> usize {
        std::fs::read(self.person.home.path().join("starts")).unwrap().len()
    }
}

#[tokio::test]
async fn many_who_ask_at_once_start_one_shell() {
    let counted = Counted::new(Duration::ZERO);
    let answers = futures_util::future::join_all((0..20).map(|_| counted.get())).await;
    assert_eq!(counted.starts(), 1);
    assert!(answers.iter().all(|answer| Arc::ptr_eq(answer, &answers[0])));
}

#[tokio::test]
async fn a_start_up_file_that_changes_or_appears_makes_it_ask_again() {
    let counted = Counted::new(Duration::ZERO);
    assert_eq!(counted.get().await.get("N"), Some("1"));
    counted.person.write(".profile", &format!("{COUNTING}22"));
    assert_eq!(counted.get().await.get("N"), Some("122"));
    counted.person.write(".zshrc", "");
    counted.get().await;
    counted.get().await;
    assert_eq!(counted.starts(), 3);
}

#[tokio::test]
async fn a_fresh_answer_is_not_checked() {
    let counted = Counted::new(Duration::from_secs(3600));
    counted.get().await;
    counted.person.write(".profile", "export N=2");
    assert_eq!(counted.get().await.get("N"), Some("1"));
}

#[tokio::test]
async fn start_up_files_whose_place_a_start_up_file_names_are_watched() {
    let counted = Counted::new(Duration::ZERO);
    counted.person.write(".profile", &format!("{COUNTING}; export ZDOTDIR=$HOME/zsh"));
    counted.get().await;
    std::fs::create_dir(counted.person.home.path().join("zsh")).unwrap();
    counted.person.write("zsh/.zshrc", "export A=1");
    counted.get().await;
    assert_eq!(counted.starts(), 2);
}

#[tokio::test]
async fn who_does_not_wait_gets_the_old_answer_while_there_is_a_new_one_to_be_had() {
    let counted = Counted::new(Duration::ZERO);
    assert_eq!(counted.keeper.latest(counted.asked()), None);
    counted.get().await;
    counted.person.write(".profile", &format!("{COUNTING}22"));
    assert_eq!(counted.keeper.latest(counted.asked()).unwrap().get("N"), Some("1"));
    counted.comes_to_say("122").await;
    assert_eq!(counted.starts(), 2);
}

#[tokio::test]
async fn an_old_answer_serves_while_it_is_asked_for_again() {
    let counted = Counted::growing_old_after(Duration::from_secs(3600), Duration::ZERO);
    counted.get().await;
    counted.person.write(".profile", "export N=2");
    assert_eq!(counted.get().await.get("N"), Some("1"));
    counted.comes_to_say("2").await;
}

#[tokio::test]
async fn an_answer_that_counts_for_nothing_any_more_is_asked_for_again() {
    let counted = Counted::new(Duration::from_secs(3600));
    counted.get().await;
    counted.keeper.outdate();
    counted.get().await;
    counted.get().await;
    assert_eq!(counted.starts(), 2);
}
