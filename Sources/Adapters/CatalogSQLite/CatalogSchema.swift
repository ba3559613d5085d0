internal import GRDB

/// The format of the file.
///
/// The two numbers are in the file's first hundred bytes, where they are read before SQLite is let near it.
enum CatalogSchema {
    /// "PGMc"
    static let applicationID: UInt32 = 0x5047_4D63
    /// The format this version writes; the file's `user_version`.
    static let version: UInt32 = 1

    static func create(_ db: Database, clusterID: String) throws {
        try db.execute(sql: tables)
        try db.execute(sql: answers)
        try db.execute(sql: "INSERT INTO catalog (id, epoch, cluster_id) VALUES (1, 0, ?)", arguments: [clusterID])
        try db.execute(sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version)")
    }

    /// Answers to requests, with the epochs of their changes. A file from before there were some gets the table when it is opened; an older version does
    /// not look at it.
    static let answers = """
        CREATE TABLE answer (key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
        CREATE INDEX answer_by_epoch ON answer (epoch);
        """

    // A record's epoch is that of its last change: what is newer than a reader's snapshot is found by it.
    // `ends_at` is in milliseconds of `LeaseInstant`, and `boot` is which start of the machine it counts from.
    private static let tables = """
        CREATE TABLE catalog (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, cluster_id TEXT NOT NULL) STRICT;
        CREATE TABLE record (
            kind TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL, body TEXT NOT NULL, vnodes BLOB,
            PRIMARY KEY (kind, key)
        ) STRICT;
        CREATE INDEX record_by_epoch ON record (epoch);
        CREATE TABLE history (epoch INTEGER PRIMARY KEY, time REAL NOT NULL, author TEXT NOT NULL, entry TEXT NOT NULL) STRICT;
        CREATE TABLE lease (
            name TEXT PRIMARY KEY, holder TEXT, token INTEGER NOT NULL, boot TEXT NOT NULL, ends_at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE member (id TEXT PRIMARY KEY, boot TEXT NOT NULL, ends_at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
        """
}
