package import Foundation
package import ShardModel

/// One record as a row of a table: its key, its JSON without vnodes, and its vnodes as bytes.
package struct RecordRow: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable { case database, shard, table, user, setting, job, hold }
    package var kind: Kind
    package var key: String
    package var version: UInt64
    package var body: String
    package var vnodes: Data?

    package init(_ record: DatabaseRecord) throws(CatalogError) {
        self.init(kind: .database, key: record.name, version: record.version, body: try Self.json(record))
    }
    /// - old: what is stored; where the vnodes are those, the row is without them.
    package init(_ record: ShardRecord, over old: ShardRecord? = nil) throws(CatalogError) {
        var bare = record
        bare.vnodes = []
        let isAsBefore = old.map { $0.vnodes == record.vnodes } ?? false
        self.init(
            kind: .shard, key: record.id.name, version: record.version, body: try Self.json(bare),
            vnodes: isAsBefore ? nil : VNodeBytes.encode(record.vnodes))
    }
    package init(_ record: TableRecord) throws(CatalogError) {
        let key = Self.key(of: .init(database: record.database, table: record.name))
        self.init(kind: .table, key: key, version: record.version, body: try Self.json(record))
    }
    package init(_ record: UserRecord) throws(CatalogError) {
        self.init(kind: .user, key: record.name, version: record.version, body: try Self.json(record))
    }
    package init(_ record: ReshardJobRecord) throws(CatalogError) {
        self.init(kind: .job, key: record.id, version: record.version, body: try Self.json(record))
    }
    package init(_ record: HoldRecord) throws(CatalogError) {
        self.init(kind: .hold, key: record.job, version: record.version, body: try Self.json(record))
    }
    package init(setting name: String, _ value: String) {
        self.init(kind: .setting, key: name, body: value)
    }
    package init(kind: Kind, key: String, version: UInt64 = 0, body: String, vnodes: Data? = nil) {
        (self.kind, self.key, self.version, self.body, self.vnodes) = (kind, key, version, body, vnodes)
    }

    /// The three names, each with its length before it, so that no two tables share a key.
    package static func key(of table: CatalogSnapshot.TableKey) -> String {
        [table.database, table.table.schema, table.table.name].map { "\($0.utf8.count):\($0)" }.joined(separator: ",")
    }

    private static func json(_ value: some Encodable) throws(CatalogError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw CatalogError.invalid("a record cannot be stored: \(error)")
        }
    }
}

// MARK: reading

extension RecordRow {
    /// Puts the record into `snapshot`, and its name into `touch`.
    package func add(to snapshot: inout CatalogSnapshot, _ touch: inout CatalogTouch) throws(CatalogError) {
        switch kind {
        case .database:
            let record = try decoded(DatabaseRecord.self, \.version)
            try check(record.name == key)
            snapshot.databases[key] = record
            touch.databases.insert(key)
        case .shard:
            var record = try decoded(ShardRecord.self, \.version)
            guard record.id.name == key, let vnodes = vnodes.flatMap(VNodeBytes.decode) else { throw damaged }
            record.vnodes = vnodes
            snapshot.shards[record.id] = record
            touch.shards.insert(record.id)
        case .table:
            let record = try decoded(TableRecord.self, \.version)
            let name = CatalogSnapshot.TableKey(database: record.database, table: record.name)
            try check(Self.key(of: name) == key)
            snapshot.tables[name] = record
            touch.tables.insert(name)
        case .user:
            let record = try decoded(UserRecord.self, \.version)
            try check(record.name == key)
            snapshot.users[key] = record
            touch.users.insert(key)
        case .setting:
            snapshot.settings[key] = body
            touch.settings.insert(key)
        case .job:
            let record = try decoded(ReshardJobRecord.self, \.version)
            try check(record.id == key)
            snapshot.jobs[key] = record
            touch.jobs.insert(key)
        case .hold:
            let record = try decoded(HoldRecord.self, \.version)
            try check(record.job == key)
            snapshot.holds[key] = record
            touch.holds.insert(key)
        }
    }

    private var damaged: CatalogError { .invalid("the stored catalog is damaged: \(kind) \"\(key)\" cannot be read") }

    private func check(_ isRight: Bool) throws(CatalogError) { if !isRight { throw damaged } }

    private func decoded<Record: Decodable>(_: Record.Type, _ version: KeyPath<Record, UInt64>) throws(CatalogError) -> Record {
        guard let record = try? JSONDecoder().decode(Record.self, from: Data(body.utf8)), record[keyPath: version] == self.version
        else { throw damaged }
        return record
    }
}

extension RecordRow {
    /// The rows to put, and the keys to remove, that make of a store's records those of `snapshot`, when only what `touch` names differs.
    ///
    /// - base: what is stored, by a store that keeps the vnodes of a shard that is put without any; nil: all are named.
    package static func changes(
        to snapshot: CatalogSnapshot, _ touch: CatalogTouch, over base: CatalogSnapshot? = nil
    ) throws(CatalogError) -> (put: [RecordRow], removed: [(kind: Kind, key: String)]) {
        var put: [RecordRow] = []
        var removed: [(kind: Kind, key: String)] = []
        func add(_ row: RecordRow?, or kind: Kind, _ key: String) {
            if let row { put.append(row) } else { removed.append((kind, key)) }
        }
        for name in touch.databases { add(try snapshot.databases[name].map { (record) throws(CatalogError) in try Self(record) }, or: .database, name) }
        for id in touch.shards { add(try snapshot.shards[id].map { (record) throws(CatalogError) in try Self(record, over: base?.shards[id]) }, or: .shard, id.name) }
        for key in touch.tables { add(try snapshot.tables[key].map { (record) throws(CatalogError) in try Self(record) }, or: .table, Self.key(of: key)) }
        for name in touch.users { add(try snapshot.users[name].map { (record) throws(CatalogError) in try Self(record) }, or: .user, name) }
        for name in touch.settings { add(snapshot.settings[name].map { Self(setting: name, $0) }, or: .setting, name) }
        for id in touch.jobs { add(try snapshot.jobs[id].map { (record) throws(CatalogError) in try Self(record) }, or: .job, id) }
        for job in touch.holds { add(try snapshot.holds[job].map { (record) throws(CatalogError) in try Self(record) }, or: .hold, job) }
        return (put, removed)
    }
}

extension RecordRow {
    /// Takes a record out of `snapshot`, and puts its name into `touch`; nothing happens where it is not in it.
    package static func remove(_ kind: Kind, _ key: String, from snapshot: inout CatalogSnapshot, _ touch: inout CatalogTouch) {
        switch kind {
        case .database:
            snapshot.databases[key] = nil
            touch.databases.insert(key)
        case .shard:
            snapshot.shards[ShardID(key)] = nil
            touch.shards.insert(ShardID(key))
        case .table:
            // A table's key is made of three names; the few tables there are tell which.
            guard let name = snapshot.tables.keys.first(where: { Self.key(of: $0) == key }) else { return }
            snapshot.tables[name] = nil
            touch.tables.insert(name)
        case .user:
            snapshot.users[key] = nil
            touch.users.insert(key)
        case .setting:
            snapshot.settings[key] = nil
            touch.settings.insert(key)
        case .job:
            snapshot.jobs[key] = nil
            touch.jobs.insert(key)
        case .hold:
            snapshot.holds[key] = nil
            touch.holds.insert(key)
        }
    }
}
