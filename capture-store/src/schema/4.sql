CREATE INDEX audit_by_object ON audit (object, seq);

-- Who created a task, as people read it: `uid 1000`, `token NAME`. The audit log knows it of earlier ones.
ALTER TABLE tasks ADD COLUMN created_by TEXT;

UPDATE tasks SET created_by = (
    -- A token has its ID behind its name.
    SELECT CASE WHEN who LIKE 'token %' THEN substr(who, 1, length(who) - 27) ELSE who END
    FROM audit WHERE object = tasks.id AND action = 'task.create' AND outcome = 'done' ORDER BY seq LIMIT 1
);

-- How many findings of each severity its report has, as JSON; here, as behind a long report they cost its length.
ALTER TABLE tasks ADD COLUMN findings TEXT;

UPDATE tasks SET findings = (
    SELECT json_object(
        'high', count(*) FILTER (WHERE json_extract(finding.value, '$.severity') = 'high'),
        'warn', count(*) FILTER (WHERE json_extract(finding.value, '$.severity') = 'warn'),
        'info', count(*) FILTER (WHERE json_extract(finding.value, '$.severity') = 'info')
    )
    FROM findings, json_each(findings.report, '$.findings') AS finding WHERE findings.task = tasks.seq
)
WHERE seq IN (SELECT task FROM findings WHERE json_valid(report));

-- When a token was last used, to five minutes.
ALTER TABLE tokens ADD COLUMN used_at INTEGER;
