package import NIOCore
internal import PGChannel

/// Compares whole tables on two shards, as text, each side by itself: their rows are few. The order of rows does not matter.
package struct ReferenceComparison: Sendable {
    private let left: TableComparison.Side
    private let right: TableComparison.Side
    private let group: any EventLoopGroup

    /// - left, right: seen at one and the same point.
    package init(_ left: TableComparison.Side, _ right: TableComparison.Side, on group: any EventLoopGroup) {
        self.left = left
        self.right = right
        self.group = group
    }

    /// The relations that differ. Whatever goes wrong is thrown: then nothing is known of the rest. Throws `TransferError`, `CancellationError`.
    package func run(_ tables: [TableShape]) async throws -> [String] {
        let here = try await TableComparison.open(left, group) { .source($0) }
        let there = try await TableComparison.open(right, group) { .target(0, $0) }
        var differing: [String] = []
        for table in tables {
            async let mine = Self.digest(table, here) { .source($0) }
            async let theirs = Self.digest(table, there) { .target(0, $0) }
            if try await mine != theirs { differing.append(table.relation) }
        }
        await here.close()
        await there.close()
        return differing
    }

    /// The number of rows, and the sum of 60 bits of each one's hash.
    private static func digest(_ table: TableShape, _ client: PGClient, _ failure: (PGClientError) -> TransferError) async throws -> [String?] {
        let query = """
            SELECT count(*), sum(('x' || left(encode(sha256(convert_to(r::text, 'UTF8')), 'hex'), 15))::bit(60)::bigint)
            FROM (SELECT \(table.columnList) FROM ONLY \(table.relation)) AS r
            """
        do {
            let row = try await client.query(query, options: .init(timeout: TransferSession.wholeTable)).rows.first
            return [row?.text(0), row?.text(1)]
        } catch let error as PGClientError {
            throw failure(error)
        }
    }
}
