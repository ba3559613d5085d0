import CatalogConformance
import CatalogPostgres
import CatalogStore
import PostgresProcess
import TestKit
import Testing

/// Each opening is a store of its own, with connections of its own, as another process would have.
struct PostgresCatalog: CatalogUnderTest {
    let server: CatalogServer
    func open() async throws -> any CatalogStore { try await server.open(timing: .patient) }
    func close(_ store: any CatalogStore) async throws { await (store as? PostgresCatalogStore)?.close() }
}

extension CatalogTiming {
    /// For checks that cause no fault: a busy machine is none.
    static var patient: CatalogTiming {
        var timing = CatalogTiming()
        timing.call = .seconds(60)
        return timing
    }
}

/// The same with a server of its own, which a check may harm, and a line to it.
private struct HarmablePostgres: HarmableCatalog {
    let server: CatalogServer
    let line: TestLine

    func open() async throws -> any CatalogStore { try await server.open(timing: .patient) }
    func openOverLine() async throws -> any CatalogStore {
        var timing = CatalogTiming()
        timing.call = .seconds(1)
        timing.resolution = .seconds(1)
        timing.patience = .milliseconds(500)
        timing.pollInterval = .milliseconds(200)
        // A busy machine is no fault yet.
        return try await CatalogFaultConformance.patiently { try await server.open(port: line.port, timing: timing) }
    }
    func close(_ store: any CatalogStore) async throws { await (store as? PostgresCatalogStore)?.close() }
    func crash() async throws { try await server.server.restart(.immediate) }
    func stall() async throws { await server.server.pause() }
    func resume() async throws { await server.server.resume() }
    func cut() async throws { line.set(.cut) }
    func silence() async throws { line.set(.silent) }
    func mend() async throws { line.set(.open) }
}

/// Each half in order. The second runs in a process of its own (scripts/run-tests): its calls have a second, of which other suites would take their part.
@Suite struct PostgresConformanceTests {
    @Suite(.catalogServer, .serialized) struct Plain {
        @Test(arguments: CatalogConformance.checks)
        func postgresConforms(to check: CatalogConformance.Check) async throws {
            try await check.run(PostgresCatalog(server: try await CatalogServer.current.withDatabase()))
        }
    }

    @Suite(.serialized) struct Faults {
        @Test(arguments: CatalogFaultConformance.checks)
        func postgresConforms(to check: CatalogFaultConformance.Check) async throws {
            try await CatalogServer.with { server in
                let line = try TestLine(to: server.server.port, on: try LoopbackPort.free())
                defer { line.close() }
                try await check.run(HarmablePostgres(server: server, line: line))
            }
        }
    }
}
