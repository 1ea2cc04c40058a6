//! Scripts that a grammar makes up, and others that grow out of them by accident.

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit
    }

    pub(crate) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Programs that only write down that they were started.
pub(crate) const STUBS: [&str; 10] = ["ls", "git", "npm", "rm", "wc", "curl", "make", "tail", "grep", "sort"];

/// A script; `portable` ones mean the same to every shell.
pub(crate) fn script(dice: &mut Dice, portable: bool) -> String {
    let mut writer = Writer { dice, portable, documents: Vec::new() };
    let mut text = String::new();
    for _ in 0..=writer.dice.below(2) {
        text.push_str(&writer.item(2));
        text.push_str(&writer.line_end());
    }
    text
}

struct Writer<'d> {
    dice: &'d mut Dice,
    portable: bool,
    documents: Vec<String>,
}

impl Writer<'_> {
    fn line_end(&mut self) -> String {
        let alone = ["\n", " \n", "\n\n", " # done; rm x\n"].as_slice();
        let before_a_document = ["\n", " # `rm`\n"].as_slice();
        let choices = if self.documents.is_empty() { alone } else { before_a_document };
        let mut text = self.dice.pick(choices).to_owned();
        text.extend(self.documents.drain(..));
        text
    }

    /// A separator inside of a construct: a semicolon, or a line end with what waits for it.
    fn separator(&mut self) -> String {
        if self.documents.is_empty() && self.dice.below(2) == 0 { "; ".to_owned() } else { self.line_end() }
    }

    fn list(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.dice.below(3) / 2 {
            text.push_str(&self.item(depth));
            text.push_str(&self.separator());
        }
        text
    }

    fn item(&mut self, depth: usize) -> String {
        let mut text = self.pipeline(depth);
        for _ in 0..self.dice.below(8) / 6 {
            text.push_str(self.dice.pick(&[" && ", " || ", "&&", "||"]));
            text.push_str(&self.pipeline(depth));
        }
        text
    }

    fn pipeline(&mut self, depth: usize) -> String {
        let mut text = self.dice.pick(&["", "", "", "! "]).to_owned();
        text.push_str(&self.command(depth));
        for _ in 0..self.dice.below(4) / 3 {
            let bar = if self.portable { " | " } else { self.dice.pick(&[" | ", "|", " |& "]) };
            text.push_str(bar);
            text.push_str(&self.command(depth));
        }
        text
    }

    fn command(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.simple(0);
        }
        let depth = depth - 1;
        let kind = self.dice.below(16);
        // A file that is not there, and others that are.
        let redirects = ["", "", "", "", " </dev/null", " 2>/dev/null", " <nowhere", " 2>&7"];
        let redirect = if kind <= 6 { self.dice.pick(&redirects) } else { "" };
        self.construct(kind, depth) + redirect
    }

    fn construct(&mut self, kind: usize, depth: usize) -> String {
        match kind {
            0 => format!("{{ {}}}", self.list(depth)),
            1 => format!("({})", self.list(depth)),
            2 => format!("if {}then {}fi", self.list(depth), self.list(depth)),
            3 => format!("if {}then {}else {}fi", self.list(depth), self.list(depth), self.list(depth)),
            4 => format!("for i in {} {}; do {}done", self.word(depth), self.word(depth), self.list(depth)),
            5 => format!(
                "case {} in {}) {};; (*|b) {};; esac",
                self.word(0),
                self.dice.pick(&["a", "'x'", "a|b", "[ab]*"]),
                self.simple(0),
                self.simple(0)
            ),
            6 => format!("while false; do {}done", self.list(depth)),
            7 => format!("fun() {{ {}}}; fun", self.list(depth)),
            8 => {
                format!("sh -c '{}'", self.dice.pick(&["ls a; rm b", "git x | wc", "ls \"a b\" && npm", "x=rm; ls $x"]))
            }
            9 if !self.portable => format!("[[ {} == {} ]]", self.word(0), self.word(0)),
            10 => format!("timeout 5 {}", self.plain()),
            11 => format!("env CI=1 {}", self.plain()),
            _ => self.simple(depth),
        }
    }

    fn plain(&mut self) -> String {
        format!("{} {}", self.dice.pick(&STUBS), self.word(0))
    }

    fn simple(&mut self, depth: usize) -> String {
        let mut text = String::new();
        if self.dice.below(5) == 0 {
            let value = self.word(0);
            text.extend([self.dice.pick(&["x", "y", "CI"]), "=", &value, " "]);
            if self.dice.below(2) == 0 {
                return text;
            }
        }
        if self.dice.below(12) == 0 {
            text.push_str("2>&1 ");
        }
        let name = self.dice.pick(&STUBS);
        let spelt = match self.dice.below(6) {
            0 => format!("'{name}'"),
            1 => format!("{}\\{}", &name[..1], &name[1..]),
            2 => format!("{}\"{}\"", &name[..1], &name[1..]),
            3 => format!("{}\\\n{}", &name[..1], &name[1..]),
            _ => name.to_owned(),
        };
        text.push_str(&spelt);
        for _ in 0..self.dice.below(4) {
            text.push_str(self.dice.pick(&[" ", "  ", "\t", " \\\n "]));
            text.push_str(&self.word(depth));
        }
        match self.dice.below(14) {
            0 => text.push_str(" >/dev/null"),
            1 => text.push_str(" 2>/dev/null"),
            2 => text.push_str(" </dev/null"),
            3 if !self.portable => text.push_str(" <<< \"$x\""),
            4 | 5 => self.document(&mut text),
            _ => {}
        }
        text
    }

    fn document(&mut self, text: &mut String) {
        let end = self.dice.pick(&["EOF", "'EOF'", "\\END", "-\"E F\"", "-EOF"]).to_owned();
        let body = self.dice.pick(&[
            "rm a\n",
            "$(ls doc)\n",
            "`ls old`\n",
            "it's \"x\n",
            "\\$(rm x) \\\\ \\x\n",
            "",
            "${x:-y} $y\n\nEO F\n",
        ]);
        text.extend([" <<", &end]);
        let plain: String = end.trim_start_matches('-').chars().filter(|c| !"'\"\\".contains(*c)).collect();
        let tab = if end.starts_with('-') { "\t" } else { "" };
        self.documents.push(format!("{tab}{body}{tab}{plain}\n"));
    }

    fn word(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.dice.below(2) {
            text.push_str(&self.part(depth));
        }
        text
    }

    fn part(&mut self, depth: usize) -> String {
        let plain = [
            "a",
            "-l",
            "b.c",
            "'a b'",
            "\"a  b\"",
            "\\$x",
            "'$(rm x)'",
            "\"\\$(rm)\"",
            "''",
            "a\\ b",
            "#",
            "a#b",
            "{}",
            "x=1",
            "if",
            "]",
            "!",
        ];
        match self.dice.below(if depth > 0 { 13 } else { 10 }) {
            0 => self.dice.pick(&["$x", "\"$x\"", "${x}", "\"${y}z\"", "$?", "\"$@\"", "$#", "$"]).to_owned(),
            1 => self
                .dice
                .pick(&["${x:-d}", "\"${x:-d e}\"", "${x#a}", "\"${x%%b*}\"", "${#x}", "${x:+'q r'}"])
                .to_owned(),
            2 => self.dice.pick(&["*", "?", "[ab]*", "f*e", "'*'", "\\*"]).to_owned(),
            3 if !self.portable => self
                .dice
                .pick(&[
                    "{a,b}",
                    "{1..3}",
                    "x{,y}",
                    "{a,'b c'}",
                    "$'a\\tb'",
                    "${x//a/b}",
                    "${x:0:1}",
                    "{a}",
                    "a{b,c}{d,e}",
                ])
                .to_owned(),
            4 => self.dice.pick(&["~", "$((1+2))", "\"$((3*4))\""]).to_owned(),
            10 => format!("$({})", self.enclosed()),
            11 => format!("\"$({})\"", self.enclosed()),
            12 => format!("`{}`", self.dice.pick(&["ls in", "ls 'in q'", "npm \\`git deep\\`", "wc \\$x"])),
            _ => self.dice.pick(&plain).to_owned(),
        }
    }

    /// What stands in a substitution, with its own here-documents and none of ours.
    fn enclosed(&mut self) -> String {
        let outer = std::mem::take(&mut self.documents);
        let waits = !outer.is_empty();
        let mut text = if waits { format!("{} in", self.dice.pick(&STUBS)) } else { self.item(1) };
        if !self.documents.is_empty() {
            text.push_str(&self.line_end());
        }
        self.documents = outer;
        text
    }
}

/// A script in which something has gone wrong.
pub(crate) fn mutated(dice: &mut Dice, script: &str) -> String {
    const BITS: [&str; 36] = [
        "'", "\"", "\\", "$", "`", "(", ")", "{", "}", ";", "&", "|", "<", ">", "\n", " ", "#", "$(", "${", "<<E\n",
        "&&", "||", "!", "if ", "fi", "do", "done", "ls", "\\\n", "\t", "=", "[", "]", "*", "~", "$'",
    ];
    let mut text: Vec<char> = script.chars().collect();
    for _ in 0..=dice.below(3) {
        let at = dice.below(text.len() + 1);
        match dice.below(4) {
            0 if at < text.len() => drop(text.remove(at)),
            1 if text.len() > 2 => {
                let from = dice.below(text.len());
                let to = (from + 1 + dice.below(8)).min(text.len());
                let piece: Vec<char> = text[from..to].to_vec();
                text.splice(at..at, piece);
            }
            _ => drop(text.splice(at..at, dice.pick(&BITS).chars())),
        }
    }
    text.into_iter().collect()
}
