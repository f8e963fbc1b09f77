//! What must hold after a call, however it ended.

use std::collections::BTreeSet;
use std::fs;

use session_core::{
    ErrorKind, GcRequest, Owner, PageRequest, SessionHandler, SessionKey, WriteMode, WriteOptions,
};
use session_file::{Durability, FileHandler};

use super::call::{LONG, OUTAGES, SHORT, age, ann, bob, is_alive, new, old};
use super::{Call, Place};

/// What the caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has happened.
    Done,
    /// It has not happened.
    Refused(ErrorKind),
    /// It may have happened: the caller was told so, or was not told anything.
    InDoubt,
}

/// What became of the machine since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It has gone on.
    Kept,
    /// It has lost what was not flushed.
    Lost,
}

/// What a session was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// As it was before the call.
    Old,
    /// As the call makes it.
    New,
    /// There is none.
    Absent,
    /// It does not verify.
    Damaged,
}

/// Looks at a session in a fresh store.
///
/// # Errors
///
/// Bytes that nobody has written, and errors other than those of damage.
pub async fn find(handler: &FileHandler, key: &SessionKey) -> Result<Found, String> {
    match handler.read(key).await {
        Ok(None) => Ok(Found::Absent),
        Ok(Some(stored)) if stored.payload == old() => {
            let touched = stored.remaining.is_some_and(|remaining| remaining > SHORT);
            Ok(if touched { Found::New } else { Found::Old })
        }
        Ok(Some(stored)) if stored.payload == new() => Ok(Found::New),
        Ok(Some(_)) => Err("a payload that nobody has written".into()),
        Err(err) if err.kind() == ErrorKind::Corrupt => Ok(Found::Damaged),
        Err(err) => Err(format!("reading: {err}")),
    }
}

/// Checks what a call has left, without changing it. Returns what is wrong.
pub async fn fault(place: &Place, call: Call, answer: &Answer, power: Power) -> Option<String> {
    judge(place, call, answer, power).await.err()
}

async fn judge(place: &Place, call: Call, answer: &Answer, power: Power) -> Result<(), String> {
    if let Answer::Refused(kind) = answer
        && !OUTAGES.contains(kind)
    {
        return Err(format!("refused as {kind}, which is no outage"));
    }
    let may_lose = power == Power::Lost && place.durability == Durability::Process;
    let handler = place.open();
    if call != Call::First && find(&handler, &Place::BYSTANDER).await? != Found::Old {
        return Err("a session that nobody called has changed".into());
    }
    let (before, after) = match call {
        Call::Regenerate => return judge_ids(place, answer, may_lose).await,
        Call::First | Call::Create => (Found::Absent, Found::New),
        Call::Save | Call::Rebind | Call::Touch => (Found::Old, Found::New),
        Call::Destroy => (Found::Old, Found::Absent),
        Call::Collect => (Found::Old, Found::Old),
    };
    let key = if before == Found::Absent { Place::CREATED } else { Place::TARGET };
    let found = find(&handler, &key).await?;
    let allowed = match answer {
        _ if may_lose => found == before || found == after || found == Found::Damaged,
        Answer::Done => found == after,
        Answer::Refused(_) => found == before,
        Answer::InDoubt => found == before || found == after,
    };
    if !allowed {
        return Err(format!("{answer:?}, and the session is {found:?}"));
    }
    let collected = call == Call::Collect && *answer == Answer::Done;
    // After a power cut it may be back, and has expired all the same.
    if collected && power == Power::Kept && place.file(&Place::EXPIRED).exists() {
        return Err("an expired session was not collected".into());
    }
    if may_lose {
        return Ok(());
    }
    judge_index(place, call, found).await
}

/// Who owns what, by the index.
async fn judge_index(place: &Place, call: Call, found: Found) -> Result<(), String> {
    let handler = place.open();
    let mut anns = BTreeSet::from([Place::BYSTANDER]);
    let mut bobs = BTreeSet::new();
    match (call, found) {
        (Call::First, _) => anns = BTreeSet::new(),
        (Call::Rebind, Found::New) => drop(bobs.insert(Place::TARGET)),
        (_, Found::Absent) => {}
        _ => drop(anns.insert(Place::TARGET)),
    }
    match (call, found) {
        (Call::First, Found::New) => drop(anns.insert(Place::CREATED)),
        (Call::Create, Found::New) => anns.extend([Place::CREATED, Place::TARGET]),
        (Call::Create, _) => drop(anns.insert(Place::TARGET)),
        _ => {}
    }
    for (owner, expected) in [(ann(), anns), (bob(), bobs)] {
        let listed = sessions_of(&handler, &owner).await?;
        if listed != expected {
            return Err(format!("{} has {listed:?} by the index", owner.as_str()));
        }
    }
    Ok(())
}

async fn sessions_of(handler: &FileHandler, owner: &Owner) -> Result<BTreeSet<SessionKey>, String> {
    let index = handler.index().ok_or("no index")?;
    let page = index.sessions(owner, &PageRequest::first(99)).await;
    let page = page.map_err(|err| format!("asking the index: {err}"))?;
    Ok(page.items.into_iter().map(|meta| meta.key).collect())
}

/// Under which ids the session is alive: at least one, and after an answer not
/// both the old and a new one. A copy whose id nobody was told may be left by a
/// try that was in doubt; it expires.
async fn judge_ids(place: &Place, answer: &Answer, may_lose: bool) -> Result<(), String> {
    let old = is_alive(place, 1).await?;
    let mut new = 0;
    for draw in 2..9 {
        new += usize::from(is_alive(place, draw).await?);
    }
    match answer {
        _ if may_lose => Ok(()),
        Answer::Done if !old && new >= 1 => Ok(()),
        Answer::Refused(_) if old => Ok(()),
        Answer::InDoubt if old || new >= 1 => Ok(()),
        _ => Err(format!("{answer:?}, the old id is alive: {old}, and of the new ones {new}")),
    }
}

/// Uses the store like any other, and tidies it up. Returns what does not work.
pub async fn unusable(place: &Place, power: Power) -> Option<String> {
    use_it(place, power).await.err()
}

async fn use_it(place: &Place, power: Power) -> Result<(), String> {
    let handler = place.open();
    let shard = place.file(&Place::TARGET).with_file_name("");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&shard).into_iter().flatten();
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let is_temp = |name: &&String| name.starts_with(".tmp-");
    let temps: Vec<_> = names().into_iter().filter(|name| is_temp(&name)).collect();
    if temps.len() > 2 {
        return Err(format!("{} temporary files are left", temps.len()));
    }
    temps.iter().for_each(|name| age(&shard.join(name)));
    let fail = |what: &str, err: session_core::Error| format!("{what}: {err}");

    let damaged = find(&handler, &Place::TARGET).await? == Found::Damaged;
    let mut skipped = 0;
    loop {
        let report = handler.gc(&GcRequest::default()).await;
        let report = report.map_err(|err| fail("collecting", err))?;
        skipped += report.skipped;
        if !report.more {
            break;
        }
    }
    if skipped > 0 && power == Power::Kept {
        return Err("garbage collection met a record that does not verify".into());
    }
    let left: Vec<_> = names().into_iter().filter(|name| is_temp(&name)).collect();
    if !left.is_empty() {
        return Err(format!("garbage collection has left {left:?}"));
    }
    for key in [Place::CREATED, Place::TARGET] {
        handler.destroy(&key, None).await.map_err(|err| fail("destroying", err))?;
        if damaged && find(&handler, &key).await? != Found::Absent {
            return Err("a damaged session cannot be ended".into());
        }
        let options = WriteOptions::new(WriteMode::Create, SHORT).with_owner(ann());
        handler.write(&key, old(), &options).await.map_err(|err| fail("creating", err))?;
        let options = WriteOptions::new(WriteMode::Replace, SHORT).with_owner(ann());
        handler.write(&key, new(), &options).await.map_err(|err| fail("saving", err))?;
        if !handler.touch(&key, LONG).await.map_err(|err| fail("touching", err))? {
            return Err("a session that was just saved cannot be touched".into());
        }
    }
    let index = handler.index().ok_or("no index")?;
    index.revoke(&ann(), None).await.map_err(|err| fail("revoking", err))?;
    for key in [Place::CREATED, Place::TARGET, Place::BYSTANDER] {
        if find(&handler, &key).await? != Found::Absent {
            return Err("a revoked session is still there".into());
        }
    }
    Ok(())
}
