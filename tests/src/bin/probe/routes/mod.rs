//! The routes.

mod control;
mod data;
mod life;
mod several;

use axum::Router;
use axum::routing::{any, get, post};
use session_core::Result;
use tower_http::catch_panic::CatchPanicLayer;

use crate::answer;
use crate::app::App;
use crate::options::Options;

/// Returns the whole application.
pub(crate) fn router(options: &Options, app: &App) -> Result<Router> {
    let sessions = Router::new()
        .route("/noop", any(data::noop))
        .route("/peek", get(data::peek))
        .route("/peekint", get(data::peek_int))
        .route("/put", post(data::put))
        .route("/putn", post(data::put_n))
        .route("/del", post(data::del))
        .route("/clear", post(data::clear))
        .route("/pop", post(data::pop))
        .route("/incr", post(data::incr))
        .route("/nest", post(data::nest))
        .route("/rotate", post(life::rotate))
        .route("/reset", post(life::reset))
        .route("/destroy", post(life::destroy))
        .route("/life", post(life::life))
        .route("/bind", post(life::bind))
        .route("/unbind", post(life::unbind))
        .route("/flash", post(life::flash).get(life::flashed))
        .route("/flash/keep", post(life::keep_flash))
        .route("/do", post(several::several))
        .route("/hold", any(several::hold))
        .route("/stream", get(several::stream))
        .route("/status", get(several::status))
        .route("/panic", get(several::panic))
        .layer(app.layer(options).eager(options.eager).build()?);
    // Spares the session of who asks, and so has to know it.
    let revoke = Router::new()
        .route("/ctl/revoke", post(control::revoke))
        .layer(app.layer(options).build()?);
    let control = Router::new()
        .route("/ctl/release", post(control::release))
        .route("/ctl/waiting", get(control::waiting))
        .route("/ctl/clock", post(control::clock))
        .route("/ctl/store", post(control::store))
        .route("/ctl/ops", get(control::ops))
        .route("/ctl/events", get(control::events))
        .route("/ctl/count", get(control::count))
        .route("/ctl/list", get(control::list))
        .route("/ctl/gc", post(control::gc))
        .route("/ctl/raw", get(control::raw));
    // Outside of the sessions, which so see the panic.
    let router =
        sessions.merge(revoke).merge(control).layer(CatchPanicLayer::custom(answer::of_panic));
    Ok(router.with_state(app.clone()))
}
