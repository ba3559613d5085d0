internal import NIOCore
package import PGChannel
internal import PGTypes
package import ShardModel
package import TransferCore

/// A relation that holds rows of a sharded table (the table, or a leaf of its partitions), as a copy of it needs to know it.
package struct TableShape: Hashable, Sendable {
    /// As SQL text, quoted, with its schema.
    package var relation: String
    /// Those that are copied: all but the generated ones. As SQL text, quoted.
    package var columns: [String]
    package var form: RowForm
    /// The length of its file of rows, in PostgreSQL's pages, when this was read.
    package var pages: Int

    package var columnList: String { columns.joined(separator: ", ") }

    /// The relations that hold `table`'s rows.
    ///
    /// - key: the name of the shard key column.
    ///
    /// Throws `TransferError.shape` where there is no such table, or its rows cannot be copied; `PGClientError`.
    package static func read(_ table: QualifiedName, key: String, from client: PGClient) async throws -> [TableShape] {
        try await shapes(of: table, key: key, client)
    }

    /// Of a reference table: what its form says of a key means nothing. As above.
    package static func read(reference table: QualifiedName, from client: PGClient) async throws -> [TableShape] {
        try await shapes(of: table, key: nil, client)
    }

    private static func shapes(of table: QualifiedName, key: String?, _ client: PGClient) async throws -> [TableShape] {
        let relations = try await client.query(TableShapeQueries.relations, [.text(table.schema), .text(table.name)])
        guard !relations.rows.isEmpty else { throw TransferError.shape("there is no table \(table)") }
        var shapes: [TableShape] = []
        for row in relations.rows {
            guard let oid = row.text(0), let relation = row.text(1), let kind = row.text(2) else { continue }
            guard kind == "r" else { throw TransferError.shape("\(relation) is \(kind == "f" ? "a foreign table" : "no ordinary table"): it has no rows to copy") }
            shapes.append(try await shape(oid: oid, relation: relation, pages: row.integer(3) ?? 0, key: key, client))
        }
        return shapes
    }

    private static func shape(oid: String, relation: String, pages: Int, key: String?, _ client: PGClient) async throws -> TableShape {
        let columns = try await client.query(TableShapeQueries.columns, [.text(oid)]).rows
        let format: RowForm.Format = columns.allSatisfy { $0.bool(3) == true } ? .binary : .text
        guard let key else {
            return TableShape(
                relation: relation, columns: columns.compactMap { $0.text(1) },
                form: RowForm(format: format, columnCount: columns.count, keyColumn: 0, keyType: .text, keyTypeOID: 0), pages: pages)
        }
        guard let position = columns.firstIndex(where: { $0.text(0)?.isExactly(key) == true }) else {
            throw TransferError.shape("\(relation) has no column \(key) that is copied")
        }
        let typeOID = columns[position].integer(2).flatMap { UInt32(exactly: $0) } ?? 0
        guard let keyType = KeyType(typeOID: typeOID) else { throw TransferError.shape("the type of \(relation)'s column \(key) is no shard key's") }
        return TableShape(
            relation: relation, columns: columns.compactMap { $0.text(1) },
            form: RowForm(
                format: format, columnCount: columns.count, keyColumn: position, keyType: keyType, keyTypeOID: typeOID),
            pages: pages)
    }
}

private enum TableShapeQueries {
    /// $1 schema, $2 name. The relations with rows, leaves of partitions for what is partitioned.
    static let relations = """
        SELECT c.oid::text, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text,
            CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint ELSE 0 END
        FROM pg_catalog.pg_class root
            JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
            CROSS JOIN LATERAL (
                SELECT root.oid AS oid WHERE root.relkind <> 'p'
                UNION ALL SELECT t.relid FROM pg_catalog.pg_partition_tree(root.oid) t WHERE root.relkind = 'p' AND t.isleaf AND t.relid <> root.oid) leaf
            JOIN pg_catalog.pg_class c ON c.oid = leaf.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE rn.nspname = $1 AND root.relname = $2 AND root.relkind IN ('r', 'p', 'f', 'v', 'm')
        ORDER BY 2
        """

    /// $1 oid. Name, quoted name, the type below all domains, and whether a value's binary form means the same on every server: not where it holds
    /// object ids (types called reg…, composite types, and arrays and ranges of types that were made here), and not where there is none.
    static let columns = """
        SELECT a.attname::text, pg_catalog.quote_ident(a.attname), base.oid::text, base.typsend <> 0 AND (base.typtype = 'e'
            OR base.oid < 16384 AND base.typtype IN ('b', 'r', 'm') AND base.typname !~ '^_?reg' AND base.typname NOT IN ('record', '_record'))
        FROM pg_catalog.pg_attribute a
            CROSS JOIN LATERAL (
                WITH RECURSIVE step AS (
                    SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
                    UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t JOIN step ON step.typtype = 'd' AND t.oid = step.typbasetype)
                SELECT t.* FROM step JOIN pg_catalog.pg_type t ON t.oid = step.oid WHERE step.typtype <> 'd') base
        WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attnum
        """
}
