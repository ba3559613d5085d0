import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import TestKit
import Testing

extension FaultTests {
    /// Bytes that no client should send: the router never crashes, never hangs, and its other clients never notice.
    @Suite(.faultCluster(preparesApart: true) { $0.startupTimeout = .seconds(6) }, .serialized)
    struct HostileBytesTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// Runs `attack` while another client checks that its own answers are right.
        private func besideAGoodClient(_ attack: @Sendable @escaping () async throws -> Void) async throws {
            let key = try await cluster.key(on: 1)
            let good = try await cluster.login()
            _ = try await good.failure("INSERT INTO kv VALUES (\(key), 77)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { () async throws -> Void in
                    while !Task.isCancelled {
                        #expect(try await good.rows("SELECT v FROM kv WHERE k = \(key)") == [["77"]])
                    }
                }
                try await attack()
                group.cancelAll()
                try await group.waitForAll()
            }
            good.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// The client is still writing when the router has had enough: it reads why, and not only that its connection was reset.
        @Test(arguments: [2, 20, 60]) func aQueryBeyondTheLimitGetsItsError(megabytes: Int) async throws {
            try await besideAGoodClient {
                let client = try await cluster.login()
                let query = "SELECT '" + String(repeating: "x", count: megabytes << 20) + "'"
                do { try await client.send(WireMessages.query(query)) } catch {}
                let answer = try await client.until("E", orError: true)
                #expect(answer.last?.kind == "E" && answer.last?.sqlState?.hasPrefix("54") == true || answer.last?.sqlState == "08P01", "\(answer)")
                client.close()
            }
        }

        private static let login = WireMessages.startup(["user": "test", "database": "shop"])

        /// Conversations as drivers have them.
        private static let conversations: [[UInt8]] = [
            WireMessages.sslRequest + login + WireMessages.query("SELECT 1"),
            login + WireMessages.query("SELECT v FROM kv WHERE k = 1; ") + WireMessages.terminate,
            login + WireMessages.parse("s", "SELECT v FROM kv WHERE k = $1") + WireMessages.describe("S", "s") + WireMessages.bind("", "s", ["5"])
                + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.close("S", "s") + WireMessages.sync,
            login + WireMessages.query("COPY kv FROM STDIN") + WireMessages.copyData("900000001\t1\n900000002\t2\n") + WireMessages.copyFail("no"),
            login + WireMessages.query("BEGIN") + WireMessages.query("UPDATE ref SET v = v + 1") + WireMessages.query("ROLLBACK"),
            WireMessages.cancel(processID: 1, secret: 2),
        ]

        /// Bits flipped, bytes lost, doubled and put in, lengths replaced, the end cut off.
        private func spoil(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
            var bytes = bytes
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                guard bytes.count > 8 else { return bytes }
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<7, using: &generator) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes[at] = UInt8.random(in: .min ... .max, using: &generator)
                case 2: bytes.remove(at: at)
                case 3: bytes.insert(contentsOf: generator.bytes(Int.random(in: 1...5, using: &generator)), at: at)
                case 4: bytes.insert(contentsOf: bytes[at..<min(at + 40, bytes.count)], at: at)
                case 5:
                    let length = [Int32(0), 1, 3, 4, -1, .max, .min, 1 << 30, 65_536].randomElement(using: &generator)!
                    for (offset, byte) in WireMessages.integer(length).enumerated() where at + offset < bytes.count { bytes[at + offset] = byte }
                default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 1...20, using: &generator)))
                }
            }
            return bytes
        }

        @Test func spoiledConversationsHarmNobody() async throws {
            let given = ProcessInfo.processInfo.environment["PGMOSAIC_SEED"].flatMap { UInt64($0) }
            let first = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
            print("replay: PGMOSAIC_SEED=\(first) swift test --filter spoiledConversationsHarmNobody")
            try await besideAGoodClient {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<8 as Range<UInt64> {
                        group.addTask {
                            for round in 0..<UInt64(rounds(60)) {
                                var generator = SeededGenerator(seed: first &+ lane &* 1_000_000 &+ round)
                                let bytes =
                                    round % 10 == 0
                                    ? generator.bytes(Int.random(in: 1...2000, using: &generator))
                                    : spoil(Self.conversations.randomElement(using: &generator)!, &generator)
                                let client = try WireClient(port: cluster.wirePort)
                                // The router may hang up in the middle.
                                try? await client.send(bytes)
                                _ = try? await client.untilEnd(within: .milliseconds(20))
                                client.close()
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let client = try await cluster.login()
            #expect(try await client.rows("SELECT 1") == [["1"]])
            _ = try await cluster.settled()
        }

        @Test func aHugeLengthIsRefusedAndNotReserved() async throws {
            for kind in "QPBDECHSdcfp" {
                let client = try await cluster.login()
                try await client.send([kind.asciiValue!] + WireMessages.integer(Int32.max))
                let answer = try await client.untilEnd()
                #expect(answer.first?.field("V") == "FATAL", "\(kind): \(answer)")
            }
            let stranger = try WireClient(port: cluster.wirePort)
            try await stranger.send(WireMessages.integer(Int32.max) + WireMessages.integer(196_608))
            #expect(try await stranger.untilEnd().first?.kind == "E")
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aFloodOfMessagesIsAnsweredInOrder() async throws {
            try await besideAGoodClient {
                let client = try await cluster.login()
                // Syncs, empty queries, statements of the router's own, and real ones.
                let pattern: [([UInt8], String)] = [
                    (WireMessages.sync, "Z(I)"), (WireMessages.query(""), "I Z(I)"), (WireMessages.query("SELECT 1"), "T D(1) C(SELECT 1) Z(I)"),
                    (WireMessages.parse("", "SELECT 2") + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync, "1 2 D(2) C(SELECT 1) Z(I)"),
                ]
                let count = 10_000
                let bytes = (0..<count).flatMap { pattern[$0 % 4].0 }
                async let sent: Void = client.send(bytes)
                for round in 0..<count {
                    let answer = try await client.until("Z").map(\.description).joined(separator: " ")
                    guard answer == pattern[round % 4].1 else {
                        Issue.record("message \(round): \(answer)")
                        break
                    }
                }
                try await sent
                client.close()
            }
        }

        @Test func aBatchOfTenThousandMessagesIsOneBatch() async throws {
            let client = try await cluster.login()
            var bytes: [UInt8] = []
            for _ in 0..<3333 { bytes += WireMessages.parse("", "SELECT 3") + WireMessages.bind("", "") + WireMessages.execute("") }
            async let sent: Void = client.send(bytes + WireMessages.sync)
            let answer = try await client.until("Z")
            try await sent
            #expect(answer.filter { $0.kind == "D" }.count == 3333)
            #expect(answer.count == 3333 * 4 + 1)
        }

        @Test func messagesOutOfPlaceGetTheirErrors() async throws {
            let client = try await cluster.login()
            for (bytes, expected) in [
                (WireMessages.execute("nowhere") + WireMessages.sync, "E(34000) Z(I)"),
                (WireMessages.bind("", "nothing") + WireMessages.sync, "E(26000) Z(I)"),
                (WireMessages.describe("P", "") + WireMessages.sync, "E(34000) Z(I)"),
                (WireMessages.flush + WireMessages.sync, "Z(I)"),
                (WireMessages.copyData("1\t1\n") + WireMessages.copyDone + WireMessages.copyFail("x") + WireMessages.sync, "Z(I)"),
                (WireMessages.message("B", [0]) + WireMessages.sync, "E(08P01) Z(I)"),
                (WireMessages.message("D", [0x58, 0]) + WireMessages.sync, "E(08P01) Z(I)"),
                (WireMessages.message("Q", [0x41]) + WireMessages.sync, "E(08P01) Z(I) Z(I)"),
            ] {
                try await client.send(bytes)
                let ready = expected.components(separatedBy: "Z").count - 1
                var answers: [String] = []
                for _ in 0..<ready { answers += try await client.until("Z").map(\.description) }
                #expect(answers.joined(separator: " ") == expected)
            }
            for bytes in [WireMessages.message("y", []), WireMessages.message("p", [0])] {
                let client = try await cluster.login()
                try await client.send(bytes)
                let answer = try await client.untilEnd().first
                #expect(answer?.field("V") == "FATAL" && answer?.sqlState == "08P01")
            }
        }

        @Test func whoSaysNothingIsShownTheDoor() async throws {
            let silent = try WireClient(port: cluster.wirePort)
            let slow = try WireClient(port: cluster.wirePort)
            async let trickle: Void = {
                for byte in Self.login {
                    try? await slow.send([byte])
                    try? await Task.sleep(for: .milliseconds(300))
                }
            }()
            let heard = try await silent.untilEnd() + slow.untilEnd()
            #expect(heard.isEmpty)
            await trickle
        }
    }
}
