-- Links by which somebody without a token sees a task for a while.
CREATE TABLE shares (
    id         TEXT    PRIMARY KEY NOT NULL,
    task       INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    who        TEXT    NOT NULL,
    -- SHA-256 of the secret.
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    findings   INTEGER NOT NULL CHECK (findings IN (0, 1)),
    packets    TEXT    NOT NULL CHECK (packets IN ('none', 'headers', 'whole')),
    anonymise  INTEGER NOT NULL CHECK (anonymise IN (0, 1)),
    note       TEXT,
    uses       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX shares_by_task ON shares (task);
CREATE INDEX shares_by_hash ON shares (substr(hash, 1, 4));
CREATE INDEX shares_by_expiry ON shares (expires_at);

-- What the pseudonyms of a task's addresses are made by.
CREATE TABLE pseudonym_keys (
    task INTEGER PRIMARY KEY NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    key  BLOB    NOT NULL CHECK (length(key) = 32)
) STRICT;
