-- What the analysis of a task's files said, or why there is none; a task that is not here was not analyzed.
CREATE TABLE findings (
    task   INTEGER PRIMARY KEY NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    report TEXT,
    error  TEXT,
    CHECK ((report IS NULL) <> (error IS NULL))
) STRICT;
