internal import CatalogStore
internal import Foundation
internal import GRDB
internal import ShardModel

/// The catalog's records in the file. Every function runs inside a transaction of its caller, so that it sees one epoch.
enum CatalogTables {
    static func epoch(_ db: Database) throws -> Epoch {
        guard let number = try Int64.fetchOne(db.cachedStatement(sql: "SELECT epoch FROM catalog")).flatMap(UInt64.init(exactly:)) else {
            throw CatalogError.invalid("the catalog's file is damaged: it has no epoch")
        }
        return Epoch(number)
    }

    /// The stored snapshot. Only what changed since `known` is read, when that is an older one of this file.
    static func snapshot(_ db: Database, known: CatalogSnapshot?) throws -> CatalogSnapshot {
        let epoch = try epoch(db)
        if let known, known.epoch == epoch { return known }
        guard let clusterID = try String.fetchOne(db.cachedStatement(sql: "SELECT cluster_id FROM catalog")) else {
            throw CatalogError.invalid("the catalog's file is damaged: it has no cluster")
        }
        // A catalog that was replaced may be another cluster's, whose records have nothing to do with the known ones.
        let base = known.flatMap { $0.epoch < epoch && $0.clusterID == clusterID ? $0 : nil } ?? CatalogSnapshot(clusterID: clusterID)
        var snapshot = base
        var touch = CatalogTouch()
        snapshot.epoch = epoch
        // A catalog without a base is read whole: its records are all newer than -1.
        let after = base.epoch == .zero ? -1 : Int64(base.epoch.number)
        let rows = try Row.fetchCursor(
            db.cachedStatement(sql: "SELECT kind, key, version, body, vnodes FROM record WHERE epoch > ?"), arguments: [after])
        while let row = try rows.next() { try RecordRow(row).add(to: &snapshot, &touch) }
        try removeDeleted(db, from: &snapshot, &touch)
        do {
            try snapshot.checkInvariants(touch: touch, since: base)
        } catch {
            throw CatalogError.invalid("the stored catalog breaks its own rules: \(error)")
        }
        return snapshot
    }

    /// The snapshot holds every stored record by now; when it holds more, the rest were deleted since its base.
    private static func removeDeleted(_ db: Database, from snapshot: inout CatalogSnapshot, _ touch: inout CatalogTouch) throws {
        let count = try Int.fetchOne(db, sql: "SELECT count(*) FROM record") ?? 0
        let held = [
            snapshot.databases.count, snapshot.shards.count, snapshot.tables.count, snapshot.users.count, snapshot.settings.count, snapshot.jobs.count,
            snapshot.holds.count,
        ].reduce(0, +)
        guard held != count else { return }
        var keys: [RecordRow.Kind: Set<String>] = [:]
        let rows = try Row.fetchCursor(db, sql: "SELECT kind, key FROM record")
        while let row = try rows.next() {
            guard let kind = RecordRow.Kind(rawValue: row[0]) else { continue }
            keys[kind, default: []].insert(row[1])
        }
        func isStored(_ kind: RecordRow.Kind, _ key: String) -> Bool { keys[kind]?.contains(key) ?? false }
        for name in snapshot.databases.keys where !isStored(.database, name) {
            snapshot.databases[name] = nil
            touch.databases.insert(name)
        }
        for id in snapshot.shards.keys where !isStored(.shard, id.name) {
            snapshot.shards[id] = nil
            touch.shards.insert(id)
        }
        for key in snapshot.tables.keys where !isStored(.table, RecordRow.key(of: key)) {
            snapshot.tables[key] = nil
            touch.tables.insert(key)
        }
        for name in snapshot.users.keys where !isStored(.user, name) {
            snapshot.users[name] = nil
            touch.users.insert(name)
        }
        for name in snapshot.settings.keys where !isStored(.setting, name) { snapshot.settings[name] = nil }
        for id in snapshot.jobs.keys where !isStored(.job, id) {
            snapshot.jobs[id] = nil
            touch.jobs.insert(id)
        }
        for job in snapshot.holds.keys where !isStored(.hold, job) {
            snapshot.holds[job] = nil
            touch.holds.insert(job)
        }
    }

    // MARK: writing

    /// Stores what `touch` names of `snapshot`, as of its epoch.
    ///
    /// - base: what is stored; nil: nothing.
    static func store(_ snapshot: CatalogSnapshot, _ touch: CatalogTouch, over base: CatalogSnapshot?, _ db: Database) throws {
        let epoch = Int64(snapshot.epoch.number)
        let changes = try RecordRow.changes(to: snapshot, touch, over: base)
        for row in changes.put {
            try db.cachedStatement(sql: """
                INSERT INTO record (kind, key, version, epoch, body, vnodes) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, epoch = excluded.epoch, body = excluded.body,
                    vnodes = coalesce(excluded.vnodes, vnodes)
                """).execute(arguments: [row.kind.rawValue, row.key, Int64(row.version), epoch, row.body, row.vnodes])
        }
        for (kind, key) in changes.removed {
            try db.cachedStatement(sql: "DELETE FROM record WHERE kind = ? AND key = ?").execute(arguments: [kind.rawValue, key])
        }
        try db.execute(sql: "UPDATE catalog SET epoch = ?", arguments: [epoch])
    }

    /// Takes everything out, for a catalog that is replaced.
    static func clear(_ db: Database, clusterID: String) throws {
        try db.execute(sql: "DELETE FROM record; DELETE FROM history; DELETE FROM answer")
        try db.execute(sql: "UPDATE catalog SET cluster_id = ?", arguments: [clusterID])
    }

    // MARK: history

    static func remember(_ entry: CatalogHistoryEntry, _ db: Database) throws {
        let epoch = Int64(entry.epoch.number)
        let text: String
        do {
            text = String(decoding: try JSONEncoder().encode(entry), as: UTF8.self)
        } catch {
            throw CatalogError.invalid("the change cannot be stored: \(error)")
        }
        try db.cachedStatement(sql: "INSERT INTO history (epoch, time, author, entry) VALUES (?, ?, ?, ?)")
            .execute(arguments: [epoch, entry.time, entry.change.author, text])
        try db.cachedStatement(sql: "DELETE FROM history WHERE epoch <= ?")
            .execute(arguments: [epoch - Int64(CatalogHistoryEntry.keptMin)])
    }

    // MARK: answers

    static func keep(_ answer: KeptAnswer, with epoch: Epoch, _ db: Database) throws {
        let epoch = Int64(epoch.number)
        guard let body = try? JSONEncoder().encode(answer) else { throw CatalogError.invalid("the answer cannot be stored") }
        try db.cachedStatement(sql: "DELETE FROM answer WHERE epoch <= ?").execute(arguments: [epoch - Int64(KeptAnswer.keptMax)])
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO answer (key, epoch, body) VALUES (?, ?, ?)")
            .execute(arguments: [answer.key, epoch, String(decoding: body, as: UTF8.self)])
    }

    static func answer(_ key: String, _ db: Database) throws -> KeptAnswer? {
        let found = try String.fetchOne(
            db.cachedStatement(sql: "SELECT body FROM answer WHERE key = ? AND epoch > (SELECT epoch FROM catalog) - \(KeptAnswer.keptMax)"),
            arguments: [key])
        return try found.map { text in
            guard let answer = try? JSONDecoder().decode(KeptAnswer.self, from: Data(text.utf8)) else {
                throw CatalogError.invalid("the catalog's file is damaged: an answer cannot be read")
            }
            return answer
        }
    }

    static func history(_ db: Database, limit: Int) throws -> [CatalogHistoryEntry] {
        try String.fetchAll(db, sql: "SELECT entry FROM history ORDER BY epoch DESC LIMIT ?", arguments: [max(0, limit)]).map { text in
            guard let entry = try? JSONDecoder().decode(CatalogHistoryEntry.self, from: Data(text.utf8)) else {
                throw CatalogError.invalid("the catalog's file is damaged: an entry of its history cannot be read")
            }
            return entry
        }
    }
}

extension RecordRow {
    /// From a row of kind, key, version, body, vnodes.
    fileprivate init(_ row: Row) throws {
        guard let kind = Kind(rawValue: row[0]), let key = row[1] as String?, let version = UInt64(exactly: row[2] as Int64) else {
            throw CatalogError.invalid("the catalog's file holds a record of an unknown kind")
        }
        self.init(kind: kind, key: key, version: version, body: row[3], vnodes: row[4])
    }
}
