use std::time::Instant;

use serde_json::{Value, json};

use super::*;

/// An entry of a test: what an [`Offer`] borrows.
struct Entry {
    namespace: Namespace,
    tools: Vec<Tool>,
    filter: ToolFilter,
    status: bool,
    agent_control: bool,
}

fn entry(namespace: &str, tools: &[&str]) -> Entry {
    let definition = |name: &&str| json!({ "name": name, "description": "d", "inputSchema": { "type": "object", "properties": {} } });
    Entry {
        namespace: namespace.parse().unwrap(),
        tools: tools.iter().map(|name| tool(name, &definition(name).to_string())).collect(),
        filter: ToolFilter::default(),
        status: false,
        agent_control: true,
    }
}

fn tool(name: &str, definition: &str) -> Tool {
    let raw = RawValue::from_string(definition.to_owned()).unwrap();
    Tool { name: name.to_owned(), raw: raw.into(), repeatable: false }
}

impl Entry {
    fn renaming(mut self, own: &str, shown: &str) -> Self {
        self.filter.rename.push((own.to_owned(), shown.to_owned()));
        self
    }

    fn with_status(self) -> Self {
        Self { status: true, ..self }
    }

    fn offer(&self) -> Offer<'_> {
        Offer {
            namespace: &self.namespace,
            tools: &self.tools,
            filter: &self.filter,
            status: self.status,
            agent_control: self.agent_control,
        }
    }
}

fn catalog(entries: &[Entry]) -> Catalog {
    catalog_with(entries, 64, SchemaProfile::Safe)
}

fn catalog_with(entries: &[Entry], limit: usize, profile: SchemaProfile) -> Catalog {
    let offers: Vec<Offer<'_>> = entries.iter().map(Entry::offer).collect();
    Catalog::build(&offers, limit, profile)
}

fn names(catalog: &Catalog) -> Vec<&str> {
    catalog.listed().iter().map(|listed| listed.name.as_str()).collect()
}

fn own_name<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a str> {
    match &catalog.get(name)?.route.target {
        Target::Tool { own_name, .. } => Some(own_name),
        Target::Status => None,
    }
}

#[test]
fn tools_of_all_entries_are_sorted_by_name_and_found_by_it() {
    let catalog = catalog(&[entry("web", &["search", "fetch"]), entry("files", &["read file", "b__c"])]);
    let hashed = name::fit(&"files".parse().unwrap(), "read file", 64).name;
    assert_eq!(names(&catalog), ["files__b__c", hashed.as_str(), "web__fetch", "web__search"]);
    for (name, namespace, own) in
        [("files__b__c", "files", "b__c"), (&hashed, "files", "read file"), ("web__fetch", "web", "fetch")]
    {
        let listed = catalog.get(name).unwrap();
        assert_eq!(listed.name, name);
        assert_eq!(listed.route.namespace.as_str(), namespace);
        assert_eq!(listed.route.target, Target::Tool { own_name: own.to_owned(), repeatable: false });
    }
    assert!(catalog.get("web__nothing").is_none() && catalog.get("fetch").is_none());
}

#[test]
fn the_order_of_offers_does_not_matter() {
    let one = catalog(&[entry("a", &["x", "y"]), entry("b", &["x"])]);
    let other = catalog(&[entry("b", &["x"]), entry("a", &["y", "x"])]);
    assert_eq!(one, other);
}

#[test]
fn another_definition_or_route_makes_another_catalog_and_a_problem_does_not() {
    let one = catalog(&[entry("a", &["x"])]);
    let mut changed = entry("a", &["x"]);
    changed.tools[0] = tool("x", r#"{"name":"x","description":"e","inputSchema":{"type":"object","properties":{}}}"#);
    assert_ne!(one, catalog(&[changed]));
    let mut repeatable = entry("a", &["x"]);
    repeatable.tools[0].repeatable = true;
    assert_ne!(one, catalog(&[repeatable]));
    let doubled = catalog(&[entry("a", &["x", "x"])]);
    assert_eq!(one, doubled);
}

#[test]
fn a_name_with_dashes_for_underscores_is_found_when_only_one_can_be_meant() {
    let catalog = catalog(&[entry("web-search", &["read_page", "a-b", "a_b"])]);
    assert_eq!(own_name(&catalog, "web_search__read-page"), Some("read_page"));
    assert_eq!(own_name(&catalog, "web_search__a_b"), None);
    assert_eq!(own_name(&catalog, "web-search__a_b"), Some("a_b"));
}

#[test]
fn of_a_tool_that_is_listed_twice_the_first_counts() {
    let mut twice = entry("a", &["x", "x"]);
    twice.tools[0].repeatable = true;
    let catalog = catalog(&[twice]);
    assert_eq!(names(&catalog), ["a__x"]);
    assert_eq!(catalog.listed()[0].route.target, Target::Tool { own_name: "x".to_owned(), repeatable: true });
    assert_eq!(catalog.problems(&"a".parse().unwrap()), ["tool `x` is listed twice: the first counts"]);
    assert!(catalog.problems(&"b".parse().unwrap()).is_empty());
}

#[test]
fn a_new_name_that_is_taken_gives_both_a_hash() {
    let catalog = catalog(&[entry("a", &["x", "y", "z"]).renaming("y", "x").renaming("z", "y")]);
    let a: Namespace = "a".parse().unwrap();
    let hashed = |own: &str| name::Bearer { namespace: &a, shown: "x", own }.hashed(64);
    assert_ne!(hashed("x"), hashed("y"));
    assert_eq!(own_name(&catalog, &hashed("x")), Some("x"));
    assert_eq!(own_name(&catalog, &hashed("y")), Some("y"));
    assert_eq!(own_name(&catalog, "a__y"), Some("z"));
    assert_eq!(catalog.listed().len(), 3);
}

#[test]
fn tools_whose_names_collide_all_get_a_hash_in_whatever_order_they_come() {
    let files: Namespace = "files".parse().unwrap();
    let changed = name::fit(&files, "read file", 64).name;
    // A tool that bears the hashed name of another, and one that bears the hashed name of that one.
    let twin = name::guess(&changed).1.to_owned();
    let hashed_twin = name::hashed(&files, &twin, 64);
    let cousin = name::guess(&hashed_twin).1.to_owned();
    let mut tools = ["read file", twin.as_str(), cousin.as_str()];
    for _ in 0..3 {
        tools.rotate_left(1);
        let catalog = catalog(&[entry("files", &tools)]);
        assert_eq!(catalog.listed().len(), 3);
        assert_eq!(own_name(&catalog, &changed), Some("read file"));
        assert_eq!(own_name(&catalog, &hashed_twin), Some(twin.as_str()));
        assert_eq!(own_name(&catalog, &name::hashed(&files, &cousin, 64)), Some(cousin.as_str()));
    }
}

#[test]
fn names_keep_to_the_limit_and_the_full_name_is_suggested() {
    let long = "a_tool_with_a_name_that_is_far_too_long_for_any_model";
    let catalog = catalog_with(&[entry("server", &[long])], 48, SchemaProfile::Safe);
    assert_eq!(catalog.listed()[0].name.len(), 48);
    assert!(catalog.listed()[0].name.starts_with("server__a_tool_with_a_name_that_is_far_"));
    assert_eq!(catalog.nearest(&format!("server__{long}"), 3), names(&catalog));
}

#[test]
fn where_gemini_counts_a_name_begins_with_a_letter_or_an_underscore() {
    let entries = || [entry("7zip", &["list", &"x".repeat(80)]), entry("-o", &["list"])];
    for profile in [SchemaProfile::Safe, SchemaProfile::Gemini] {
        let catalog = catalog_with(&entries(), 64, profile);
        assert_eq!(names(&catalog)[..2], ["_-o__list", "_7zip__list"]);
        assert_eq!(names(&catalog)[2].len(), 64);
        for name in ["_7zip__list", "7zip__list", "-o__list", "_-o__list"] {
            assert_eq!(own_name(&catalog, name), Some("list"), "{name}");
        }
        assert_eq!(catalog.problems(&"7zip".parse().unwrap()).len(), 1);
    }
    let catalog = catalog_with(&entries(), 64, SchemaProfile::OpenAi);
    assert_eq!(names(&catalog)[..2], ["-o__list", "7zip__list"]);
    assert!(catalog.problems(&"7zip".parse().unwrap()).is_empty());
}

#[test]
fn a_definition_keeps_every_byte_but_its_name() {
    let mut files = entry("files", &[]);
    files.tools.push(tool(
        "read",
        r#"{"_meta":{"n": 1.0,"big":1e400,"\u0061":[ ]},"name":"read","inputSchema":{"type":"object","properties":{ "a":{"maximum":1E5}}},"description":"d\u00e4","x":null}"#,
    ));
    assert_eq!(
        catalog(&[files]).listed()[0].definition.get(),
        r#"{"_meta":{"n": 1.0,"big":1e400,"\u0061":[ ]},"name":"files__read","inputSchema":{"type":"object","properties":{ "a":{"maximum":1E5}}},"description":"d\u00e4","x":null}"#
    );
}

#[test]
fn a_description_comes_from_the_filter_or_the_tool_or_what_else_it_says() {
    let mut files = entry("files", &["a"]);
    files.filter.describe.push(("a".to_owned(), "better \"d\"".to_owned()));
    files.tools.push(tool("b", r#"{"name":"b","title":"Bee","inputSchema":{"type":"object","properties":{}}}"#));
    files.tools.push(tool("c", r#"{"description":7,"name":"c","inputSchema":{"type":"object","properties":{}}}"#));
    let catalog = catalog(&[files]);
    let definitions: Vec<&str> = catalog.listed().iter().map(|listed| listed.definition.get()).collect();
    let schema = r#""inputSchema":{"type":"object","properties":{}}"#;
    assert_eq!(
        definitions,
        [
            format!(r#"{{"name":"files__a","description":"better \"d\"",{schema}}}"#),
            format!(r#"{{"name":"files__b","title":"Bee",{schema},"description":"Bee"}}"#),
            format!(r#"{{"description":"c","name":"files__c",{schema}}}"#),
        ]
    );
}

#[test]
fn repaired_and_quarantined_tools_are_problems_of_their_entry() {
    let mut files = entry("files", &["good"]);
    files.tools.push(tool("bare", r#"{"name":"bare","description":"d"}"#));
    files.tools.push(tool("huge", r#"{"name":"huge","inputSchema":{"maximum":1e400}}"#));
    let catalog = catalog(&[files]);
    assert_eq!(names(&catalog), ["files__bare", "files__good"]);
    let problems = catalog.problems(&"files".parse().unwrap());
    assert_eq!(problems[0], "tool `bare`: input schema was missing");
    assert!(problems[1].starts_with("tool `huge` is left out: its input schema cannot be read"), "{}", problems[1]);
}

#[test]
fn only_admitted_tools_are_listed() {
    let mut files = entry("files", &["read_file", "write_file", "list"]).renaming("list", "ls");
    files.filter.allow = Some(vec!["*_file".to_owned(), "list".to_owned()]);
    files.filter.deny = vec!["write*".to_owned()];
    assert_eq!(names(&catalog(&[files])), ["files__ls", "files__read_file"]);
}

#[test]
fn a_status_tool_tells_what_it_does_and_never_shadows_the_servers_own() {
    let catalog = catalog(&[entry("off", &[]).with_status(), entry("own", &["status"]).with_status()]);
    assert_eq!(names(&catalog), ["off__status", "own__status"]);
    assert_eq!(catalog.listed()[0].route, Route { namespace: "off".parse().unwrap(), target: Target::Status });
    assert_eq!(own_name(&catalog, "own__status"), Some("status"));

    let definition: Value = serde_json::from_str(catalog.listed()[0].definition.get()).unwrap();
    assert!(definition["description"].as_str().unwrap().contains(r#"{"connect": true}"#));
    assert_eq!(definition["inputSchema"]["properties"]["connect"]["type"], "boolean");
    assert_eq!(definition["annotations"], json!({ "readOnlyHint": false }));
}

#[test]
fn a_status_tool_without_control_offers_no_connect() {
    let uncontrolled = Entry { agent_control: false, ..entry("off", &[]).with_status() };
    let catalog = catalog(&[uncontrolled]);
    let definition: Value = serde_json::from_str(catalog.listed()[0].definition.get()).unwrap();
    assert_eq!(definition["inputSchema"], json!({ "type": "object", "properties": {} }));
    assert!(!definition["description"].as_str().unwrap().contains("connect"));
}

#[test]
fn a_wrong_name_leads_to_the_likely_ones() {
    let catalog = catalog(&[
        entry("everything", &["echo", "add", "get-sum", "read_file"]),
        entry("files", &["read_file", "write_file"]),
    ]);
    for (wrong, first) in [
        ("echo", "everything__echo"),
        ("ECHO", "everything__echo"),
        ("everything__ehco", "everything__echo"),
        ("everyting__echo", "everything__echo"),
        ("mcp__computer__files__write_file", "files__write_file"),
        ("files__readfile", "files__read_file"),
        ("files.write_file", "files__write_file"),
        ("get_sum", "everything__get-sum"),
        ("write", "files__write_file"),
    ] {
        assert_eq!(catalog.nearest(wrong, 3).first().map(String::as_str), Some(first), "{wrong}");
    }
    assert_eq!(catalog.nearest("read_file", 5)[..2], ["everything__read_file", "files__read_file"]);
    assert_eq!(catalog.nearest("read_file", 1).len(), 1);
    for far in ["", "x", "everything__zzzzzzzz", "completely_different", &"echo".repeat(1_000)] {
        assert_eq!(catalog.nearest(far, 3), Vec::<String>::new(), "{far}");
    }
}

#[test]
fn ten_thousand_tools_are_listed_in_no_time() {
    let own: Vec<String> =
        (0..10_000).map(|n| format!("a tool number {n} with a name that is too long for all models")).collect();
    let large = entry("large", &own.iter().map(String::as_str).collect::<Vec<_>>());
    let begun = Instant::now();
    let catalog = catalog(&[large]);
    assert_eq!(catalog.listed().len(), 10_000);
    assert!(catalog.nearest("large__tool_77", 3).len() <= 3);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
