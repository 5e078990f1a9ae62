PRAGMA application_id = 1280591153;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        namespace TEXT NOT NULL,
        revision INTEGER NOT NULL,
        action TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        superseded_by TEXT
    );
INSERT INTO "events" VALUES(1,'default',1,'add','jane',1,NULL);
INSERT INTO "events" VALUES(2,'default',1,'add','seat',1,NULL);
INSERT INTO "events" VALUES(3,'default',2,'supersede','jane',1,'john');
INSERT INTO "events" VALUES(4,'default',2,'add','jane',2,NULL);
INSERT INTO "events" VALUES(5,'default',2,'add','john',1,NULL);
INSERT INTO "events" VALUES(6,'default',3,'add','anvils',1,NULL);
INSERT INTO "events" VALUES(7,'default',4,'retract','anvils',1,NULL);
INSERT INTO "events" VALUES(8,'other',1,'add','sum',1,NULL);
CREATE TABLE live (
        namespace TEXT NOT NULL,
        id TEXT NOT NULL,
        key INTEGER NOT NULL,
        version INTEGER NOT NULL,
        slot TEXT,
        digest BLOB NOT NULL,
        valid_from TEXT,
        valid_until TEXT,
        PRIMARY KEY (namespace, id)
    ) WITHOUT ROWID;
INSERT INTO "live" VALUES('default','jane',3,2,'acmeceo',X'91F99A11662FD92DC3D56D8F6C1857D2735A0B2B039634E4A79702904341E8FA',NULL,'2027-01-01T00:00:00.000000+00:00');
INSERT INTO "live" VALUES('default','john',4,1,'acmeceo',X'0843EE9F4839B89E0043DEAB2FC8B58A3C86FAFDAA914C2E0756B1453F05D8CD','2027-01-01T00:00:00.000000+00:00',NULL);
INSERT INTO "live" VALUES('default','seat',2,1,'acme''s seat is in',X'7D723838C72EE1E4633F4C9E8FF051C8462809CC86967DF7B9CA78BE9D1C1F79',NULL,NULL);
INSERT INTO "live" VALUES('other','sum',6,1,'2 + 2 is',X'2242DAAAFB1D19B503EBE86E9558FD4FB37858FE441D2AB3E71D209C0A717FA0',NULL,NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('space','{"fingerprint": "BagOfWordsEmbeddings:670ae4011b93", "dimension": 4}');
CREATE TABLE revisions (
        namespace TEXT NOT NULL,
        revision INTEGER NOT NULL,
        operation TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (namespace, revision)
    ) WITHOUT ROWID;
INSERT INTO "revisions" VALUES('default',1,'add','2026-11-21T17:52:42.911880+00:00');
INSERT INTO "revisions" VALUES('default',2,'add','2026-11-21T17:52:42.921952+00:00');
INSERT INTO "revisions" VALUES('default',3,'add','2026-11-21T17:52:42.925699+00:00');
INSERT INTO "revisions" VALUES('default',4,'retract','2026-11-21T17:52:42.929589+00:00');
INSERT INTO "revisions" VALUES('other',1,'add','2026-11-21T17:52:42.933782+00:00');
CREATE TABLE vectors (key INTEGER PRIMARY KEY, vector BLOB NOT NULL);
INSERT INTO "vectors" VALUES(1,X'B25F9A3E000000008B8F673FB25F9A3E');
INSERT INTO "vectors" VALUES(2,X'00000000000000004001553FD5000E3F');
INSERT INTO "vectors" VALUES(3,X'B25F9A3E000000008B8F673FB25F9A3E');
INSERT INTO "vectors" VALUES(4,X'B25F9A3E000000008B8F673FB25F9A3E');
INSERT INTO "vectors" VALUES(5,X'00000000000000000000803F00000000');
INSERT INTO "vectors" VALUES(6,X'000000002EF9643F000000002EF9E43E');
CREATE TABLE versions (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        prompt TEXT NOT NULL,
        target_new TEXT NOT NULL,
        subject TEXT,
        relation TEXT,
        statement TEXT,
        valid_from TEXT,
        valid_until TEXT,
        source TEXT,
        metadata TEXT NOT NULL,
        slot TEXT,
        digest BLOB NOT NULL,
        UNIQUE (namespace, id, version)
    );
INSERT INTO "versions" VALUES(1,'default','jane',1,1,'The CEO of Acme is','Jane Doe','Acme','CEO',NULL,NULL,NULL,NULL,'{}','acmeceo',X'F5C72AA2BB825243108DD6E95810D09AA6A5987A2F7D71440EE323BB0780CF73');
INSERT INTO "versions" VALUES(2,'default','seat',1,1,'Acme''s seat is in','Lisbon',NULL,NULL,NULL,NULL,NULL,'https://acme.example','{"ticket": 7}','acme''s seat is in',X'7D723838C72EE1E4633F4C9E8FF051C8462809CC86967DF7B9CA78BE9D1C1F79');
INSERT INTO "versions" VALUES(3,'default','jane',2,2,'The CEO of Acme is','Jane Doe','Acme','CEO',NULL,NULL,'2027-01-01T00:00:00.000000+00:00',NULL,'{}','acmeceo',X'91F99A11662FD92DC3D56D8F6C1857D2735A0B2B039634E4A79702904341E8FA');
INSERT INTO "versions" VALUES(4,'default','john',1,2,'The CEO of Acme is','John Roe','Acme','CEO',NULL,'2027-01-01T00:00:00.000000+00:00',NULL,NULL,'{}','acmeceo',X'0843EE9F4839B89E0043DEAB2FC8B58A3C86FAFDAA914C2E0756B1453F05D8CD');
INSERT INTO "versions" VALUES(5,'default','anvils',1,3,'','',NULL,NULL,'Acme makes anvils.',NULL,NULL,NULL,'{}',NULL,X'BECBA66616DFD64314628455DD2991B1A770D61DD5449BFD47126CD6F374B9DE');
INSERT INTO "versions" VALUES(6,'other','sum',1,1,'2 + 2 is','5',NULL,NULL,NULL,NULL,NULL,NULL,'{}','2 + 2 is',X'2242DAAAFB1D19B503EBE86E9558FD4FB37858FE441D2AB3E71D209C0A717FA0');
CREATE INDEX events_by_id ON events (namespace, id, seq);
CREATE INDEX events_by_revision ON events (namespace, revision);
CREATE INDEX live_by_slot ON live (namespace, slot, key);
CREATE INDEX live_by_digest ON live (namespace, digest, key);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('versions',6);
COMMIT;
