PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE bus (
		one          INTEGER PRIMARY KEY CHECK (one = 1),
		next_message INTEGER NOT NULL,
		topology     INTEGER NOT NULL -- grows with every change of queues or bindings
	) STRICT;
INSERT INTO bus VALUES(1,5,3);
CREATE TABLE queue (
		id      INTEGER PRIMARY KEY AUTOINCREMENT,
		name    TEXT NOT NULL UNIQUE,
		owner   TEXT,                       -- instance that holds the lease
		turn    INTEGER NOT NULL DEFAULT 0, -- grows whenever the owner changes
		handed  INTEGER NOT NULL DEFAULT 0  -- messages up to here may have been handed out before
	) STRICT;
INSERT INTO queue VALUES(1,'unrouted',NULL,0,0);
INSERT INTO queue VALUES(2,'crm',NULL,0,0);
INSERT INTO queue VALUES(3,'packing','9f0c5a1e-1111-4222-8333-444455556666',1,0);
CREATE TABLE binding (
		queue   INTEGER NOT NULL REFERENCES queue (id) ON DELETE CASCADE,
		pattern TEXT NOT NULL,
		PRIMARY KEY (queue, pattern)
	) STRICT, WITHOUT ROWID;
INSERT INTO binding VALUES(2,'order.#');
INSERT INTO binding VALUES(3,'order.events.placed.*');
CREATE TABLE instance (
		id      TEXT PRIMARY KEY,
		host    TEXT NOT NULL,
		pid     INTEGER NOT NULL,
		expires INTEGER NOT NULL -- microseconds since 1970
	) STRICT, WITHOUT ROWID;
INSERT INTO instance VALUES('9f0c5a1e-1111-4222-8333-444455556666','elsewhere',1,1767225600000000);
CREATE TABLE message (
		seq             INTEGER PRIMARY KEY,
		id              TEXT NOT NULL,
		source          TEXT NOT NULL,
		type            TEXT NOT NULL,
		subject         TEXT NOT NULL,
		time            TEXT NOT NULL, -- RFC 3339 with nanoseconds
		datacontenttype TEXT NOT NULL,
		correlationid   TEXT NOT NULL,
		causationid     TEXT NOT NULL,
		traceparent     TEXT NOT NULL,
		sequence        INTEGER NOT NULL,
		data            BLOB
	) STRICT;
INSERT INTO message VALUES(1,'placed-0','/orderflow/order','order.events.placed.v1','o1','2027-01-15T08:00:00Z','application/json','','','',0,X'7b7d');
INSERT INTO message VALUES(2,'placed-1','/orderflow/order','order.events.placed.v1','o1','2027-01-15T08:00:00.000000001Z','application/json','','','',1,X'7b7d');
INSERT INTO message VALUES(3,'placed-2','/orderflow/order','order.events.placed.v1','o1','2027-01-15T08:00:00.000000002Z','application/json','','','',2,X'7b7d');
INSERT INTO message VALUES(4,'placed-3','/orderflow/order','catalog.events.product_listed.v1','o1','2027-01-15T08:00:00.000000003Z','application/json','','','',3,X'7b22736b75223a22c3bc227d');
CREATE TABLE delivery (
		queue   INTEGER NOT NULL,
		message INTEGER NOT NULL,
		PRIMARY KEY (queue, message)
	) STRICT, WITHOUT ROWID;
INSERT INTO delivery VALUES(2,1);
INSERT INTO delivery VALUES(3,1);
INSERT INTO delivery VALUES(2,2);
INSERT INTO delivery VALUES(3,2);
INSERT INTO delivery VALUES(2,3);
INSERT INTO delivery VALUES(3,3);
INSERT INTO delivery VALUES(1,4);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('queue',3);
CREATE INDEX delivery_by_message ON delivery (message);
COMMIT;
PRAGMA user_version = 1;
