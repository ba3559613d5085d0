package import NIOCore
package import PGChannel
internal import PGWire
package import ShardModel
package import TransferCore

/// Compares the rows of vnodes on the shard that has them with those on the shard that is to have them.
///
/// Both sides must be seen at one and the same point: the target has every change up to the source's snapshot, and none behind it. Values are compared
/// as COPY writes them, so that what PostgreSQL's own `=` takes for equal (1.0 and 1.00, 0 and -0) is a difference.
package struct TableComparison: Sendable {
    package struct Side: Sendable {
        package var endpoint: PostgresEndpoint
        /// The name of an exported snapshot; nil: as it is when its session begins.
        package var snapshot: String?
        package init(_ endpoint: PostgresEndpoint, snapshot: String? = nil) {
            self.endpoint = endpoint
            self.snapshot = snapshot
        }
    }

    package struct Outcome: Hashable, Sendable {
        package var relation: String
        package var rows = 0
        /// Ids, in order.
        package var differingVNodes: [UInt32] = []
        /// How many rows of the vnodes that were looked into differ; nil where that would take too much memory.
        package var differingRows: Int?
        package var examples: [RowDifferences.Difference] = []

        package var isEqual: Bool { differingVNodes.isEmpty }
    }

    /// How many differing vnodes of a relation are looked into, row by row.
    package static let examinedMax = 4
    package static let examplesMax = 20
    private static let bytesMax = 64 << 20

    private let ring: HashRing
    private let vnodes: Set<UInt32>
    private let source: Side
    private let target: Side
    private let group: any EventLoopGroup
    private let noting: TransferNoting
    /// Of what is read from both sides.
    private let throttle: TransferThrottle

    /// - ring: as it is, before anything moves.
    /// - vnodes: ids in it.
    package init(
        of vnodes: Set<UInt32>, in ring: HashRing, source: Side, target: Side, noting: @escaping TransferNoting = { _, _ in },
        throttle: TransferThrottle = TransferThrottle(), on group: any EventLoopGroup
    ) {
        self.vnodes = vnodes
        self.ring = ring
        self.source = source
        self.target = target
        self.group = group
        self.noting = noting
        self.throttle = throttle
    }

    /// One outcome for each relation, in their order. Whatever goes wrong is thrown: then nothing is known of the rest.
    ///
    /// Throws `TransferError`, `CancellationError`.
    package func run(_ tables: [TableShape]) async throws -> [Outcome] {
        let left = try await Self.open(source, group) { .source($0) }
        noting(left, .source)
        let right = try await Self.open(target, group) { .target(0, $0) }
        noting(right, .target(0))
        var outcomes: [Outcome] = []
        for table in tables { outcomes.append(try await compare(table, left, right)) }
        await left.close()
        await right.close()
        return outcomes
    }

    static func open(
        _ side: Side, _ group: any EventLoopGroup, _ failure: (PGClientError) -> TransferError
    ) async throws -> PGClient {
        do {
            if let snapshot = side.snapshot { return try await TransferSession.open(side.endpoint, snapshot: snapshot, on: group) }
            let client = try await TransferSession.open(side.endpoint, on: group)
            _ = try await client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return client
        } catch let error as PGClientError {
            throw failure(error)
        }
    }

    private func compare(_ table: TableShape, _ left: PGClient, _ right: PGClient) async throws -> Outcome {
        async let here = Reading(table, ring, vnodes, throttle).run(left) { .source($0) }
        async let there = Reading(table, ring, vnodes, throttle).run(right) { .target(0, $0) }
        let (mine, theirs) = (try await here.digests, try await there.digests)
        var outcome = Outcome(relation: table.relation, rows: mine.values.reduce(0) { $0 + $1.rows })
        outcome.differingVNodes = vnodes.filter { mine[$0] ?? RowDigest() != theirs[$0] ?? RowDigest() }.sorted()
        guard !outcome.isEqual else { return outcome }
        // One side behind the other: the target's rows are taken away from the source's.
        let examined = Set(outcome.differingVNodes.prefix(Self.examinedMax))
        let none = RowDifferences(table.form, bytesMax: Self.bytesMax)
        let half = try await Reading(table, ring, examined, throttle, keeping: none, isSource: true).run(left) { .source($0) }.differences
        let whole = try await Reading(table, ring, examined, throttle, keeping: half, isSource: false).run(right) { .target(0, $0) }.differences
        guard let whole, !whole.isCutShort else { return outcome }
        outcome.differingRows = whole.count
        outcome.examples = whole.differences(max: Self.examplesMax)
        return outcome
    }
}

/// One reading of a relation's rows on one side.
private actor Reading {
    private let table: TableShape
    private var digester: RowDigester
    private var differences: RowDifferences?
    private let isSource: Bool
    private let throttle: TransferThrottle

    init(
        _ table: TableShape, _ ring: HashRing, _ vnodes: Set<UInt32>, _ throttle: TransferThrottle, keeping differences: RowDifferences? = nil,
        isSource: Bool = true
    ) {
        self.table = table
        self.throttle = throttle
        digester = RowDigester(table.form, ring, vnodes: vnodes)
        self.differences = differences
        self.isSource = isSource
    }

    func run(
        _ client: PGClient, failure: (PGClientError) -> TransferError
    ) async throws -> (digests: [UInt32: RowDigest], differences: RowDifferences?) {
        let statement = CopyRange(table: table, pages: nil, isLast: true).readStatement
        do {
            _ = try await client.copyOutRuns(statement, timeout: TransferSession.unlimited, silenceMax: TransferSession.silenceMax) { [throttle] run in
                try await throttle.passed(run.readableBytes)
                try await self.consume(run)
            }
            try finish()
        } catch let error as PGClientError {
            throw failure(error)
        } catch let error as ServerError {
            throw TransferError.rows(relation: table.relation, error)
        }
        return (digester.digests, differences)
    }

    private func consume(_ run: ByteBuffer) throws(ServerError) { try keeping { (digester, keep) throws(ServerError) in try digester.consume(run, row: keep) } }
    private func finish() throws(ServerError) { try keeping { (digester, keep) throws(ServerError) in try digester.finish(row: keep) } }

    private func keeping(_ body: (inout RowDigester, (RawSpan) -> Void) throws(ServerError) -> Void) throws(ServerError) {
        // Moved out of the actor, so that a row is not added to a copy of all.
        var kept = differences
        differences = nil
        defer { differences = kept }
        try body(&digester) { row in
            if isSource { kept?.addSource(row) } else { kept?.addTarget(row) }
        }
    }
}
