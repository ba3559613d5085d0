internal import CatalogStore
internal import Foundation
internal import GRDB
internal import ShardModel

/// One record as a row: its key, its JSON without vnodes, and its vnodes as bytes.
struct RecordRow {
    enum Kind: String { case database, shard, table, user, setting }
    var kind: Kind
    var key: String
    var version: UInt64 = 0
    var body: String
    var vnodes: Data?

    init(_ record: DatabaseRecord) throws {
        self.init(kind: .database, key: record.name, version: record.version, body: try Self.json(record))
    }
    init(_ record: ShardRecord) throws {
        var bare = record
        bare.vnodes = []
        self.init(kind: .shard, key: record.id.name, version: record.version, body: try Self.json(bare), vnodes: VNodeBytes.encode(record.vnodes))
    }
    init(_ record: ShardModel.TableRecord) throws {
        let key = Self.key(of: .init(database: record.database, table: record.name))
        self.init(kind: .table, key: key, version: record.version, body: try Self.json(record))
    }
    init(_ record: UserRecord) throws {
        self.init(kind: .user, key: record.name, version: record.version, body: try Self.json(record))
    }
    init(setting name: String, _ value: String) {
        self.init(kind: .setting, key: name, body: value)
    }
    private init(kind: Kind, key: String, version: UInt64 = 0, body: String, vnodes: Data? = nil) {
        (self.kind, self.key, self.version, self.body, self.vnodes) = (kind, key, version, body, vnodes)
    }

    /// The three names, each with its length before it, so that no two tables share a key.
    static func key(of table: CatalogSnapshot.TableKey) -> String {
        [table.database, table.table.schema, table.table.name].map { "\($0.utf8.count):\($0)" }.joined(separator: ",")
    }

    private static func json(_ value: some Encodable) throws -> String {
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
    /// From a row of kind, key, version, body, vnodes.
    init(_ row: Row) throws {
        guard let kind = Kind(rawValue: row[0]), let key = row[1] as String?, let version = UInt64(exactly: row[2] as Int64) else {
            throw CatalogError.invalid("the catalog's file holds a record of an unknown kind")
        }
        self.init(kind: kind, key: key, version: version, body: row[3], vnodes: row[4])
    }

    /// Puts the record into `snapshot`, and its name into `touch`.
    func add(to snapshot: inout CatalogSnapshot, _ touch: inout CatalogTouch) throws {
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
            let record = try decoded(ShardModel.TableRecord.self, \.version)
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
        }
    }

    private var damaged: CatalogError { .invalid("the catalog's file is damaged: \(kind) \"\(key)\" cannot be read") }

    private func check(_ isRight: Bool) throws { if !isRight { throw damaged } }

    private func decoded<Record: Decodable>(_: Record.Type, _ version: KeyPath<Record, UInt64>) throws -> Record {
        guard let record = try? JSONDecoder().decode(Record.self, from: Data(body.utf8)), record[keyPath: version] == self.version
        else { throw damaged }
        return record
    }
}
