import CatalogStore
import ClusterTestKit
import NIOPosix
import PGChannel
import PGWire
import ServerConfig
import ShardModel
import Synchronization
import Testing

@Suite struct LoginStormTests {
    /// Sixty that try passwords, where eight clients have a place: those that know theirs do not notice.
    @Test func whoGuessesPasswordsKeepsNobodyOut() async throws {
        var options = TestCluster.Options(shards: 1)
        options.router = {
            $0.wireAuth = .scram
            $0.clientsMax = 8
        }
        try await TestCluster.with(options) { cluster in
            let verifier = ScramVerifier.make(password: "right", salt: Array(1...16))
            let user = UserRecord(name: "good", verifier: verifier.text, roles: ["viewer"])
            let epoch = try await cluster.store.load().epoch
            _ = try await cluster.store.commit(CatalogChange([.putUser(user)], author: "test"), expecting: epoch)
            @Sendable func connect(_ password: String) async throws -> PGClient {
                let endpoint = try PostgresEndpoint.parse("postgres://good:\(password)@127.0.0.1:\(cluster.wirePort)/\(TestCluster.database)?connect_timeout=120")
                return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton)
            }
            try await eventually("the router knows the user") { 
                try await connect("right").close()
                return true
            }
            let tally = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<60 {
                    group.addTask {
                        while !tally.isDone.load(ordering: .relaxed) {
                            do { try await connect("wrong").close() } catch {
                                if "\(error)".contains("28P01") { tally.wrong.add(1, ordering: .relaxed) } else { tally.others.withLock { $0.append("\(error)") } }
                            }
                        }
                    }
                }
                // Also where one of these fails.
                defer { tally.isDone.store(true, ordering: .relaxed) }
                try await withThrowingTaskGroup(of: Void.self) { good in
                    for _ in 0..<4 {
                        good.addTask {
                            for _ in 0..<25 {
                                let client = try await connect("right")
                                #expect(try await client.query("SELECT 1").rows.first?.text(0) == "1")
                                await client.close()
                            }
                        }
                    }
                    try await good.waitForAll()
                }
            }
            #expect(tally.wrong.load(ordering: .relaxed) > 0)
            #expect(tally.others.withLock { $0.isEmpty }, "\(tally.others.withLock { $0.prefix(3) })")
        }
    }
}

private final class Tally: Sendable {
    let isDone = Atomic(false)
    let wrong = Atomic(0)
    let others = Mutex<[String]>([])
}
