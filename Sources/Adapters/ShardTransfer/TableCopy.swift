internal import NIOCore
package import PGChannel
internal import PGWire
package import TransferCore

/// A part of one relation, by its pages.
package struct CopyRange: Hashable, Sendable {
    package var table: TableShape
    /// nil: all of it.
    package var pages: Range<Int>?
    /// Nothing follows: whatever page a row is on behind the start.
    package var isLast: Bool

    /// The relation cut into ranges of at most `pages` pages. The last has no end: the file may have grown since its length was read.
    package static func cut(_ table: TableShape, pages: Int) -> [CopyRange] {
        guard table.pages > pages else { return [CopyRange(table: table, pages: nil, isLast: true)] }
        return stride(from: 0, to: table.pages, by: pages).map { start in
            CopyRange(table: table, pages: start..<min(start + pages, table.pages), isLast: start + pages >= table.pages)
        }
    }

    var readStatement: String {
        var query = "SELECT \(table.columnList) FROM ONLY \(table.relation)"
        if let pages {
            query += " WHERE ctid >= '(\(pages.lowerBound),0)'"
            if !isLast { query += " AND ctid < '(\(pages.upperBound),0)'" }
        }
        return "COPY (\(query)) TO STDOUT \(table.form.options)"
    }

    var writeStatement: String { "COPY \(table.relation) (\(table.columnList)) FROM STDIN \(table.form.options)" }
}

/// Copies the rows of a range that move from a source to its targets.
package struct TableCopy: Sendable {
    /// What a target is sent at a time.
    private static let pieceTarget = 128 << 10

    package let source: PGClient
    package let targets: [PGClient]
    package let destinations: RowDestinations

    /// - targets: as `destinations.targets`.
    package init(source: PGClient, targets: [PGClient], destinations: RowDestinations) {
        precondition(targets.count == destinations.targets.count, "a session for each target")
        self.source = source
        self.targets = targets
        self.destinations = destinations
    }

    /// Each target gets all of its rows of the range in one COPY, or none.
    ///
    /// - transferred: called with each piece read from the source, in bytes; waits as long as the copy is to wait.
    ///
    /// Throws `TransferError`. A target may have its rows then: the caller starts over from empty tables.
    package func run(_ range: CopyRange, transferred: @escaping @Sendable (Int) async throws -> Void = { _ in }) async throws -> RowSorter.Counts {
        let pipes = targets.map { _ in CopyPipe() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, target) in targets.enumerated() {
                let pipe = pipes[position]
                group.addTask {
                    do {
                        _ = try await target.copyIn(range.writeStatement, from: pipe, timeout: TransferSession.unlimited, silenceMax: TransferSession.silenceMax)
                    } catch {
                        pipe.end(.failure(error))
                        throw Self.failure(error, at: position)
                    }
                }
            }
            let counts: RowSorter.Counts
            do {
                counts = try await read(range, into: pipes, transferred)
                for pipe in pipes { pipe.end() }
            } catch {
                for pipe in pipes { pipe.end(.failure(error)) }
                // Where a target failed, that is the reason; the source was only stopped by it.
                while let result = await group.nextResult() {
                    if case .failure(let reason as TransferError) = result { throw reason }
                }
                throw error
            }
            try await group.waitForAll()
            return counts
        }
    }

    private func read(
        _ range: CopyRange, into pipes: [CopyPipe], _ transferred: @escaping @Sendable (Int) async throws -> Void
    ) async throws -> RowSorter.Counts {
        let sorting = Sorting(RowSorter(range.table.form, destinations))
        do {
            _ = try await source.copyOutRuns(range.readStatement, timeout: TransferSession.unlimited, silenceMax: TransferSession.silenceMax) { run in
                try await transferred(run.readableBytes)
                try await sorting.consume(run, Self.pieceTarget, pipes)
            }
            return try await sorting.finish(pipes)
        } catch let error as PGClientError {
            throw TransferError.source(error)
        } catch let error as ServerError {
            throw TransferError.rows(relation: range.table.relation, error)
        }
    }

    /// A source that fails shows at the targets as well, as `copySource`: that is none of theirs.
    static func failure(_ error: any Error, at position: Int) -> any Error {
        guard let error = error as? PGClientError else { return error }
        if case .copySource = error.cause { return CancellationError() }
        return TransferError.target(position, error)
    }
}

/// The sorter between the pieces of one COPY, which come one after the other.
private actor Sorting {
    private var sorter: RowSorter

    init(_ sorter: RowSorter) { self.sorter = sorter }

    func consume(_ run: ByteBuffer, _ size: Int, _ pipes: [CopyPipe]) async throws {
        try sorter.consume(run)
        try await send(size, pipes)
    }

    func finish(_ pipes: [CopyPipe]) async throws -> RowSorter.Counts {
        try sorter.finish()
        try await send(1, pipes)
        return sorter.counts
    }

    private func send(_ size: Int, _ pipes: [CopyPipe]) async throws {
        for (target, pipe) in pipes.enumerated() {
            if let piece = sorter.take(target, atLeast: size) { try await pipe.send(piece) }
        }
    }
}
