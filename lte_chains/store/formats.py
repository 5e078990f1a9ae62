"""The tables of a SQLite ledger, and what makes them out of those of earlier formats."""

from __future__ import annotations

BY_CONTENT = """(slot IS NULL OR statement IS NOT NULL OR prompt NOT GLOB '*[0-9A-Za-z]*')"""
"""Which versions are found by their content, in statements: at least all that have no slot of
their own. What has one is found by it."""

TABLES = (
    """CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE rooms (room INTEGER PRIMARY KEY, namespace TEXT NOT NULL)""",
    """CREATE UNIQUE INDEX rooms_by_namespace ON rooms (namespace)""",
    """CREATE TABLE revisions (
        room INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        operation TEXT NOT NULL,
        at TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (room, revision)
    ) WITHOUT ROWID""",
    # state: 1 if it is live, 2 if it is pending, 0 if it is neither. No digest: it was purged.
    """CREATE TABLE versions (
        key INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        proposed INTEGER NOT NULL,
        state INTEGER NOT NULL,
        prompt TEXT,
        target_new TEXT,
        subject TEXT,
        relation TEXT,
        statement TEXT,
        valid_from TEXT,
        valid_until TEXT,
        source TEXT,
        metadata TEXT,
        aliases TEXT,
        many_valued INTEGER,
        slot TEXT,
        digest BLOB
    )""",
    """CREATE UNIQUE INDEX versions_by_id ON versions (room, id, version)""",
    """CREATE INDEX live_by_slot ON versions (room, slot, state) WHERE state = 1""",
    f"""CREATE INDEX live_by_content ON versions (room, digest)
        WHERE state = 1 AND {BY_CONTENT}""",
    """CREATE INDEX pending_by_content ON versions (room, digest) WHERE state = 2""",
    """CREATE TABLE vectors (key INTEGER PRIMARY KEY, vector BLOB NOT NULL)""",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        revision INTEGER NOT NULL,
        action TEXT NOT NULL,
        key INTEGER NOT NULL,
        superseded_by TEXT
    )""",
    """CREATE INDEX events_by_key ON events (key)""",
    """CREATE TABLE other_slots (
        room INTEGER NOT NULL,
        slot TEXT NOT NULL,
        key INTEGER NOT NULL,
        PRIMARY KEY (room, slot, key)
    ) WITHOUT ROWID""",
    """CREATE INDEX other_slots_by_key ON other_slots (key)""",
)
"""Formats 4 and 5, in which new files are made."""

_CONTENT = """v.prompt, v.target_new, v.subject, v.relation, v.statement, v.valid_from,
    v.valid_until, v.source, v.metadata, v.aliases, v.many_valued, v.slot, v.digest"""
_FROM_3 = (
    "DROP INDEX live_by_slot",
    "DROP INDEX other_slots_by_id",
    *(
        f"ALTER TABLE {name} RENAME TO old_{name}"
        for name in ("revisions", "versions", "vectors", "events", "other_slots")
    ),
    *(statement for statement in TABLES if not statement.startswith("CREATE TABLE meta")),
    """INSERT INTO rooms (namespace) SELECT DISTINCT namespace FROM old_revisions""",
    # A version's key is now the number of the event that it was written with.
    f"""INSERT INTO versions
        SELECT e.seq, r.room, e.id, e.version, e.revision, e.action = 'propose',
            CASE WHEN l.key IS NOT NULL THEN 1 WHEN p.key IS NOT NULL THEN 2 ELSE 0 END,
            {_CONTENT}
        FROM old_events AS e JOIN rooms AS r USING (namespace)
        LEFT JOIN old_versions AS v USING (namespace, id, version)
        LEFT JOIN live AS l
            ON l.namespace = e.namespace AND l.id = e.id AND l.version = e.version
        LEFT JOIN pending AS p
            ON p.namespace = e.namespace AND p.id = e.id AND p.version = e.version
        WHERE e.action IN ('add', 'propose') ORDER BY e.seq""",  # noqa: S608
    # In a damaged file: kept, for the doctor to tell of.
    f"""INSERT INTO versions
        SELECT (SELECT coalesce(max(seq), 0) FROM old_events)
                + row_number() OVER (ORDER BY v.key),
            r.room, v.id, v.version, v.revision, 0, 0, {_CONTENT}
        FROM old_versions AS v JOIN rooms AS r USING (namespace)
        WHERE NOT EXISTS (SELECT 1 FROM versions AS n
            WHERE n.room = r.room AND n.id = v.id AND n.version = v.version)""",  # noqa: S608
    """INSERT INTO vectors
        SELECT n.key, x.vector FROM versions AS n JOIN rooms AS r USING (room)
        JOIN old_versions AS v
            ON v.namespace = r.namespace AND v.id = n.id AND v.version = n.version
        JOIN old_vectors AS x ON x.key = v.key ORDER BY n.key""",
    """INSERT INTO events
        SELECT e.seq, e.revision, e.action, n.key, e.superseded_by
        FROM old_events AS e JOIN rooms AS r USING (namespace)
        JOIN versions AS n ON n.room = r.room AND n.id = e.id AND n.version = e.version
        WHERE e.action NOT IN ('add', 'propose') ORDER BY e.seq""",
    """INSERT INTO revisions
        SELECT r.room, o.revision, o.operation, o.at, coalesce(min(e.seq), 1),
            coalesce(max(e.seq), 0)
        FROM old_revisions AS o JOIN rooms AS r USING (namespace)
        LEFT JOIN old_events AS e USING (namespace, revision)
        GROUP BY o.namespace, o.revision""",
    """INSERT INTO other_slots
        SELECT n.room, o.slot, n.key FROM old_other_slots AS o JOIN rooms AS r USING (namespace)
        JOIN versions AS n ON n.room = r.room AND n.id = o.id AND n.state = 1""",
    *(
        f"DROP TABLE {name}"
        for name in (
            *("old_revisions", "old_versions", "old_vectors", "old_events", "old_other_slots"),
            *("live", "pending"),
        )
    ),
)

MIGRATIONS: dict[int, tuple[str, ...]] = {
    2: (
        """CREATE TABLE pending (
            namespace TEXT NOT NULL,
            id TEXT NOT NULL,
            key INTEGER NOT NULL,
            version INTEGER NOT NULL,
            digest BLOB NOT NULL,
            PRIMARY KEY (namespace, id)
        ) WITHOUT ROWID""",
        """CREATE INDEX pending_by_digest ON pending (namespace, digest, key)""",
    ),
    3: (
        """ALTER TABLE versions ADD COLUMN aliases TEXT""",
        """ALTER TABLE versions ADD COLUMN many_valued INTEGER""",
        """CREATE TABLE other_slots (
            namespace TEXT NOT NULL,
            slot TEXT NOT NULL,
            id TEXT NOT NULL,
            PRIMARY KEY (namespace, slot, id)
        ) WITHOUT ROWID""",
        """CREATE INDEX other_slots_by_id ON other_slots (namespace, id)""",
    ),
    4: _FROM_3,
    5: (),  # the tables are the same, and the slots are brought into today's form: see `schema`
}
"""What makes each format out of the one before it."""
