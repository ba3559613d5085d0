import ClusterTestKit
import ControlAPI
import Foundation
import PostgresProcess
import RESTTestKit
import ServerConfig
import Testing

extension FaultTests {
    /// A shard that is stopped (SIGSTOP): connections stay open, and nothing is answered.
    @Suite(
        .faultCluster(preparesApart: true) { settings in
            settings.poolSizeMax = 4
            settings.poolWaitTimeout = .seconds(8)
            settings.poolConnectTimeout = .seconds(6)
            settings.poolHealthCheckAfter = .milliseconds(500)
        }, .serialized)
    struct ShardPauseTests {
        private let cluster: TestCluster
        private let victim = 2

        init() throws { cluster = try TestCluster.current }

        private func pausing(_ body: () async throws -> Void) async throws {
            await cluster.servers[victim].pause()
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            await cluster.servers[victim].resume()
            try result.get()
            try await cluster.expectNoLeak()
            let (key, client) = (try await cluster.key(on: victim), try await cluster.login())
            try await eventually("the shard answers again") { try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil }
        }

        @Test func othersNeverNoticeAndTheStatementGoesOnAfterwards() async throws {
            let (key, others) = (try await cluster.key(on: victim), try await [cluster.key(on: 0), cluster.key(on: 1)])
            let waiting = try await cluster.login()
            try await waiting.query("SELECT v FROM kv WHERE k = \(key)")
            let client = try await cluster.login()
            try await pausing {
                try await waiting.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
                for round in 0..<200 { #expect(try await client.failure("SELECT v FROM kv WHERE k = \(others[round % 2])") == nil) }
            }
            #expect(try await waiting.until("Z").last?.status == "I")
        }

        @Test func waitingStatementsEndInTimeOrWhenCancelled() async throws {
            let key = try await cluster.key(on: victim)
            var holders: [WireClient] = []
            for _ in 0..<4 {
                let holder = try await cluster.login()
                try await holder.query("BEGIN")
                try #require(try await holder.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
                holders.append(holder)
            }
            let (late, cancelled) = (try await cluster.login(), try await cluster.login())
            try await pausing {
                let start = ContinuousClock.now
                try await late.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
                try await cancelled.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
                try await eventually("both wait") { try await cluster.metric("pgmosaic_pool_waiting") == 2 }
                try await cancelled.cancel(port: cluster.wirePort)
                #expect(try await cancelled.until("Z").map(\.description) == ["E(57014)", "Z(I)"])
                #expect(try await late.until("Z").map(\.description) == ["E(53300)", "Z(I)"])
                #expect(ContinuousClock.now - start > .seconds(7))
                for holder in holders { holder.close() }
            }
        }

        /// The connection idles: it would be asked for its health, and the answer never comes.
        @Test func anIdleConnectionToItDoesNotHoldTheRequestForEver() async throws {
            let key = try await cluster.key(on: victim)
            let client = try await cluster.login()
            try await client.query("SELECT v FROM kv WHERE k = \(key)")
            try await Task.sleep(for: .milliseconds(700))
            try await pausing {
                let code = try await client.failure("SELECT v FROM kv WHERE k = \(key)")
                #expect(["08001", "53300"].contains(code), "\(code ?? "none")")
            }
            #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
        }

        @Test func restAnswersByItsDeadline() async throws {
            let key = try await cluster.key(on: victim)
            @Sendable func post(_ key: Int64, within milliseconds: Int = 120_000) async throws -> HTTPAnswer {
                let body = #"{"query": "SELECT v FROM kv WHERE k = $1", "params": [\#(key)], "options": {"timeout_ms": \#(milliseconds)}}"#
                return try await RawHTTP.send(
                    "POST", "/v1/execute", port: cluster.httpPort, headers: [("Content-Type", "application/json")], body: Array(body.utf8))
            }
            #expect(try await post(key).status == 200)
            let other = try await cluster.key(on: 0)
            try await pausing {
                let answer = try await post(key, within: 700)
                #expect([503, 504].contains(answer.status), "\(answer.text)")
                #expect(try await post(other).status == 200)
            }
            try await eventually("REST reaches the shard again") { try await post(key).status == 200 }
        }

        @Test func aReferenceWriteWaitsAndIsWhole() async throws {
            let client = try await cluster.login()
            _ = try await client.failure("INSERT INTO ref VALUES (1, 0)")
            try await pausing {
                try await client.send(WireMessages.query("UPDATE ref SET v = v + 1 WHERE id = 1"))
                try await Task.sleep(for: .milliseconds(500))
            }
            _ = try await client.until("Z")
            _ = try await cluster.settled()
        }

        /// A cancel request lies in the stopped server's queue when the router gives it up: whoever gets the backend next must not feel it.
        @Test func aCancelRequestThatComesLateHitsNobodyElse() async throws {
            let key = try await cluster.key(on: victim)
            let client = try await cluster.login()
            try await client.query("SELECT v FROM kv WHERE k = \(key)")
            try await pausing {
                try await client.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
                try await Task.sleep(for: .milliseconds(200))
                try await client.cancel(port: cluster.wirePort)
                try await Task.sleep(for: .milliseconds(300))
            }
            _ = try await client.until("Z")
            let next = try await cluster.login()
            for _ in 0..<20 { #expect(try await next.failure("SELECT pg_sleep(0.02) FROM kv WHERE k = \(key)") == nil) }
        }
    }
}
