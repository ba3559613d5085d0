package import NIOCore
package import PGChannel
internal import PGWire

/// Copies all rows of reference tables from one shard to others, one relation after the other: they are small.
package struct ReferenceCopy: Sendable {
    private static let pieceTarget = 128 << 10

    private let source: PostgresEndpoint
    private let targets: [PostgresEndpoint]
    private let group: any EventLoopGroup
    private let noting: TransferNoting

    package init(from source: PostgresEndpoint, to targets: [PostgresEndpoint], noting: @escaping TransferNoting = { _, _ in }, on group: any EventLoopGroup) {
        self.source = source
        self.targets = targets
        self.group = group
        self.noting = noting
    }

    /// Into empty tables.
    ///
    /// - snapshot: of the source; stays exported until this returns.
    /// - copied: called with a relation, its rows and its bytes, when it is done.
    ///
    /// Throws `TransferError`, `CancellationError`; a target may have any part of the rows then.
    package func run(_ tables: [TableShape], snapshot: String, copied: (TableShape, Int, Int) -> Void = { _, _, _ in }) async throws {
        guard !tables.isEmpty else { return }
        let reader: PGClient
        do { reader = try await TransferSession.open(source, snapshot: snapshot, on: group) } catch let error as PGClientError { throw TransferError.source(error) }
        noting(reader, .source)
        var writers: [PGClient] = []
        for (position, target) in targets.enumerated() {
            do {
                let client = try await TransferSession.open(target, on: group)
                noting(client, .target(position))
                _ = try await client.execute("SET session_replication_role = replica")
                writers.append(client)
            } catch let error as PGClientError { throw TransferError.target(position, error) }
        }
        for table in tables {
            try Task.checkCancellation()
            let (rows, bytes) = try await Self.copy(table, reader, writers)
            copied(table, rows, bytes)
        }
        for client in [reader] + writers { await client.close() }
    }

    private static func copy(_ table: TableShape, _ reader: PGClient, _ writers: [PGClient]) async throws -> (rows: Int, bytes: Int) {
        let range = CopyRange(table: table, pages: nil, isLast: true)
        let pipes = writers.map { _ in CopyPipe() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, writer) in writers.enumerated() {
                let pipe = pipes[position]
                group.addTask {
                    do {
                        _ = try await writer.copyIn(range.writeStatement, from: pipe, timeout: TransferSession.unlimited, silenceMax: TransferSession.silenceMax)
                    } catch {
                        pipe.end(.failure(error))
                        throw TableCopy.failure(error, at: position)
                    }
                }
            }
            let pieces = Pieces(pipes)
            let rows: Int
            do {
                rows = try await reader.copyOutRuns(range.readStatement, timeout: TransferSession.unlimited, silenceMax: TransferSession.silenceMax) { try await pieces.add($0, Self.pieceTarget) }
                try await pieces.flush()
                for pipe in pipes { pipe.end() }
            } catch {
                for pipe in pipes { pipe.end(.failure(error)) }
                // Where a target failed, that is the reason; the source was only stopped by it.
                while let result = await group.nextResult() {
                    if case .failure(let reason as TransferError) = result { throw reason }
                }
                throw (error as? PGClientError).map { TransferError.source($0) } ?? error
            }
            try await group.waitForAll()
            return (rows, await pieces.bytes)
        }
    }
}

/// What was read and not sent on yet.
private actor Pieces {
    private let pipes: [CopyPipe]
    private var waiting = ByteBuffer()
    private(set) var bytes = 0

    init(_ pipes: [CopyPipe]) { self.pipes = pipes }

    func add(_ run: ByteBuffer, _ size: Int) async throws {
        var run = run
        while var content = run.readCopyDataContent() { waiting.writeBuffer(&content) }
        if waiting.readableBytes >= size { try await flush() }
    }

    func flush() async throws {
        guard waiting.readableBytes > 0 else { return }
        let piece = waiting
        waiting = ByteBuffer()
        bytes += piece.readableBytes
        for pipe in pipes { try await pipe.send(piece) }
    }
}
