//! `computer completions` and `computer man`: made from the definitions of the verbs, so that none is missing.

use clap::{Command, CommandFactory};
use clap_complete::aot;

use super::answer;

/// Print what lets a shell complete this program's arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell that completes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn completions(args: &Completions) -> anyhow::Result<u8> {
    let shell = match args.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let mut text = Vec::new();
    aot::generate(shell, &mut super::Args::command(), "computer", &mut text);
    answer(&String::from_utf8(text)?)?;
    Ok(0)
}

/// Prints one page: the program, and after it a section for each verb.
pub(super) fn man() -> anyhow::Result<u8> {
    let mut program = super::Args::command();
    program.build();
    let mut page = Vec::new();
    let whole = clap_mangen::Man::new(program.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    page.extend(overview(&whole)?.into_bytes());
    for verb in program.get_subcommands().filter(|verb| verb.get_name() != "help") {
        section(verb, &mut page)?;
    }
    whole.render_version_section(&mut page)?;
    answer(&String::from_utf8(page)?)?;
    Ok(0)
}

/// The verbs in a line each. They have no pages of their own, but sections of this one.
fn overview(whole: &clap_mangen::Man) -> anyhow::Result<String> {
    let mut section = Vec::new();
    whole.render_subcommands_section(&mut section)?;
    let section = String::from_utf8(section)?;
    let lines =
        section.lines().map(|line| match line.strip_prefix("computer\\-").and_then(|line| line.strip_suffix("(1)")) {
            Some(verb) => format!("\\fBcomputer {verb}\\fR\n"),
            None => format!("{line}\n"),
        });
    Ok(lines.collect())
}

/// What there is to say of one verb, and of those below it, under a head of its own.
fn section(verb: &Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut parts = Vec::new();
    let manual = clap_mangen::Man::new(verb.clone());
    manual.render_synopsis_section(&mut parts)?;
    manual.render_description_section(&mut parts)?;
    manual.render_options_section(&mut parts)?;
    let name = verb.get_bin_name().unwrap_or(verb.get_name()).to_uppercase();
    // Its heads stand one lower than those of the page.
    let parts = String::from_utf8(parts)?.replace(".SH ", ".SS ");
    page.extend_from_slice(format!(".SH \"{name}\"\n{parts}").as_bytes());
    verb.get_subcommands().filter(|below| below.get_name() != "help").try_for_each(|below| section(below, page))
}
