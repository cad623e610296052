-- Tasks in the order of their creation, which is also the order in which they wait.
CREATE TABLE tasks (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT    NOT NULL UNIQUE,
    account          TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    spec             TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'stopping', 'completed', 'failed')),
    stop_reason      TEXT,
    error            TEXT,
    created_at       INTEGER NOT NULL,
    start_at         INTEGER,
    started_at       INTEGER,
    ended_at         INTEGER,
    expires_at       INTEGER,
    files_removed_at INTEGER,
    -- Bytes taken from the disk budget: the most it may write, and once it has ended what it wrote.
    held_bytes       INTEGER NOT NULL CHECK (held_bytes >= 0),
    counters         TEXT    NOT NULL,
    verdict          TEXT
) STRICT;

CREATE INDEX tasks_by_state ON tasks (state, seq);
CREATE INDEX tasks_by_expiry ON tasks (expires_at) WHERE files_removed_at IS NULL;
CREATE INDEX tasks_holding ON tasks (held_bytes) WHERE held_bytes > 0;

CREATE TABLE files (
    task     INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    number   INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    size     INTEGER NOT NULL,
    packets  INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    sha256   TEXT,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;

-- What the quota counts; apart from the tasks, so that deleting one gives nothing back.
CREATE TABLE creations (
    account TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

CREATE INDEX creations_by_account ON creations (account, at);

CREATE TABLE idempotency_keys (
    account TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    -- SHA-256 of the request, and the answer to it.
    request BLOB    NOT NULL,
    answer  TEXT    NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

CREATE TABLE tokens (
    id         TEXT    PRIMARY KEY NOT NULL,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    account    TEXT    NOT NULL,
    -- SHA-256 of the secret.
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX tokens_in_use ON tokens (name) WHERE revoked_at IS NULL;
CREATE INDEX tokens_by_hash ON tokens (substr(hash, 1, 4));

-- The audit log: each line carries the hash of the one before and its own.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY NOT NULL,
    at       INTEGER NOT NULL,
    who      TEXT    NOT NULL,
    origin   TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    object   TEXT    NOT NULL,
    outcome  TEXT    NOT NULL,
    previous BLOB    NOT NULL CHECK (length(previous) = 32),
    hash     BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Its last line, so that lines cut off at the end are missed.
CREATE TABLE audit_head (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seq  INTEGER NOT NULL,
    hash BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO audit_head VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT seq + 1 FROM audit_head) OR NEW.previous <> (SELECT hash FROM audit_head)
BEGIN SELECT RAISE(ABORT, 'the audit log only grows at its end'); END;

CREATE TRIGGER audit_grows AFTER INSERT ON audit
BEGIN UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash; END;

CREATE TRIGGER audit_keeps_lines BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_loses_none BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
WHEN NEW.only <> 1 OR NEW.seq <> OLD.seq + 1 OR NOT EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
