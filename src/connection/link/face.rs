//! What others see of a session.

use std::{
    borrow::Cow,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use serde_json::value::RawValue;

use super::Link;
use crate::{
    connection::request,
    source::{About, Answer, Call, CallContext, Listings, Source, ToolList, Waiting},
};

impl Source for Link {
    fn tools(&self) -> Arc<ToolList> {
        self.tools.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn call(self: Arc<Self>, call: Call<'_>, context: CallContext) -> Option<Waiting<Answer>> {
        request::call(&self, call, context)
    }

    fn listings(&self) -> Arc<Listings> {
        self.listings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn capabilities(&self) -> Option<Arc<RawValue>> {
        self.capabilities.get().cloned()
    }

    fn may_miss(&self) -> bool {
        self.lane.may_miss()
    }

    fn notify(&self, method: &str, params: Option<&RawValue>) {
        // Whoever notifies expects no answer, not even that it could not be told.
        let _ = request::notify(self, method, params);
    }

    fn probe(self: Arc<Self>) -> Waiting<()> {
        Box::pin(request::probe(self, request::PROBE))
    }

    fn has_secret_in(&self, text: &str) -> bool {
        matches!(self.options.secrets.mask(text), Cow::Owned(_))
    }

    fn silence(&self) -> Option<String> {
        self.silent()
    }

    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && !self.ended.is_cancelled()
    }

    fn about(&self) -> About {
        let mut about = self.about.read().unwrap_or_else(PoisonError::into_inner).clone();
        about.problems = self.problems();
        let info = about.server_info.map(|info| self.options.secrets.mask(&info.to_string()).into_owned());
        about.server_info = info.and_then(|info| serde_json::from_str(&info).ok());
        about
    }
}
