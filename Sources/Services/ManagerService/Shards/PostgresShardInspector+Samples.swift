internal import NIOCore
internal import PGChannel
internal import PGTypes
package import ShardModel
internal import ShardTransfer
internal import TransferCore

extension PostgresShardInspector {
    /// How many pages of a relation are read, about. A page that is read is read whole.
    private static let pagesOfOne = 4...64
    /// Of all relations together, about; each gets the least of `pagesOfOne` all the same.
    private static let pagesOfAll = 4096

    package func samples(
        _ endpoint: String, of tables: [QualifiedName: String], within limit: Duration
    ) async throws(ShardAccessError) -> RowSamples {
        let deadline = ContinuousClock.now + limit
        return try await withClient(endpoint) { client in
            /// Some tables alone would give a wrong picture.
            func goOn() async throws {
                let left = deadline - .now
                guard left > .zero else { throw ShardAccessError.unreachable("its rows could not be sampled within \(limit)") }
                // Who waits for a lock of somebody else's gets no answer at all.
                try await client.execute("SET statement_timeout = \(max(1, Int(left / .milliseconds(1))))")
            }
            _ = try await client.execute("SET client_encoding = 'UTF8'; SET row_security = off")
            try await goOn()
            let existing = try await JobTables.existing(Array(tables.keys), client)
            var shapes: [(shape: TableShape, key: String)] = []
            for (table, key) in tables.sorted(by: { $0.key < $1.key }) where existing.contains(table) {
                try await goOn()
                shapes += try await TableShape.read(table, key: key, from: client).map { (shape: $0, key: key) }
            }
            let pages = min(Self.pagesOfOne.upperBound, max(Self.pagesOfOne.lowerBound, Self.pagesOfAll / max(1, shapes.count)))
            var samples = RowSamples(fileBytes: Double(shapes.reduce(0) { $0 + $1.shape.pages } * 8192))
            for (shape, key) in shapes {
                try await goOn()
                samples.rows += try await Self.samples(of: shape, key: key, pages: pages, client)
            }
            return samples
        }
    }

    private static func samples(of shape: TableShape, key: String, pages: Int, _ client: PGClient) async throws -> [RowSamples.Row] {
        let percent = shape.pages <= pages ? 100 : 100 * Double(pages) / Double(shape.pages)
        let size = try await client.query("SELECT pg_catalog.pg_total_relation_size($1::regclass)", [.text(shape.relation)]).rows.first?.integer(0) ?? 0
        let keys = try await client.query("SELECT \(ShardQueries.quote(key))::text FROM ONLY \(shape.relation) TABLESAMPLE SYSTEM (\(percent))").rows
        let bytes = Double(size) / Double(max(1, keys.count))
        return try keys.compactMap { row in
            guard let text = row[0] else { return nil }
            return RowSamples.Row(token: try shape.form.keyType.token(text: text.readableBytesSpan), rows: 100 / percent, bytes: bytes)
        }
    }
}
