-- What people note about packets of a task: a mark, a comment or both. `number` counts the packets of its files, from 1.
CREATE TABLE notes (
    task    INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    number  INTEGER NOT NULL CHECK (number > 0),
    marked  INTEGER NOT NULL CHECK (marked IN (0, 1)),
    comment TEXT,
    who     TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (task, number),
    CHECK (marked = 1 OR comment IS NOT NULL)
) STRICT, WITHOUT ROWID;
