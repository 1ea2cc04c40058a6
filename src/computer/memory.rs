//! What entries have listed, kept on disk by what they are started from: it is shown at the next start, before they are up.

mod key;
mod record;
mod store;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    entry::{Basis, Recipe},
    process,
    source::Face,
    supervisor::Handle,
};
use key::Key;
use store::Store;

/// Where it is kept. Nothing of it is needed: what cannot be kept or read is said once, and done without.
pub(super) struct Memory {
    store: Store,
    /// What was said already.
    said: Mutex<BTreeSet<String>>,
}

impl Memory {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self { store: Store::in_directory(directory), said: Mutex::default() }
    }

    /// What an entry of that recipe listed last, as the face of one that cannot be called yet.
    pub(super) fn recall(&self, recipe: &Recipe) -> Option<Face> {
        let key = Key::of(recipe)?;
        let read = self.store.read(&key).and_then(|text| {
            let Some(text) = text else { return Ok(None) };
            record::read(&key, &text)
                .map(Some)
                .map_err(|reason| store::Trouble::Unusable(self.store.path(&key), reason))
        });
        read.unwrap_or_else(|trouble| {
            self.say(&trouble.to_string());
            None
        })
    }

    /// Keeps what an entry lists, and what it lists anew, for as long as it is driven.
    pub(super) async fn follow(self: Arc<Self>, basis: Basis, handle: Handle<Face>) {
        let mut watch = handle.watch();
        // Its own handle must not keep the supervisor's mailbox open.
        drop(handle);
        let mut last = None;
        while watch.changed().await.is_ok() {
            let face = watch.borrow_and_update().ready().cloned();
            let Some((face, key)) = face.zip(Key::of(&basis.recipe())) else { continue };
            let text = record::written(&key, &face);
            let version = key::digest(text.as_bytes());
            if last == Some(version) {
                continue;
            }
            last = Some(version);
            if face.has_secret_in(&text) {
                self.say(
                    "the lists of an entry are not kept: its server repeats a secret of its configuration in them",
                );
                continue;
            }
            let memory = self.clone();
            process::blocking(move || memory.keep(&key, &text)).await;
        }
    }

    fn keep(&self, key: &Key, text: &str) {
        if let Err(trouble) = self.store.write(key, text) {
            self.say(&trouble.to_string());
        }
    }

    fn say(&self, what: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned()) {
            tracing::warn!("{what}");
        }
    }
}
