-- When a task captured nothing though it had begun, as JSON; the last one is open until it is taken up again. What its
-- row has of figures and files while it runs is then of before.
ALTER TABLE tasks ADD COLUMN interruptions TEXT NOT NULL DEFAULT '[]';
