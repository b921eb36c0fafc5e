-- One row: who this journal is, and how far the fleet has it.
CREATE TABLE journal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    acked_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The journal itself. No index beside the key: each would be written at every commit.
CREATE TABLE record (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    boot INTEGER NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- A cache: any row may be deleted at any time.
CREATE TABLE snapshot (
    seq INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    hash BLOB NOT NULL,
    confirmed_ms INTEGER,
    fold INTEGER NOT NULL,
    state BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT;

-- No cache: what pruned records (or an older journal, at seq 0) have left, signed by the machine.
CREATE TABLE base (
    seq INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    hash BLOB NOT NULL,
    confirmed_ms INTEGER,
    fold INTEGER NOT NULL,
    state BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- Records of an older, broken journal that could be read and that the fleet does not have.
CREATE TABLE carried (
    journal BLOB NOT NULL,
    seq INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL,
    verified INTEGER NOT NULL,
    PRIMARY KEY (journal, seq)
) STRICT, WITHOUT ROWID;
