//! What the server does in one step. Scripts name only keys that they are given,
//! all of one slot, and fail before their first write or not at all.
//!
//! `WAIT` speaks for what its own connection has written. Where a script finds done what
//! somebody else, or a connection that was lost, has done, it writes what changes nothing,
//! so that replicas which confirm that have confirmed the other, too.
//!
//! Positions in a header count from 1 in Lua, and from 0 in `GETRANGE`; see
//! [`record`](crate::record) for what stands where.

use redis::{Cmd, Script as Driver};
use session_core::{Error, Operation};

use crate::error::{self, NAME};
use crate::record;

/// A script and its hash.
pub(crate) struct Script {
    text: &'static str,
    hash: Box<str>,
}

/// All scripts.
pub(crate) struct Scripts {
    pub(crate) write: Script,
    pub(crate) touch: Script,
    pub(crate) destroy: Script,
    pub(crate) lock: Script,
    pub(crate) renew: Script,
    pub(crate) unlock: Script,
    pub(crate) enter: Script,
    pub(crate) leave: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            write: Script::new(WRITE),
            touch: Script::new(TOUCH),
            destroy: Script::new(DESTROY),
            lock: Script::new(LOCK),
            renew: Script::new(RENEW),
            unlock: Script::new(UNLOCK),
            enter: Script::new(ENTER),
            leave: Script::new(LEAVE),
        }
    }
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self { text, hash: Driver::new(text).get_hash().into() }
    }

    pub(crate) fn by_hash(&self) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("EVALSHA").arg(&*self.hash);
        cmd
    }

    pub(crate) fn by_text(&self) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("EVAL").arg(self.text);
        cmd
    }
}

/// Answers of the scripts that concern a session.
pub(crate) mod code {
    pub(crate) const ABSENT: i64 = 0;
    pub(crate) const DONE: i64 = 1;
    pub(crate) const CONFLICT: i64 = 2;
    pub(crate) const LOCKED: i64 = 3;
    pub(crate) const TAKEN: i64 = 4;
    pub(crate) const FOREIGN: i64 = 5;
    pub(crate) const ENTER_FIRST: i64 = 6;
}

/// Makes the error of a script's refusal.
pub(crate) fn refusal(op: Operation, reply: i64) -> Error {
    match reply {
        code::ABSENT => Error::gone(op).with_backend(NAME),
        code::CONFLICT => Error::conflict(op).with_backend(NAME),
        code::LOCKED => Error::lock_lost(op).with_backend(NAME),
        code::TAKEN => Error::already_exists().with_backend(NAME),
        code::FOREIGN => record::foreign(op),
        _ => error::unexpected().into_error(op),
    }
}

/// Writes a record.
///
/// Keys: the session, and its lock if the write is fenced.
/// Arguments: what is expected (a version, `any` or `none`), the lifetime in
/// milliseconds, the value, the owner if the value has no entry in the index
/// yet, the fencing token.
///
/// Answers `DONE`, or the owner and the entry that the record had before.
///
/// A record that already has the new version is this very write, sent again. Its first
/// byte is written once more for the sake of `WAIT`.
const WRITE: &str = r"
if KEYS[2] then
    local grant = redis.call('GET', KEYS[2])
    if not grant or string.match(grant, '^(%d+) [1-9]') ~= ARGV[5] then return 3 end
end
local head = redis.call('GETRANGE', KEYS[1], 0, 71)
local expected, life = ARGV[1], tonumber(ARGV[2])
local ours = #head == 72 and string.sub(head, 1, 4) == 'SES\1'
local version = string.sub(head, 9, 16)
if ours and version == string.sub(ARGV[3], 9, 16) then
    redis.call('SETRANGE', KEYS[1], 0, 'S')
    return 1
end
if expected == 'none' then
    if head ~= '' then return 4 end
    if life > 0 then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
    return 1
end
if head == '' then return 0 end
if not ours then return 5 end
if expected ~= 'any' and expected ~= version then return 2 end
local entry, owner = string.sub(head, 33, 40), ''
if entry ~= '\0\0\0\0\0\0\0\0' then
    owner = redis.call('GETRANGE', KEYS[1], 72, 71 + string.byte(head, 6))
end
local covered
if ARGV[4] ~= '' then
    if owner ~= ARGV[4] then return 6 end
    local left = redis.call('PTTL', KEYS[1])
    covered = struct.unpack('<I8', head, 41) - (struct.unpack('<I8', head, 57) - left)
    if covered < life then return 6 end
end
if life == 0 then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
    if covered then
        redis.call('SETRANGE', KEYS[1], 32, entry .. struct.pack('<I8', covered))
        return 1
    end
end
if owner ~= '' then return {owner, entry} end
return 1
";

/// Extends a lifetime, but not that of a pointer.
///
/// Keys: the session. Arguments: the lifetime in milliseconds, the caller's
/// time, and if an owner's entry was renewed its score, for how long it stays, and
/// the owner. If the session is another's by now, that counts for nothing.
///
/// A touch that was long on its way comes with an old time, by which what
/// remains would seem to be less than before: the time that the record tells is
/// taken then, unless the clocks disagree by more than a second anyway.
///
/// Answers `DONE`, or the owner whose entry must be renewed first.
const TOUCH: &str = r"
local head = redis.call('GETRANGE', KEYS[1], 0, 71)
if head == '' then return 0 end
if #head ~= 72 or string.sub(head, 1, 4) ~= 'SES\1' then return 5 end
if string.byte(head, 5) == 1 then return 0 end
local covered, touched, life, absolute = struct.unpack('<I8I8I8I8', head, 41)
local left = redis.call('PTTL', KEYS[1])
local elapsed = math.max(life - left, 0)
local new, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local ahead = touched + elapsed - now
if ahead > 0 and ahead <= 1000 then now = now + ahead end
if absolute > 0 then
    absolute = math.max(absolute - elapsed, 1)
    new = math.min(new, absolute)
end
new = math.max(new, left)
local entry = string.sub(head, 33, 40)
if entry ~= '\0\0\0\0\0\0\0\0' then
    covered = math.max(covered - elapsed, 0)
    local owner = redis.call('GETRANGE', KEYS[1], 72, 71 + string.byte(head, 6))
    if ARGV[3] ~= '' and owner == ARGV[5] then
        entry, covered = ARGV[3], tonumber(ARGV[4])
    elseif new > covered then
        return {owner}
    end
end
local times = struct.pack('<I8I8I8I8', covered, now, new, absolute)
redis.call('SETRANGE', KEYS[1], 32, entry .. times)
if new > left then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', new)) end
return 1
";

/// Removes a record.
///
/// Keys: the session. Arguments: the version it must have or nothing, the owner
/// that it must be indexed under or nothing, 1 if replicas must confirm.
///
/// If they must, a record that is gone is made and removed at once, and one that is
/// another's gets its first byte again, for the sake of `WAIT`.
///
/// Answers `DONE`, or the owner and the entry that the record had.
const DESTROY: &str = r"
local head = redis.call('GETRANGE', KEYS[1], 0, 71)
if head == '' then
    if ARGV[3] == '1' then
        redis.call('SET', KEYS[1], '')
        redis.call('DEL', KEYS[1])
    end
    return 0
end
local ours = #head == 72 and string.sub(head, 1, 4) == 'SES\1'
if ARGV[1] ~= '' then
    if not ours then return 5 end
    if string.sub(head, 9, 16) ~= ARGV[1] then return 2 end
end
local entry, owner = string.sub(head, 33, 40), ''
if ours and entry ~= '\0\0\0\0\0\0\0\0' then
    owner = redis.call('GETRANGE', KEYS[1], 72, 71 + string.byte(head, 6))
end
if ARGV[2] ~= '' and owner ~= ARGV[2] then
    if ARGV[3] == '1' then redis.call('SETRANGE', KEYS[1], 0, string.sub(head, 1, 1)) end
    return 0
end
redis.call('DEL', KEYS[1])
if owner ~= '' then return {owner, entry} end
return 1
";

/// Takes a lock. Keys: the lock. Arguments: the lease, and for how long the
/// number of the grant is remembered after it, in milliseconds.
///
/// A grant is its number and the end of its lease, 0 once it was freed.
/// Numbers are microseconds of the server's clock, so that they go on rising
/// when a grant has been forgotten. Answers the number, or 0.
const LOCK: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token = now
local grant = redis.call('GET', KEYS[1])
if grant then
    local last, till = string.match(grant, '^(%d+) (%d+)$')
    if tonumber(till) > now then return 0 end
    token = math.max(now, last + 1)
end
local till = now + ARGV[1] * 1000
local life = string.format('%.0f', ARGV[1] + ARGV[2])
redis.call('SET', KEYS[1], string.format('%.0f %.0f', token, till), 'PX', life)
return token
";

/// Renews a lease. Keys: the lock. Arguments: the lease, the remembering, the number.
const RENEW: &str = r"
local grant = redis.call('GET', KEYS[1])
if not grant or string.match(grant, '^(%d+) [1-9]') ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
local till = time[1] * 1000000 + time[2] + ARGV[1] * 1000
local life = string.format('%.0f', ARGV[1] + ARGV[2])
redis.call('SET', KEYS[1], string.format('%s %.0f', ARGV[3], till), 'PX', life)
return 1
";

/// Frees a lock. Keys: the lock. Arguments: the remembering, the number.
const UNLOCK: &str = r"
local grant = redis.call('GET', KEYS[1])
if not grant or string.match(grant, '^(%d+) [1-9]') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ' 0', 'PX', ARGV[1])
return 1
";

/// Puts a session into an owner's index. Keys: the owner. Arguments: the
/// session, and for how long its entry must stay, and the slack, in milliseconds.
///
/// The score is the moment when the entry may go; it is never one that the
/// entry had before. Entries whose moment is past the slack go now, and the whole
/// key goes with its last entry. Answers the score.
const ENTER: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slack = tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - slack))
local score = now + ARGV[2]
local last = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if score <= last then score = last + 1 end
redis.call('ZADD', KEYS[1], string.format('%.0f', score), ARGV[1])
local life = score - now + slack
if redis.call('PTTL', KEYS[1]) < life then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', life))
end
return score
";

/// Takes a session out of an owner's index. Keys: the owner. Arguments: the
/// session, and the score that its entry must still have.
const LEAVE: &str = r"
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then
    return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
";
