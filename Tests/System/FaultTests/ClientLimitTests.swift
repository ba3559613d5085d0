import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// Clients that ask for more than their share: of memory, of places, of other clients' patience.
    @Suite(.faultCluster { $0.clientsMax = 40 }, .serialized)
    struct ClientLimitTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// Of this process, which the router is part of; in MiB.
        private var residentSize: Int {
            let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
            return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
        }

        private func expectOthersServed() async throws {
            let other = try await cluster.login()
            for index in 0..<3 {
                let key = try await cluster.key(on: index)
                for _ in 0..<20 { #expect(try await other.failure("SELECT v FROM kv WHERE k = \(key)") == nil) }
            }
            other.close()
        }

        @Test func whoDoesNotReadAHugeAnswerCostsLittle() async throws {
            let before = residentSize
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 16_384)
            try await client.send(WireMessages.query("SELECT repeat('x', 1000000) FROM generate_series(1, 1000)"))
            try await Task.sleep(for: .seconds(2))
            try await expectOthersServed()
            #expect(residentSize - before < 32, "\(before) MiB before, \(residentSize) after")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func whoSendsWithoutReadingIsNotReadEither() async throws {
            let before = residentSize
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 16_384)
            // Each answer is larger than its question: an error of the router's own.
            let flood = (0..<4000).flatMap { _ in WireMessages.execute("nowhere") + WireMessages.sync }
            let sender = Task { for _ in 0..<400 { try await client.send(flood) } }
            try await Task.sleep(for: .seconds(3))
            try await expectOthersServed()
            #expect(residentSize - before < 48, "\(before) MiB before, \(residentSize) after")
            client.close()
            _ = await sender.result
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func whoPutsOffItsSyncBehindASlowStatementWaitsInItsSocket() async throws {
            let before = residentSize
            let key = try await cluster.key(on: 1)
            let client = try await cluster.login()
            let bind = WireMessages.bind("", "length", [String(repeating: "x", count: 200_000)]) + WireMessages.execute("")
            try await client.send(WireMessages.parse("length", "SELECT length($1) FROM kv WHERE k = \(key)"))
            try await client.send(WireMessages.parse("", "SELECT pg_sleep(6) FROM kv WHERE k = \(key)") + WireMessages.bind("", "") + WireMessages.execute(""))
            try await client.send(WireMessages.parse("", "SELECT pg_sleep(6)") + WireMessages.bind("", "") + WireMessages.execute(""))
            let flood = Task { for _ in 0..<1000 { try await client.send(bind) } }
            try await Task.sleep(for: .seconds(3))
            try await expectOthersServed()
            #expect(residentSize - before < 64, "\(before) MiB before, \(residentSize) after")
            client.close()
            _ = await flood.result
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aBatchThatOnlyPreparesIsAnsweredWhole() async throws {
            let client = try await cluster.login()
            let key = try await cluster.key(on: 1)
            var bytes: [UInt8] = []
            for number in 0..<2000 {
                bytes += WireMessages.parse("", "SELECT \(number) FROM kv WHERE k = \(key)") + WireMessages.describe("S", "")
            }
            bytes += WireMessages.close("S", "nowhere") + WireMessages.sync
            async let sent: Void = client.send(bytes)
            let answer = try await client.until("Z")
            try await sent
            #expect(answer.filter { $0.kind == "1" }.count == 2000)
            #expect(answer.filter { $0.kind == "T" }.count == 2000)
            #expect(answer.filter { $0.kind == "E" }.isEmpty)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func clientsBeyondTheLimitAreToldSoAtOnce() async throws {
            var held: [WireClient] = []
            for _ in 0..<40 { held.append(try await cluster.login()) }
            let port = cluster.wirePort
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        for _ in 0..<30 {
                            let client = try WireClient(port: port)
                            try await client.send(WireMessages.startup(["user": "test", "database": "shop"]))
                            #expect(try await client.untilEnd().first?.sqlState == "53300")
                            client.close()
                        }
                    }
                }
                try await group.waitForAll()
            }
            for client in held { client.close() }
            try await cluster.expectNoLeak(clients: 0)
            try await expectOthersServed()
        }

        /// Half of the clients are cancelled all the time; the other half must never feel it.
        @Test func aCancelRequestNeverHitsAnotherClient() async throws {
            let keys = try await cluster.keys(on: 0, count: 3)
            let port = cluster.wirePort
            let cancelled = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<12 {
                    group.addTask {
                        let client = try await WireClient.login(port: port)
                        for round in 0..<rounds(40) {
                            let number = lane * 1000 + round
                            // One that is hit for certain, and short ones, which may have ended before.
                            let isLong = lane % 2 == 0 && round == 0
                            try await client.send(
                                WireMessages.query("SELECT \(number) + length(pg_sleep(\(isLong ? 120 : 0.005))::text) FROM generate_series(1, 2) WHERE \(keys[0]) > 0"))
                            if lane % 2 == 0 {
                                if isLong {
                                    try await eventually("it runs") {
                                        try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT \(number) +%' AND wait_event = 'PgSleep'") == "1"
                                    }
                                } else if round % 3 > 0 {
                                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...12)))
                                }
                                try await client.cancel(port: port)
                            }
                            let answer = try await client.until("Z")
                            if let code = answer.first(where: { $0.kind == "E" })?.sqlState {
                                #expect(lane % 2 == 0 && code == "57014", "lane \(lane): \(code)")
                                await cancelled.count()
                            } else {
                                #expect(answer.filter { $0.kind == "D" }.map(\.row) == [["\(number)"], ["\(number)"]])
                            }
                        }
                        client.close()
                    }
                }
                try await group.waitForAll()
            }
            #expect(await cancelled.value >= 6)
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}

private actor Counter {
    private(set) var value = 0
    func count() { value += 1 }
}
