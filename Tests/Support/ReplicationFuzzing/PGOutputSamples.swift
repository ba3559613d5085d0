package import LogicalReplication
package import NIOCore

/// One message of every kind and shape.
package enum PGOutputSamples {
    private static let time = ServerTime(microseconds: 833_000_000_000_000)
    private static let commit = TransactionCommit(commitLSN: LSN(0x16_B374_D848), endLSN: LSN(0x16_B374_D878), committedAt: time)
    private static let prepare = TransactionPrepare(
        prepareLSN: LSN(64), endLSN: LSN(128), preparedAt: time, xid: TransactionID(740), gid: "pgmosaic:größe:1")

    package static func text(_ value: String) -> TupleValue { .text(ByteBuffer(string: value)) }

    package static let relation = Relation(
        id: RelationID(16_385), schema: "public", name: "größe", replicaIdentity: .standard,
        columns: [
            .init(name: "id", isKey: true, typeOID: 20), .init(name: "Wert \"x\"", isKey: false, typeOID: 1700, typeModifier: 655_366),
        ])

    /// What may stand outside of a streamed block.
    package static let outside: [PGOutputMessage] =
        [
            .begin(TransactionBegin(finalLSN: LSN(1 << 40), committedAt: time, xid: TransactionID(.max))),
            .commit(commit), .origin(position: LSN(7), name: "elsewhere"), .origin(position: .none, name: ""),
            .streamStart(StreamStart(xid: TransactionID(7), isFirst: true)), .streamStart(StreamStart(xid: TransactionID(7), isFirst: false)),
            .streamCommit(commit, xid: TransactionID(7)), .streamAbort(xid: TransactionID(7), subtransaction: TransactionID(8)),
            .beginPrepare(PrepareBegin(prepareLSN: LSN(64), endLSN: LSN(128), preparedAt: time, xid: TransactionID(740), gid: "g")),
            .prepare(prepare), .streamPrepare(prepare),
            .commitPrepared(CommitPrepared(commitLSN: LSN(64), endLSN: LSN(128), committedAt: time, xid: TransactionID(740), gid: "g")),
            .rollbackPrepared(
                RollbackPrepared(
                    prepareEndLSN: LSN(64), rollbackEndLSN: LSN(128), preparedAt: time, rolledBackAt: time, xid: TransactionID(740), gid: "g")),
        ] + changes(nil)

    /// What may stand inside of one; `streamStop` ends it.
    package static let inStream: [PGOutputMessage] = changes(TransactionID(9)) + [.origin(position: LSN(7), name: "o"), .streamStop]

    private static func changes(_ xid: TransactionID?) -> [PGOutputMessage] {
        let id = RelationID(16_385)
        let row = [text("7"), .null]
        return [
            .relation(relation, xid: xid),
            .relation(Relation(id: id, schema: "pg_catalog", name: "t", replicaIdentity: .nothing, columns: []), xid: xid),
            .relation(Relation(id: id, schema: "a", name: "", replicaIdentity: .full, columns: []), xid: xid),
            .relation(Relation(id: id, schema: "a", name: "b", replicaIdentity: .index, columns: relation.columns), xid: xid),
            .type(DataType(oid: 16_500, schema: "public", name: "mood"), xid: xid),
            .type(DataType(oid: 16_501, schema: "pg_catalog", name: "x"), xid: xid),
            .insert(RowInsert(relation: id, row: row), xid: xid), .insert(RowInsert(relation: id, row: []), xid: xid),
            .insert(RowInsert(relation: id, row: [.binary(ByteBuffer(integer: 7 as Int64)), text("")]), xid: xid),
            .update(RowUpdate(relation: id, old: nil, row: [text("8"), .unchangedToast]), xid: xid),
            .update(RowUpdate(relation: id, old: .key(row), row: row), xid: xid),
            .update(RowUpdate(relation: id, old: .full([text("6"), text("1.50")]), row: row), xid: xid),
            .delete(RowDelete(relation: id, old: .key(row)), xid: xid), .delete(RowDelete(relation: id, old: .full(row)), xid: xid),
            .truncate(Truncate(relations: [id], isCascade: false, restartsIdentity: false), xid: xid),
            .truncate(Truncate(relations: [id, RelationID(.max)], isCascade: true, restartsIdentity: true), xid: xid),
            .message(LogicalMessage(isTransactional: true, position: LSN(5), prefix: "p", content: ByteBuffer(bytes: [0, 255])), xid: xid),
            .message(LogicalMessage(isTransactional: false, position: LSN(5), prefix: "", content: ByteBuffer()), xid: xid),
        ]
    }

    package static let stream: [ReplicationMessage] = [
        .data(XLogData(start: LSN(1), end: LSN(2), sentAt: time, payload: ByteBuffer(pgoutput: .streamStop))),
        .data(XLogData(start: .none, end: .none, sentAt: time, payload: ByteBuffer())),
        .keepalive(PrimaryKeepalive(end: LSN(.max), sentAt: time, isReplyRequested: true)),
    ]

    package static let update = StandbyStatusUpdate(written: LSN(3), flushed: LSN(2), applied: LSN(1), sentAt: time, isReplyRequested: true)

    /// A decoder of the newest version, outside of a block or inside of one.
    package static func decoder(inStream: Bool) -> PGOutputDecoder {
        var decoder = PGOutputDecoder(version: .three)
        if inStream { _ = try? decoder.decode(ByteBuffer(pgoutput: .streamStart(StreamStart(xid: TransactionID(9), isFirst: true)))) }
        return decoder
    }

    /// The bytes of all of them.
    package static func bytes() -> [ByteBuffer] {
        (outside + inStream).map { ByteBuffer(pgoutput: $0) }
            + (stream.map { message in written { $0.writeReplicationMessage(message) } } + [written { $0.writeStandbyStatusUpdate(update) }])
    }

    private static func written(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        write(&buffer)
        return buffer
    }
}
