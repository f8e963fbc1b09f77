//! Which serializer writes, and which can read.

use std::sync::Arc;

use super::Serializer;
use crate::{Error, ErrorKind, Operation, Result, Value};

/// The serializer that writes, and all that can read.
///
/// A record names the serializer that wrote it. Every serializer that is compiled
/// in reads, whichever writes, so a deployment can change its format without
/// signing anyone out: old records are read with the old format and written back
/// with the new one.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use session_core::{Serializers, Value};
///
/// let serializers = Serializers::default();
/// let mut bytes = Vec::new();
/// serializers.writer().encode(&Value::from(7), &mut bytes)?;
///
/// let reader = serializers.reader(serializers.writer().name())?;
/// assert_eq!(reader.decode(&bytes)?, Value::from(7));
/// # }
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Serializers {
    writer: Arc<dyn Serializer>,
    readers: Vec<Arc<dyn Serializer>>,
}

/// Every serializer of this crate, and the feature that compiles it in.
const KNOWN: [&str; 4] = ["bincode", "postcard", "msgpack", "json"];

/// The serializers that are compiled in, by preference.
pub(super) fn compiled_in() -> Vec<Arc<dyn Serializer>> {
    vec![
        #[cfg(feature = "bincode")]
        Arc::new(super::Bincode),
        #[cfg(feature = "postcard")]
        Arc::new(super::Postcard),
        #[cfg(feature = "msgpack")]
        Arc::new(super::MessagePack),
        #[cfg(feature = "json")]
        Arc::new(super::Json),
    ]
}

/// Writes with bincode, or with the first of postcard, MessagePack and JSON that
/// is compiled in.
///
/// With none of these features there is nothing to write with, and every encode
/// is an [`Unsupported`](ErrorKind::Unsupported) error that says so: bring your
/// own with [`Serializers::new`].
impl Default for Serializers {
    fn default() -> Self {
        let readers = compiled_in();
        let writer = readers.first().map_or_else(|| Arc::new(Absent) as _, Arc::clone);
        Self { writer, readers }
    }
}

impl Serializers {
    /// Writes with `writer`; reads what it wrote, and everything compiled in.
    #[must_use]
    pub fn new(writer: impl Serializer) -> Self {
        Self { writer: Arc::new(writer), readers: compiled_in() }
    }

    /// Writes with the serializer of this name: `bincode`, `postcard`, `msgpack`
    /// or `json`.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for an unknown name, listing
    /// the known ones, and for one that is not compiled in, naming the cargo
    /// feature to enable.
    pub fn by_name(name: &str) -> Result<Self> {
        Self::default().with_writer(name)
    }

    /// Adds a serializer that reads, in place of one with the same name.
    ///
    /// What the writer wrote is still read by the writer.
    #[must_use]
    pub fn with_reader(mut self, reader: impl Serializer) -> Self {
        self.readers.retain(|other| other.name() != reader.name());
        self.readers.push(Arc::new(reader));
        self
    }

    /// Writes with the reader of this name from now on.
    ///
    /// The writer until now keeps reading.
    ///
    /// # Errors
    ///
    /// As [`by_name`](Self::by_name).
    pub fn with_writer(mut self, name: &str) -> Result<Self> {
        let Some(writer) = self.find(name).map(Arc::clone) else {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                Operation::Configure,
                match feature(name) {
                    Some(feature) => format!(
                        "serializer `{feature}` is not compiled in; \
                         enable the feature `{feature}` of session-core"
                    ),
                    None => {
                        let known: Vec<_> = self.names().collect();
                        let name = name.escape_debug();
                        if known.is_empty() {
                            format!("no serializer is named `{name}`, and none is compiled in")
                        } else {
                            let known = known.join(", ");
                            format!("no serializer is named `{name}`; known: {known}")
                        }
                    }
                },
            ));
        };
        let before = std::mem::replace(&mut self.writer, writer);
        if !self.readers.iter().any(|reader| reader.name() == before.name()) {
            self.readers.push(before);
        }
        Ok(self)
    }

    /// Returns the serializer that writes.
    #[must_use]
    pub fn writer(&self) -> &dyn Serializer {
        &*self.writer
    }

    /// Returns the serializer of this name, to read what it wrote.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if there is none. The record is
    /// fine, and a deployment that has the serializer reads it.
    pub fn reader(&self, name: &str) -> Result<&dyn Serializer> {
        self.find(name).map(|reader| &**reader).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                Operation::Decode,
                match feature(name) {
                    Some(feature) => format!(
                        "the record was written with serializer `{feature}`; \
                         enable the feature `{feature}` of session-core to read it"
                    ),
                    None => "the record was written with a serializer that is not registered; \
                             add it as a reader"
                        .to_owned(),
                },
            )
        })
    }

    /// Returns the names of all serializers, the writer's first. There are none
    /// if no serializer is compiled in.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let writer = self.writer.name();
        let readers = self.readers.iter().map(|reader| reader.name());
        std::iter::once(writer)
            .chain(readers.filter(move |name| *name != writer))
            .filter(|name| *name != Absent::NAME)
    }

    /// Returns the serializer that wrote a value, by the name in the record.
    pub(crate) fn wrote(&self, name: &[u8]) -> Result<&dyn Serializer> {
        if name == self.writer.name().as_bytes() {
            return Ok(&*self.writer);
        }
        // Names were checked to be UTF-8 when the frame was parsed.
        self.reader(std::str::from_utf8(name).unwrap_or_default())
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn Serializer>> {
        std::iter::once(&self.writer).chain(&self.readers).find(|reader| reader.name() == name)
    }
}

fn feature(name: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| *known == name)
}

/// Stands in where no serializer is compiled in.
#[derive(Debug)]
struct Absent;

impl Absent {
    /// No serializer of its own, and so in no list.
    const NAME: &str = "none";

    fn error(op: Operation) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            op,
            format!(
                "no serializer is compiled in; enable one of session-core's features {}",
                KNOWN.join(", ")
            ),
        )
    }
}

impl Serializer for Absent {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn encode(&self, _: &Value, _: &mut Vec<u8>) -> Result<()> {
        Err(Self::error(Operation::Encode))
    }

    fn decode(&self, _: &[u8]) -> Result<Value> {
        Err(Self::error(Operation::Decode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_for_a_serializer_is_none() {
        let serializers = Serializers { writer: Arc::new(Absent), readers: Vec::new() };
        assert_eq!(serializers.names().count(), 0);
        let err = serializers.with_writer("other").unwrap_err();
        assert!(err.to_string().ends_with("none is compiled in"), "{err}");
    }
}
