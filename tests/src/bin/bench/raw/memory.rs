//! A map.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::{Data, LIFE};
use crate::Failure;

#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<String, Entry>>);

struct Entry {
    json: Vec<u8>,
    expires: Instant,
}

impl Memory {
    pub(super) fn load(&self, id: &str) -> Result<Option<Data>, Failure> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let Some(entry) = entries.get_mut(id).filter(|entry| entry.expires > now) else {
            return Ok(None);
        };
        entry.expires = now + LIFE;
        Ok(Some(serde_json::from_slice(&entry.json)?))
    }

    pub(super) fn save(&self, id: String, data: &Data) -> Result<(), Failure> {
        let json = serde_json::to_vec(data)?;
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(id, Entry { json, expires: Instant::now() + LIFE });
        Ok(())
    }
}
