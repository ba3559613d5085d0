import ChangeCore
import LogicalReplication
import NIOCore
import PGTypes
import ReplicationFuzzing
import ShardModel
import Testing

/// A table of an integer key, a name, a value that may be out of line, and a generated column; keys by their parity of the token's top bit.
enum Fixture {
    static let id = RelationID(1)
    static let name = QualifiedName(schema: "public", name: "orders")
    static let low = ShardID("low")
    static let high = ShardID("high")

    static let table = MovedTable(
        name: name,
        columns: [
            .init(name: "id", typeOID: 20), .init(name: "sum", typeOID: 1700, isGenerated: true), .init(name: "name", typeOID: 25),
            .init(name: "note", typeOID: 25),
        ], keyColumn: "id", keyType: .integer, primaryKey: ["id"])

    /// The first half of the ring stays but for its second quarter, which goes to `low`; the upper half goes to `high`.
    static let ranges = MovedRanges([
        .init(range: TokenRange(1 << 62...(1 << 63) - 1), target: low), .init(range: TokenRange(1 << 63...UInt64.max), target: high),
    ])!

    static func relation(_ identity: ReplicaIdentity = .standard, keys: Set<String> = ["id"], id: RelationID = id) -> Relation {
        Relation(
            id: id, schema: "public", name: "orders", replicaIdentity: identity,
            columns: ["id", "name", "note"].map {
                .init(name: $0, isKey: identity == .full || keys.contains($0), typeOID: $0 == "id" ? 20 : 25)
            })
    }

    static func text(_ value: String) -> TupleValue { PGOutputSamples.text(value) }
    static func token(_ key: Int) -> Token { try! KeyType.integer.token(text: "\(key)".utf8Span.span.bytes) }

    /// The first keys of each kind: that stay, that go to `low`, and to `high`.
    static func key(_ target: ShardID?, _ number: Int = 0) -> Int {
        (0..<1000).filter { ranges.target(of: token($0)) == target }[number]
    }

    static func row(_ key: Int, _ name: String = "n", note: TupleValue = text("x")) -> [TupleValue] { [text("\(key)"), text(name), note] }

    static func router(_ identity: ReplicaIdentity = .standard, stored: [ShardID: LSN] = [low: LSN(10), high: LSN(10)]) throws -> ChangeRouter {
        var router = ChangeRouter(ranges: ranges, tables: [table], stored: stored)
        #expect(throws: Never.self) { try router.receive(.relation(relation(identity), xid: nil)) }
        return router
    }

    static func begin(_ position: UInt64) -> PGOutputMessage {
        .begin(TransactionBegin(finalLSN: LSN(position), committedAt: ServerTime(microseconds: 0), xid: TransactionID(1)))
    }

    static func commit(_ position: UInt64) -> PGOutputMessage {
        .commit(TransactionCommit(commitLSN: LSN(position), endLSN: LSN(position + 5), committedAt: ServerTime(microseconds: 0)))
    }

    static func insert(_ row: [TupleValue]) -> PGOutputMessage { .insert(RowInsert(relation: id, row: row), xid: nil) }
    static func update(_ old: OldRow?, _ row: [TupleValue]) -> PGOutputMessage { .update(RowUpdate(relation: id, old: old, row: row), xid: nil) }
    static func delete(_ old: OldRow) -> PGOutputMessage { .delete(RowDelete(relation: id, old: old), xid: nil) }
}
