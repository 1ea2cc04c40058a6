//! Filling in the recipe of an HTTP entry: its address, its headers, the program that prints more.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    config::{
        HttpConfig,
        template::{self, Reference},
    },
    connection::{Helper, Options, Printing, Site, Wary},
    entry::Recipe,
    environment::{self, InheritEnv},
    error::{Error, Result},
    fill::Filler,
    process::{self, Spawn, Tail},
    secret::looks_secret,
    web::{self, Network},
};

/// How long the program that prints headers may take.
const HELPER: Duration = Duration::from_secs(10);

/// A recipe with everything filled in.
pub(super) struct Prepared {
    pub(super) site: Arc<Site>,
}

impl Prepared {
    pub(super) async fn new(recipe: &Recipe, config: &HttpConfig) -> Result<Self> {
        let mut filler = Filler::new(&recipe.around).await;
        let url = url(&mut filler, &config.url).await?;
        let headers = headers(&mut filler, &config.headers).await?;
        let network = Network::of(&url, |name| filler.variable(name));
        let proxy = network.proxy.as_ref().map(|(name, _)| name.clone());
        let client = web::client(&url, network).await?;
        let helper = match &config.headers_helper {
            Some(words) => Some(helper(&mut filler, words).await?),
            None => None,
        };
        let credentials = credentials(&config.headers);
        let secrets = filler.secrets();
        let wary = Wary::default();
        let site = Site { url, client, proxy, headers, helper, credentials, secrets, wary };
        Ok(Self { site: Arc::new(site) })
    }

    pub(super) fn options(&self, recipe: &Recipe, config: &HttpConfig, connect: Duration) -> Options {
        Options {
            connect_timeout: config.connect_timeout.unwrap_or(connect),
            call_timeout: config.call_timeout,
            max_call_time: config.max_call_time,
            probe_interval: config.probe_interval,
            max_message: config.max_message,
            tail: Tail::new(self.site.secrets.clone()),
            secrets: self.site.secrets.clone(),
            log: recipe.log.clone(),
            namespace: recipe.namespace.clone(),
            notices: recipe.notices.clone(),
            subscribed: recipe.subscribed.clone(),
            unattended: recipe.unattended,
        }
    }
}

pub(super) async fn url(filler: &mut Filler<'_>, text: &str) -> Result<Url> {
    let filled = filler.text(text).await?;
    let wrong = |reason: &str| Err(Error::Config(vec![format!("its `url` {reason}")]));
    let Ok(url) = Url::parse(filled.trim()) else { return wrong("is none, once it is filled in") };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return wrong("must begin with http:// or https://, once it is filled in");
    }
    // Keys are written there too, and a server may repeat in an error what it was asked.
    let said: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
    let as_sent = url.query().into_iter().flat_map(|query| query.split('&'));
    let as_sent = as_sent.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())).collect::<Vec<_>>();
    // As HTTP sends a name and a password.
    let basic = url
        .password()
        .map(|password| data_encoding::BASE64.encode(format!("{}:{password}", url.username()).as_bytes()));
    said.into_iter()
        .chain(as_sent)
        .chain(basic)
        .chain(url.password().map(ToOwned::to_owned))
        .for_each(|value| filler.hide(value));
    Ok(url)
}

pub(super) async fn headers(filler: &mut Filler<'_>, configured: &[(String, String)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let value = filler.text(value).await?;
        let (header, value) = header(name, &value)?;
        hide(filler, &header, &value);
        headers.append(header, value);
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let wrong = |what: String| Error::Config(vec![what]);
    let header = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| wrong(format!("`{}` can be no header's name", name.escape_debug())))?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| {
        wrong(format!("the value of the header `{header}` is none that a header can carry: it holds a line end, or another control character"))
    })?;
    Ok((header, value))
}

/// Keeps a header's value from being seen, if it looks as if it should not be.
fn hide(filler: &mut Filler<'_>, name: &HeaderName, value: &HeaderValue) {
    if let Ok(value) = value.to_str().map(ToOwned::to_owned)
        && is_credential(name.as_str())
    {
        // What follows `Bearer` may be repeated without it.
        if let Some((_, bare)) = value.split_once(' ') {
            filler.hide(bare);
        }
        filler.hide(value);
    }
}

fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    looks_secret(name) || ["auth", "cookie", "session"].iter().any(|word| lower.contains(word))
}

/// The headers that hold credentials and where those come from, in words.
fn credentials(configured: &[(String, String)]) -> Option<String> {
    let words: Vec<String> = configured
        .iter()
        .filter(|(name, _)| is_credential(name))
        .map(|(name, value)| {
            let from: Vec<String> = template::references(value)
                .into_iter()
                .filter_map(|reference| match reference {
                    Reference::Env(name) | Reference::Variable { name, .. } => Some(format!("the variable {name}")),
                    Reference::File(path) => Some(format!("the file {path}")),
                    Reference::Command(_) => Some("a program".to_owned()),
                    Reference::Input(id) => Some(format!("the input {id}")),
                    Reference::WorkspaceFolder | Reference::UserHome | Reference::Browser { .. } => None,
                })
                .collect();
            let from = if from.is_empty() { String::new() } else { format!(" (from {})", from.join(", ")) };
            format!("the header `{name}`{from}")
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

/// The program that prints headers, with what it prints now.
async fn helper(filler: &mut Filler<'_>, words: &[String]) -> Result<Helper> {
    let words = filler.texts(words).await?;
    let Some((program, args)) = words.split_first() else {
        return Err(Error::Config(vec!["its `headersHelper` names no program".to_owned()]));
    };
    let path = environment::join_path(&environment::search_path(&filler.login));
    let found = if program.contains('/') {
        Some(filler.path(program))
    } else {
        which::which_in_global(program, Some(path)).ok().and_then(|mut found| found.next())
    };
    let found = found.ok_or_else(|| Error::CommandNotFound {
        command: program.clone(),
        hint: "correct `headersHelper`, or name the program by its full path".to_owned(),
        searched: "PATH".to_owned(),
    })?;
    let env = environment::curated(&filler.login, &InheritEnv::All);
    let run = Arc::new(Run(Spawn::new(found, args, env)));
    let printed = run.headers().await?;
    for (name, value) in &printed {
        hide(filler, name, value);
    }
    let print: Printing = Arc::new(move || {
        let run = run.clone();
        Box::pin(async move { run.headers().await })
    });
    Ok(Helper::new(print, printed))
}

struct Run(Spawn);

impl Run {
    pub(super) async fn headers(&self) -> Result<HeaderMap> {
        let failed = |reason: String| Error::Spawn {
            command: format!("{} (`headersHelper`)", self.0.program.display()),
            reason,
        };
        let captured = process::capture(self.0.clone(), HELPER).await;
        let captured = captured.map_err(|error| failed(error.to_string()))?;
        if !captured.status.is_some_and(|status| status.success()) {
            return Err(failed(format!("it {}", process::describe(captured.status))));
        }
        let printed: BTreeMap<String, String> = serde_json::from_slice(&captured.printed).map_err(|_| {
            failed("it must print a JSON object of texts, such as {\"Authorization\": \"Bearer …\"}".into())
        })?;
        printed.iter().map(|(name, value)| header(name, value)).collect()
    }
}
