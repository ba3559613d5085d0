import CatalogConformance
import CatalogEtcd
import CatalogStore
import EtcdTestKit
import PostgresProcess
import TestKit
import Testing

/// Each opening is a store of its own, with a connection of its own, as another process would have.
private struct PlainCatalog: CatalogUnderTest {
    let cluster: EtcdCluster
    let prefix = SharedEtcd.newPrefix()
    func open() async throws -> any CatalogStore { try await cluster.open(prefix: prefix, timing: .patient) }
    func close(_ store: any CatalogStore) async throws { await (store as? EtcdCatalogStore)?.close() }
}

/// The same with a member of its own, which a check may harm, and a line to it.
private struct HarmableEtcd: HarmableCatalog {
    let cluster: EtcdCluster
    let line: TestLine

    func open() async throws -> any CatalogStore { try await cluster.open(timing: .patient) }
    func openOverLine() async throws -> any CatalogStore {
        // Made by one that is patient, and opened again and again: a busy machine is no fault yet.
        try await close(try await open())
        return try await CatalogFaultConformance.patiently { try await cluster.open(port: line.port, timing: .brief) }
    }
    func close(_ store: any CatalogStore) async throws { await (store as? EtcdCatalogStore)?.close() }
    func crash() async throws {
        try await cluster.restart(0)
        try await cluster.waitUntilReady()
    }
    func stall() async throws { cluster.pause(0) }
    func resume() async throws { cluster.resume(0) }
    func cut() async throws { line.set(.cut) }
    func silence() async throws { line.set(.silent) }
    func mend() async throws { line.set(.open) }
}

/// Each half in order. The second runs in a process of its own (scripts/run-tests): its calls have a second, of which other suites would take their part.
@Suite struct EtcdConformanceTests {
    @Suite(.sharedEtcd, .serialized) struct Plain {
        @Test(arguments: CatalogConformance.checks)
        func etcdConforms(to check: CatalogConformance.Check) async throws {
            try await check.run(PlainCatalog(cluster: try SharedEtcd.current))
        }
    }

    @Suite(.serialized) struct Faults {
        @Test(arguments: CatalogFaultConformance.checks)
        func etcdConforms(to check: CatalogFaultConformance.Check) async throws {
            try await EtcdCluster.with { cluster in
                let line = try TestLine(to: cluster.port(), on: try LoopbackPort.free())
                defer { line.close() }
                try await check.run(HarmableEtcd(cluster: cluster, line: line))
            }
        }
    }
}
