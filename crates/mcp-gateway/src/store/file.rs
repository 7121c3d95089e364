//! The file: an embedded database with three tables.

use std::collections::HashSet;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableTable as _, TableDefinition};

use super::{Op, Record, StateError};
use crate::replay::Key;

/// What this version writes. A file with a higher number is left alone.
const FORMAT: u64 = 1;
const NAME: &str = "sessions.redb";
/// The database's own memory. Its default is meant for a program that reads all the time.
const CACHE_BYTES: usize = 4 << 20;
/// Each life numbers its streams above those of the lives before.
const LIFE_BITS: u32 = 32;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SESSIONS: TableDefinition<'_, &str, &str> = TableDefinition::new("sessions");
/// By session, stream and number: whether it is the last of its stream, and its bytes.
const EVENTS: TableDefinition<'_, (&str, u64, u64), (bool, &[u8])> = TableDefinition::new("events");

type Kept = (Vec<Record>, Vec<(Key, u64, Bytes, bool)>, u64);

#[derive(Debug)]
pub(super) struct File {
    database: Database,
    path: PathBuf,
}

impl File {
    /// Opens the file in `dir`. Ids of sessions are secrets: nobody else may read it.
    pub(super) fn open(dir: &Path) -> Result<Self, StateError> {
        let unusable = |why| StateError::Directory { path: dir.to_owned(), why };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
        let path = dir.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(unusable)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(unusable)?;
        let opened = FileBackend::new(file).and_then(|backend| {
            let mut builder = Builder::new();
            // A file that somebody else changed is refused, instead of being trusted.
            builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
            builder.create_with_backend(backend)
        });
        match opened {
            Ok(database) => Ok(Self { database, path }),
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                Err(StateError::InUse { path })
            }
            Err(error) => Err(StateError::Unreadable { path, why: error.to_string() }),
        }
    }

    /// Everything that is in the file, and begins another life.
    pub(super) fn load(&self) -> Result<Kept, StateError> {
        let newer = |found| StateError::Newer { path: self.path.clone(), found, known: FORMAT };
        match self.read() {
            Ok(Ok(kept)) => Ok(kept),
            Ok(Err(found)) => Err(newer(found)),
            Err(error) => {
                Err(StateError::Unreadable { path: self.path.clone(), why: error.to_string() })
            }
        }
    }

    /// The inner error is a format that is not ours.
    fn read(&self) -> Result<Result<Kept, u64>, redb::Error> {
        let transaction = self.database.begin_write()?;
        let life = {
            let mut meta = transaction.open_table(META)?;
            let format = meta.get("format")?.map(|format| format.value());
            if let Some(found) = format.filter(|format| *format > FORMAT) {
                return Ok(Err(found));
            }
            meta.insert("format", FORMAT)?;
            let life = meta.get("life")?.map_or(0, |life| life.value()) + 1;
            meta.insert("life", life)?;
            life
        };
        let (mut sessions, mut events) = (Vec::new(), Vec::new());
        for entry in transaction.open_table(SESSIONS)?.iter()? {
            let (id, record) = entry?;
            // What cannot be read of a session is as good as a session that has ended.
            sessions.extend(Record::parse(id.value(), record.value()));
        }
        let ids: HashSet<Arc<str>> = sessions.iter().map(|record| Arc::clone(&record.id)).collect();
        for entry in transaction.open_table(EVENTS)?.iter()? {
            let (key, event) = entry?;
            let ((session, stream, number), (last, event)) = (key.value(), event.value());
            let Some(session) = ids.get(session).map(Arc::clone) else { continue };
            events.push((Key { session, stream }, number, Bytes::copy_from_slice(event), last));
        }
        transaction.commit()?;
        Ok(Ok((sessions, events, life << LIFE_BITS)))
    }

    /// Writes all of it, or nothing.
    pub(super) fn write(&self, ops: &[Op]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut sessions = transaction.open_table(SESSIONS)?;
            let mut events = transaction.open_table(EVENTS)?;
            for op in ops {
                match op {
                    Op::Begin(record) => _ = sessions.insert(&*record.id, &*record.to_json())?,
                    Op::Remember(record) => {
                        if sessions.get(&*record.id)?.is_some() {
                            sessions.insert(&*record.id, &*record.to_json())?;
                        }
                    }
                    Op::Event { key, number, event, last, dropped } => {
                        events.insert((&*key.session, key.stream, *number), (*last, &event[..]))?;
                        for (key, number) in dropped {
                            events.remove((&*key.session, key.stream, *number))?;
                        }
                    }
                    Op::End(session) => {
                        sessions.remove(&**session)?;
                        let all = (&**session, 0, 0)..=(&**session, u64::MAX, u64::MAX);
                        events.retain_in(all, |_, _| false)?;
                    }
                    Op::Written(_) | Op::Close => {}
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
