import Foundation
import LocalCluster
import NIOCore
import NIOPosix
import PGChannel
import PostgresProcess

/// Makes a data set's tables and loads their rows through a router, as any client would.
struct DataLoader {
    let plan: ClusterPlan
    let progress: Progress

    /// Answers how many rows of each table were sent.
    func load(_ tables: [DemoTable]) async throws -> [String: Int] {
        var sent: [String: Int] = [:]
        let endpoint = try PostgresEndpoint.parse(plan.wireDSN(of: plan.routers[0]))
        let client = try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton)
        do {
            for table in tables {
                for statement in table.create { try await client.execute(statement) }
                let pieces = CopyPieces(try table.rows())
                let rows = try await client.copyIn(table.copyStatement, from: pieces, timeout: .minutes(10))
                sent[table.name] = pieces.rowsSent
                progress.step("loaded \(table.name): \(Progress.grouped(rows)) rows by COPY through the router")
                if pieces.rowsFilled > 0 { progress.step(note(on: table, filled: pieces.rowsFilled)) }
            }
        } catch let error as PGClientError {
            await client.close()
            throw DemoError("the data set could not be loaded: \(error)")
        } catch {
            await client.close()
            throw error
        }
        await client.close()
        return sent
    }

    /// Counts the rows on the servers themselves: a sharded table's parts must add up to its rows, a reference table's copies must each have them all.
    func verify(_ tables: [DemoTable], sent: [String: Int], on servers: [PostgresServer]) async throws {
        for table in tables {
            let expected = sent[table.name] ?? 0
            var counts: [Int] = []
            for server in servers {
                counts.append(Int(try await server.psql("SELECT count(*) FROM \(table.name)", database: plan.database)) ?? -1)
            }
            switch table.placement {
            case .sharded:
                guard counts.reduce(0, +) == expected else { throw mismatch(table, counts, expected) }
                let parts = counts.map(Progress.grouped).joined(separator: " + ")
                progress.step("counted \(table.name): \(parts) = \(Progress.grouped(expected))")
            case .reference:
                guard counts.allSatisfy({ $0 == expected }) else { throw mismatch(table, counts, expected) }
                progress.step("counted \(table.name): \(Progress.grouped(expected)) on every shard")
            }
        }
    }

    private func mismatch(_ table: DemoTable, _ counts: [Int], _ expected: Int) -> DemoError {
        DemoError("the shards hold \(counts) rows of \(table.name) where \(expected) were sent")
    }

    private func note(on table: DemoTable, filled: Int) -> String {
        "  \(Progress.grouped(filled)) of them have no tail number; NULL is not a key, so they are stored with '\(FlightsData.unknownTail)'"
    }
}

/// A table's pieces as the chunks of a COPY, made one at a time as the server takes them.
///
/// `@unchecked Sendable`: the iterator is handed to the one task that reads it, and the count is read after that task is done.
final class CopyPieces: AsyncSequence, AsyncIteratorProtocol, @unchecked Sendable {
    private let iterator: AnyIterator<CopyPiece>
    private(set) var rowsSent = 0
    private(set) var rowsFilled = 0

    init(_ iterator: AnyIterator<CopyPiece>) { self.iterator = iterator }

    func next() async -> ByteBuffer? {
        guard let piece = iterator.next() else { return nil }
        rowsSent += piece.rows
        rowsFilled += piece.filled
        return ByteBuffer(bytes: piece.bytes)
    }

    func makeAsyncIterator() -> CopyPieces { self }
}
