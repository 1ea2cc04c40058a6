//! What the next start of an entry goes by, and what the last one found.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::Recipe;
use crate::{
    config::{
        EntryKind,
        template::{self, Reference},
    },
    fill::Filler,
};

/// The recipe by which an entry is started next. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(crate) struct Basis(Arc<Mutex<Inner>>);

struct Inner {
    recipe: Arc<Recipe>,
    /// What its references stood for at the last start; none before the first.
    found: Option<Found>,
}

/// What references stand for, as a hash: their values may be secrets and are not kept for a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Found([u8; 32]);

impl Basis {
    pub(crate) fn new(recipe: Arc<Recipe>) -> Self {
        Self(Arc::new(Mutex::new(Inner { recipe, found: None })))
    }

    pub(crate) fn recipe(&self) -> Arc<Recipe> {
        self.inner().recipe.clone()
    }

    /// Lets the next start go by this recipe.
    pub(crate) fn replace(&self, recipe: Arc<Recipe>) {
        self.inner().recipe = recipe;
    }

    /// A start has begun and has found nothing yet: what changes before it does is none of a change for it.
    pub(super) fn begin_start(&self) {
        self.inner().found = None;
    }

    /// The recipe for a start that begins now. Cancel safe.
    pub(super) async fn for_a_start(&self) -> Arc<Recipe> {
        let recipe = self.recipe();
        // Looked up before the start does: what changes in between is taken for a change later, never missed.
        let found = found(&recipe).await;
        self.inner().found = Some(found);
        recipe
    }

    /// Whether what its references stand for is something else now than at the last start. Cancel safe.
    ///
    /// What `${cmd:…}` prints does not count: it may be another token each time, and asking may cost a person's answer.
    pub(crate) async fn has_moved(&self) -> bool {
        let (recipe, before) = {
            let inner = self.inner();
            (inner.recipe.clone(), inner.found)
        };
        match before {
            Some(before) => found(&recipe).await != before,
            None => false,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn found(recipe: &Recipe) -> Found {
    let texts = recipe.config.kind.texts();
    let references = texts.into_iter().flat_map(template::references);
    let references: Vec<_> = references.filter(|reference| !matches!(reference, Reference::Command(_))).collect();
    let env_file = match &recipe.config.kind {
        EntryKind::Stdio(config) => config.env_file.as_deref(),
        EntryKind::Http(_) | EntryKind::Shell(_) => None,
    };
    let mut hash = Sha256::new();
    if !references.is_empty() || env_file.is_some() {
        let mut filler = Filler::new(&recipe.around).await;
        for reference in references {
            add(&mut hash, filler.look_up(&reference).ok());
        }
        for (name, value) in env_file.and_then(|file| filler.look_into(file).ok()).into_iter().flatten() {
            add(&mut hash, Some(name));
            add(&mut hash, Some(value));
        }
    }
    Found(hash.finalize().into())
}

/// One without a value is told from one whose value is empty, and where one ends from where the next begins.
fn add(hash: &mut Sha256, value: Option<String>) {
    hash.update(value.as_ref().map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
    hash.update(value.unwrap_or_default());
}
