//! What happens between a handler's response and the client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use session_core::{BoxFuture, CookieAction, Error, Result, Save, Shielded};

use crate::{LazySession, Session, SessionBody};

pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<F: Future> {
        #[pin]
        inner: F,
        lazy: Option<LazySession>,
        // Boxed, because few responses have to wait.
        saving: Option<Box<(Saving, Option<F::Output>)>>,
    }
}

/// The work that a response waits for.
enum Saving {
    Session(Shielded<Result<()>>),
    /// A session for a visitor whose request did not ask for one.
    Eager(BoxFuture<Result<()>>),
}

impl<F: Future> ResponseFuture<F> {
    pub(crate) const fn new(inner: F, lazy: Option<LazySession>) -> Self {
        Self { inner, lazy, saving: None }
    }
}

impl<F: Future> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<SessionBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(lazy) = this.lazy else {
            return this.inner.poll(cx).map_ok(|response| response.map(SessionBody::plain));
        };
        let Some(waiting) = this.saving else {
            let response = ready!(this.inner.poll(cx))?;
            let Some(mut saving) = begin(lazy, &response) else {
                return Poll::Ready(Ok(finish(lazy, response)));
            };
            return match saving.poll(cx) {
                Poll::Ready(saved) => Poll::Ready(Ok(answer(lazy, saved, response))),
                Poll::Pending => {
                    *this.saving = Some(Box::new((saving, Some(Ok(response)))));
                    Poll::Pending
                }
            };
        };
        let (saving, response) = &mut **waiting;
        let saved = ready!(saving.poll(cx));
        let Some(response) = response.take() else { return Poll::Pending };
        Poll::Ready(response.map(|response| answer(lazy, saved, response)))
    }
}

impl Saving {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            Self::Session(work) => Pin::new(work).poll(cx),
            Self::Eager(work) => work.as_mut().poll(cx),
        }
    }
}

/// Begins to save, if there is anything to save.
fn begin<B>(lazy: &LazySession, response: &Response<B>) -> Option<Saving> {
    let save = lazy.0.settings.save_rule.decide(response.status());
    if let Some(session) = lazy.loaded() {
        return session.seal(save).map(Saving::Session);
    }
    if !lazy.is_due() || save == Save::Endings {
        return None;
    }
    let lazy = lazy.clone();
    Some(Saving::Eager(Box::pin(async move {
        let session = lazy.load().await?;
        session.establish()?;
        match session.seal(Save::All) {
            Some(work) => work.await,
            None => Ok(()),
        }
    })))
}

/// Sends the handler's response, if the session could be saved.
fn answer<B>(
    lazy: &LazySession,
    saved: Result<()>,
    response: Response<B>,
) -> Response<SessionBody<B>> {
    match saved {
        Ok(()) => finish(lazy, response),
        Err(err) => refuse(lazy, &err),
    }
}

/// Sends the handler's response, with what the client has to be told.
fn finish<B>(lazy: &LazySession, mut response: Response<B>) -> Response<SessionBody<B>> {
    let Some(session) = lazy.loaded() else { return response.map(SessionBody::plain) };
    lazy.tell(&session.cookie(), response.headers_mut());
    // What nobody else holds can no longer change.
    if Arc::strong_count(&lazy.0) == 1 && !session.is_shared() {
        return response.map(SessionBody::plain);
    }
    let session = Session::clone(session);
    response.map(|body| SessionBody::watched(body, session))
}

/// Answers with an error in place of the handler's response. Of its headers none
/// stays: they describe a success that did not happen.
fn refuse<B>(lazy: &LazySession, err: &Error) -> Response<SessionBody<B>> {
    let mut response = (lazy.0.settings.error_response)(err).map(SessionBody::replaced);
    let action = match lazy.loaded().map(|session| session.cookie()) {
        // No client gets an id whose session may not be stored.
        Some(CookieAction::Remove) => CookieAction::Remove,
        _ => CookieAction::Keep,
    };
    lazy.tell(&action, response.headers_mut());
    response
}
