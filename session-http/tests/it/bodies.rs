//! Bodies that go on using the session after the headers have left.

use crate::support::{Client, store};
use crate::with;
use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use session_core::Operation;
use session_http::{ErrorKind, RequestSessionExt, Session, SessionLayer};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, ServiceExt};

/// A stream of one chunk, which is made when it is asked for.
struct Once<F>(Option<F>);

impl<F: FnOnce() -> String + Unpin> futures_core::Stream for Once<F> {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(|make| Ok(Frame::data(make().into()))))
    }
}

/// Answers with a body that does `work` when it is read.
async fn stream(
    layer: &SessionLayer,
    cookie: Option<String>,
    work: fn(&Session) -> String,
) -> impl Body<Data = Bytes, Error = Box<dyn std::error::Error + Send + Sync>> {
    let service = tower::service_fn(move |request: Request<()>| async move {
        let session = request.session().await.unwrap();
        let body = StreamBody::new(Once(Some(move || work(&session))));
        Ok::<_, Infallible>(Response::new(body))
    });
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, format!("sid={cookie}").parse().unwrap());
    }
    Box::pin(layer.layer(service).oneshot(request).await.unwrap().into_body())
}

fn set(session: &Session) -> String {
    session.set("late", 1).map_or_else(|err| err.kind().to_string(), |()| "set".into())
}

#[tokio::test]
async fn what_a_body_changes_is_saved_before_it_ends() {
    let (_, layer) = store();
    let layer = layer.build().unwrap();
    let client = Client::new(layer.clone());
    client.send(with!(session => session.set("a", 1).unwrap())).await;
    let cookie = client.cookie.lock().unwrap().clone();

    let body = stream(&layer, cookie, set).await.collect().await.unwrap();

    assert_eq!(body.to_bytes(), "set");
    client.send(with!(session => assert_eq!(session.get("late").unwrap(), Some(1)))).await;
}

#[tokio::test]
async fn a_body_cannot_begin_a_session() {
    let (chaos, layer) = store();
    let body = stream(&layer.build().unwrap(), None, set).await.collect().await.unwrap();
    assert_eq!(body.to_bytes(), ErrorKind::Late.as_str());
    assert_eq!(chaos.counts().creates, 0);
}

#[tokio::test]
async fn a_body_whose_changes_cannot_be_saved_breaks_off() {
    let (chaos, layer) = store();
    let layer = layer.build().unwrap();
    let client = Client::new(layer.clone());
    client.send(with!(session => session.set("a", 1).unwrap())).await;
    let cookie = client.cookie.lock().unwrap().clone();
    chaos.fail(Operation::Write, ErrorKind::Unavailable);
    assert!(stream(&layer, cookie, set).await.collect().await.is_err());
}

#[tokio::test]
async fn what_a_body_changed_is_saved_even_if_nobody_reads_to_its_end() {
    let (_, layer) = store();
    let layer = layer.build().unwrap();
    let client = Client::new(layer.clone());
    client.send(with!(session => session.set("a", 1).unwrap())).await;
    let cookie = client.cookie.lock().unwrap().clone();

    let mut body = Box::pin(stream(&layer, cookie, set).await);
    body.frame().await.unwrap().unwrap();
    drop(body);

    tokio::task::yield_now().await;
    client.send(with!(session => assert_eq!(session.get("late").unwrap(), Some(1)))).await;
}

#[tokio::test]
async fn length_and_end_of_a_plain_body_pass_through() {
    let (_, layer) = store();
    let service = tower::service_fn(|request: Request<()>| async move {
        request.session().await.unwrap().set("a", 1).unwrap();
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from("four"))))
    });
    let layer = layer.build().unwrap();
    let response = layer.layer(service).oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(4));
    assert!(!response.body().is_end_stream());
    let empty = tower::service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(http_body_util::Empty::<Bytes>::new()))
    });
    let response = layer.layer(empty).oneshot(Request::new(())).await.unwrap();
    assert!(response.body().is_end_stream());
}
