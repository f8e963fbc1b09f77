//! A response body that saves what is changed while it streams.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use session_core::{BoxFuture, Result};

use crate::Session;

type BoxError = Box<dyn StdError + Send + Sync>;

pin_project! {
    /// The body of a response that passed a [`SessionLayer`](crate::SessionLayer).
    ///
    /// Passes the handler's body through. If the body itself holds the session
    /// and changes it while it streams, the changes are saved before the body
    /// ends; if that fails, the body ends with the error, so that the client
    /// sees a broken response and not a success.
    pub struct SessionBody<B> {
        #[pin]
        kind: Kind<B>,
    }

    impl<B> PinnedDrop for SessionBody<B> {
        fn drop(this: Pin<&mut Self>) {
            // The client went away, or the server knew the length and did not
            // wait for the end.
            if let Projected::Watched { session, .. } = this.project().kind.project() {
                session.save_detached();
            }
        }
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<B> {
        Plain { #[pin] body: B },
        Watched { #[pin] body: B, session: Session, saving: Option<BoxFuture<Result<()>>> },
        Replaced { bytes: Option<Bytes> },
    }
}

impl<B> SessionBody<B> {
    pub(crate) const fn plain(body: B) -> Self {
        Self { kind: Kind::Plain { body } }
    }

    pub(crate) const fn watched(body: B, session: Session) -> Self {
        Self { kind: Kind::Watched { body, session, saving: None } }
    }

    pub(crate) fn replaced(bytes: Bytes) -> Self {
        Self { kind: Kind::Replaced { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()) } }
    }
}

impl<B> Body for SessionBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            Projected::Plain { body } => {
                body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Projected::Replaced { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Projected::Watched { body, session, saving } => {
                if saving.is_none() {
                    if let Some(frame) = ready!(body.poll_frame(cx)) {
                        return Poll::Ready(Some(frame.map_err(Into::into)));
                    }
                    if !session.is_changed() {
                        return Poll::Ready(None);
                    }
                }
                let work = saving.get_or_insert_with(|| {
                    let session = session.clone();
                    Box::pin(async move { session.save().await })
                });
                let saved = ready!(work.as_mut().poll(cx));
                *saving = None;
                Poll::Ready(saved.err().map(|err| Err(err.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body } => body.is_end_stream(),
            Kind::Watched { body, session, saving } => {
                saving.is_none() && body.is_end_stream() && !session.is_changed()
            }
            Kind::Replaced { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body } | Kind::Watched { body, .. } => body.size_hint(),
            Kind::Replaced { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

impl<B> fmt::Debug for SessionBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBody").finish_non_exhaustive()
    }
}
