//! What one would write by hand: sessions as JSON, in a map or a folder.
//!
//! It has no logout that holds, no new ids, no merge of parallel requests, no
//! headers for caches. It is the floor that a session system stands on, and it
//! takes no detours: a read is one lookup or one blocking job.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Map, Value};

use crate::Failure;
use crate::contender::large;
use crate::serve::failed;

const LIFE: Duration = Duration::from_secs(1440);

type Data = Map<String, Value>;

pub(crate) enum Store {
    Memory(Mutex<HashMap<String, Entry>>),
    Files { dir: PathBuf, sync: bool, temporaries: AtomicU64 },
}

pub(crate) struct Entry {
    json: Vec<u8>,
    expires: Instant,
}

impl Store {
    pub(crate) fn memory() -> Self {
        Self::Memory(Mutex::default())
    }

    pub(crate) fn files(dir: &Path, sync: bool) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self::Files { dir: dir.to_owned(), sync, temporaries: AtomicU64::new(0) })
    }

    async fn load(self: &Arc<Self>, id: String) -> Result<Option<Data>, Failure> {
        match &**self {
            Self::Memory(entries) => {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                let Some(entry) = entries.get_mut(&id).filter(|entry| entry.expires > now) else {
                    return Ok(None);
                };
                entry.expires = now + LIFE;
                Ok(Some(serde_json::from_slice(&entry.json)?))
            }
            Self::Files { dir, .. } => {
                let path = dir.join(id);
                match tokio::task::spawn_blocking(|| fs::read(path)).await? {
                    Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
                    Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(err) => Err(err.into()),
                }
            }
        }
    }

    async fn save(self: &Arc<Self>, id: String, data: &Data) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)?;
        match &**self {
            Self::Memory(entries) => {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                entries.insert(id, Entry { json, expires: Instant::now() + LIFE });
                Ok(())
            }
            Self::Files { dir, sync, temporaries } => {
                let number = temporaries.fetch_add(1, Ordering::Relaxed);
                let temporary = dir.join(format!("{id}.{number}"));
                let (path, dir, sync) = (dir.join(id), dir.clone(), *sync);
                let job = move || replace(&path, &temporary, &json, sync.then_some(&*dir));
                Ok(tokio::task::spawn_blocking(job).await??)
            }
        }
    }
}

/// Writes a file beside the old one and renames it over that.
fn replace(path: &Path, temporary: &Path, json: &[u8], sync: Option<&Path>) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(json)?;
    if sync.is_some() {
        file.sync_all()?;
    }
    fs::rename(temporary, path)?;
    match sync {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// The id in the request's cookie, if it can be one of ours.
struct Id(Option<String>);

impl<S: Sync> FromRequestParts<S> for Id {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let header = parts.headers.get(COOKIE).and_then(|header| header.to_str().ok());
        let mut cookies = header.unwrap_or_default().split(';');
        let id = cookies.find_map(|cookie| cookie.trim_start().strip_prefix("sid="));
        let valid = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Self(id.filter(valid).map(str::to_owned)))
    }
}

type Response<T> = Result<T, StatusCode>;

pub(crate) fn router(store: Store) -> Router {
    Router::new()
        .route("/none", get(async || "ok\n"))
        .route("/read", get(read))
        .route("/big", get(big))
        .route("/change", get(change))
        .route("/new", get(new))
        .route("/fill", get(fill))
        .with_state(Arc::new(store))
}

async fn read(State(store): State<Arc<Store>>, id: Id) -> Response<String> {
    let data = load(&store, id).await?;
    Ok(format!("{}\n", data.get("n").and_then(Value::as_i64).unwrap_or_default()))
}

async fn big(State(store): State<Arc<Store>>, id: Id) -> Response<String> {
    let data = load(&store, id).await?;
    Ok(format!("{}\n", data.get("key25").and_then(Value::as_str).unwrap_or_default().len()))
}

async fn change(State(store): State<Arc<Store>>, Id(id): Id) -> Response<String> {
    let Some(id) = id else { return Err(StatusCode::FORBIDDEN) };
    let mut data = load(&store, Id(Some(id.clone()))).await?;
    let n = data.get("n").and_then(Value::as_i64).unwrap_or_default() + 1;
    data.insert("n".into(), n.into());
    store.save(id, &data).await.map_err(failed)?;
    Ok(format!("{n}\n"))
}

async fn new(State(store): State<Arc<Store>>) -> Response<impl IntoResponse> {
    begin(&store, Data::from_iter([("n".to_owned(), 1.into())])).await
}

async fn fill(State(store): State<Arc<Store>>) -> Response<impl IntoResponse> {
    begin(&store, large().map(|(key, text)| (key, text.into())).collect()).await
}

async fn load(store: &Arc<Store>, Id(id): Id) -> Response<Data> {
    let Some(id) = id else { return Ok(Data::new()) };
    Ok(store.load(id).await.map_err(failed)?.unwrap_or_default())
}

/// Stores a session under a new id, and sends the cookie.
async fn begin(store: &Arc<Store>, data: Data) -> Response<impl IntoResponse + use<>> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|err| failed(err.to_string()))?;
    let id = format!("{:032x}", u128::from_le_bytes(random));
    let cookie = format!("sid={id}; HttpOnly; SameSite=Lax; Secure; Path=/");
    store.save(id, &data).await.map_err(failed)?;
    Ok(([(SET_COOKIE, cookie)], "ok\n"))
}
