package import LogicalReplication
package import NIOCore

// What a server writes (src/backend/replication/logical/proto.c): for tests, which need messages that a server sends seldom.

extension ByteBuffer {
    package init(pgoutput message: PGOutputMessage) {
        self.init()
        writePGOutput(message)
    }

    package mutating func writePGOutput(_ message: PGOutputMessage) {
        switch message {
        case .begin(let begin):
            writeKind("B")
            writeMultipleIntegers(begin.finalLSN.value, begin.committedAt.microseconds, begin.xid.value)
        case .commit(let commit):
            writeKind("C")
            write(commit)
        case .origin(let position, let name):
            writeKind("O")
            writeInteger(position.value)
            writeName(name)
        case .relation(let relation, let xid):
            writeKind("R", xid)
            write(relation)
        case .type(let type, let xid):
            writeKind("Y", xid)
            writeInteger(type.oid)
            writeName(type.schema == "pg_catalog" ? "" : type.schema)
            writeName(type.name)
        case .insert(let insert, let xid):
            writeKind("I", xid)
            writeInteger(insert.relation.value)
            writeKind("N")
            write(insert.row)
        case .update(let update, let xid):
            writeKind("U", xid)
            writeInteger(update.relation.value)
            if let old = update.old { write(old) }
            writeKind("N")
            write(update.row)
        case .delete(let delete, let xid):
            writeKind("D", xid)
            writeInteger(delete.relation.value)
            write(delete.old)
        case .truncate(let truncate, let xid):
            writeKind("T", xid)
            writeInteger(Int32(truncate.relations.count))
            writeInteger((truncate.isCascade ? 1 : 0) as UInt8 | (truncate.restartsIdentity ? 2 : 0))
            for relation in truncate.relations { writeInteger(relation.value) }
        case .message(let message, let xid):
            writeKind("M", xid)
            writeInteger((message.isTransactional ? 1 : 0) as UInt8)
            writeInteger(message.position.value)
            writeName(message.prefix)
            writeCounted(message.content)
        case .streamStart(let start):
            writeKind("S", start.xid)
            writeInteger((start.isFirst ? 1 : 0) as UInt8)
        case .streamStop: writeKind("E")
        case .streamCommit(let commit, let xid):
            writeKind("c", xid)
            write(commit)
        case .streamAbort(let xid, let subtransaction):
            writeKind("A", xid)
            writeInteger(subtransaction.value)
        default: writeTwoPhase(message)
        }
    }

    private mutating func writeTwoPhase(_ message: PGOutputMessage) {
        switch message {
        case .beginPrepare(let begin):
            writeKind("b")
            writeMultipleIntegers(begin.prepareLSN.value, begin.endLSN.value, begin.preparedAt.microseconds, begin.xid.value)
            writeName(begin.gid)
        case .prepare(let prepare), .streamPrepare(let prepare):
            if case .prepare = message { writeKind("P") } else { writeKind("p") }
            writeMultipleIntegers(0 as UInt8, prepare.prepareLSN.value, prepare.endLSN.value, prepare.preparedAt.microseconds, prepare.xid.value)
            writeName(prepare.gid)
        case .commitPrepared(let commit):
            writeKind("K")
            writeMultipleIntegers(0 as UInt8, commit.commitLSN.value, commit.endLSN.value, commit.committedAt.microseconds, commit.xid.value)
            writeName(commit.gid)
        case .rollbackPrepared(let rollback):
            writeKind("r")
            writeMultipleIntegers(0 as UInt8, rollback.prepareEndLSN.value, rollback.rollbackEndLSN.value, rollback.preparedAt.microseconds)
            writeMultipleIntegers(rollback.rolledBackAt.microseconds, rollback.xid.value)
            writeName(rollback.gid)
        default: preconditionFailure("not of two-phase commit: \(message)")
        }
    }

    private mutating func writeKind(_ kind: Character, _ xid: TransactionID? = nil) {
        writeInteger(kind.asciiValue ?? 0)
        if let xid { writeInteger(xid.value) }
    }

    private mutating func writeName(_ name: String) {
        writeString(name)
        writeInteger(0 as UInt8)
    }

    private mutating func writeCounted(_ bytes: ByteBuffer) {
        writeInteger(Int32(bytes.readableBytes))
        writeImmutableBuffer(bytes)
    }

    private mutating func write(_ commit: TransactionCommit) {
        writeMultipleIntegers(0 as UInt8, commit.commitLSN.value, commit.endLSN.value, commit.committedAt.microseconds)
    }

    private mutating func write(_ relation: Relation) {
        writeInteger(relation.id.value)
        writeName(relation.schema == "pg_catalog" ? "" : relation.schema)
        writeName(relation.name)
        writeInteger(relation.replicaIdentity.rawValue)
        writeInteger(Int16(relation.columns.count))
        for column in relation.columns {
            writeInteger((column.isKey ? 1 : 0) as UInt8)
            writeName(column.name)
            writeMultipleIntegers(column.typeOID, column.typeModifier)
        }
    }

    private mutating func write(_ old: OldRow) {
        if case .key = old { writeKind("K") } else { writeKind("O") }
        write(old.values)
    }

    private mutating func write(_ row: [TupleValue]) {
        writeInteger(Int16(row.count))
        for value in row {
            switch value {
            case .null: writeKind("n")
            case .unchangedToast: writeKind("u")
            case .text(let bytes):
                writeKind("t")
                writeCounted(bytes)
            case .binary(let bytes):
                writeKind("b")
                writeCounted(bytes)
            }
        }
    }
}
