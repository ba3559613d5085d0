import ClusterTestKit
import Foundation
import PostgresProcess
import Synchronization
import Testing

/// Looks at the shards' prepared transactions all the time, and remembers how old the oldest was.
///
/// Ages are PostgreSQL's own (since PREPARE TRANSACTION), so that a slow test measures no more than there was.
final class OrphanWatch: Sendable {
    struct Ages: Sendable {
        /// Of any that was seen.
        var seen = Duration.zero
        /// Of any that was seen while a router was there, which it could have ended: since PREPARE, and since that router took clients.
        var beside = Duration.zero
        var sinceRouter = Duration.zero
        var looks = 0
        var transactions: Set<String> = []
    }

    private struct State {
        var ages = Ages()
        var routerSince: ContinuousClock.Instant?
        var isStopped = false
    }
    private let state = Mutex(State())
    private let servers: [PostgresServer]

    init(_ servers: [PostgresServer]) { self.servers = servers }

    var ages: Ages { state.withLock { $0.ages } }

    func routerStarted() { state.withLock { $0.routerSince = .now } }
    func routerEnds() { state.withLock { $0.routerSince = nil } }
    func stop() { state.withLock { $0.isStopped = true } }

    /// Until `stop`.
    func run() async throws {
        var clients: [WireClient] = []
        for server in servers { clients.append(try await WireClient.login(port: server.port, user: "postgres")) }
        defer { for client in clients { client.close() } }
        while !state.withLock({ $0.isStopped }) {
            for client in clients {
                let rows = try await client.rows("SELECT gid, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint FROM pg_prepared_xacts")
                note(rows.compactMap { row in row[0].flatMap { gid in row[1].flatMap { Int64($0) }.map { (gid, .milliseconds($0)) } } })
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func note(_ found: [(gid: String, age: Duration)]) {
        state.withLock { state in
            state.ages.looks += 1
            for (gid, age) in found {
                state.ages.transactions.insert(gid)
                state.ages.seen = max(state.ages.seen, age)
                guard let since = state.routerSince else { continue }
                state.ages.beside = max(state.ages.beside, age)
                state.ages.sinceRouter = max(state.ages.sinceRouter, min(age, since.duration(to: .now)))
            }
        }
    }
}
