import Foundation
import NIOCore
import NIOPosix
import PGChannel
import PGTestServer
import PGWire
import Testing

/// `PGClient` against a server that misbehaves, and over a socket pair.
@Suite struct ClientFaultTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func withClient<Value>(
        _ answer: @escaping @Sendable (String) -> PGTestAnswer, faults: PGTestServer.Faults = .init(),
        _ body: (PGClient, PGTestServer) async throws -> Value
    ) async throws -> Value {
        var configuration = PGTestServer.Configuration()
        configuration.answer = answer
        configuration.faults = faults
        let server = try await PGTestServer.start(configuration, on: group)
        var endpoint = PostgresEndpoint(address: .tcp(host: "127.0.0.1", port: server.port), user: "alice")
        endpoint.tlsMode = .disable
        do {
            let client = try await PGClient.connect(to: endpoint, on: group)
            let value = try await body(client, server)
            await client.close()
            await server.stop()
            return value
        } catch {
            await server.stop()
            throw error
        }
    }

    private func failure(_ body: () async throws -> Void) async throws -> PGClientError {
        try #require(await #expect(throws: PGClientError.self) { try await body() })
    }

    @Test func aSessionThatEndsBeforeItsAnswerLeavesItUnknown() async throws {
        let error = try await withClient({ _ in .hangUp }) { client, _ in try await failure { try await client.execute("COMMIT") } }
        #expect(error.execution == .unknown)
        #expect(error.sqlState == .connectionFailure)
    }

    @Test func aFatalErrorIsGivenAsItIs() async throws {
        let fatal = ServerError(severity: .fatal, sqlState: .idleSessionTimeout, message: "terminating connection")
        try await withClient({ _ in .error(fatal) }) { client, _ in
            let error = try await failure { _ = try await client.query("SELECT 1") }
            #expect(error.sqlState == .idleSessionTimeout)
            #expect(error.execution == .unknown)
            try await client.onClose.get()
            #expect(!client.isOpen)
        }
    }

    @Test func anAnswerThatIsNoProtocolClosesTheConnection() async throws {
        var unasked = ByteBuffer()
        unasked.writeAuthentication(.ok)
        var negative = ByteBuffer()
        negative.writeMultipleIntegers(BackendKind.dataRow, -5 as Int32)
        var lying = ByteBuffer()
        lying.writeFrame(BackendKind.dataRow) { $0.writeMultipleIntegers(1 as UInt16, Int32.max) }
        for raw in [ByteBuffer(string: "garbage, not messages"), unasked, negative, lying] {
            try await withClient({ _ in .raw(raw) }) { client, _ in
                let error = try await failure { try await client.execute("SELECT 1") }
                guard case .protocolViolation = error.cause else {
                    Issue.record("\(error)")
                    return
                }
                #expect(error.execution == .unknown)
                try await client.onClose.get()
            }
        }
    }

    @Test func messagesThatNobodyAskedForAreNoAnswer() async throws {
        var early = ByteBuffer()
        early.writeCommandComplete(tag: "SELECT 1")
        early.writeReadyForQuery(status: UInt8(ascii: "I"))
        early.writeDataRow(text: ["stray"])
        try await withClient({ [early] _ in .raw(early) }) { client, _ in
            _ = try await client.execute("SELECT 1")
            try await client.onClose.get()
        }
    }

    @Test func everythingBesideTheAnswerIsSortedOutByteByByte() async throws {
        var faults = PGTestServer.Faults()
        faults.isDribbling = true
        let answer = PGTestAnswer.notice(
            ServerError(severity: .notice, sqlState: .warning, message: "n"),
            then: .notification(
                NotificationResponse(processID: 1, channel: "c", payload: "p"),
                then: .parameterStatus(name: "TimeZone", value: "UTC", then: .rows(columns: ["a", "b"], rows: [["1", nil], ["", "2"]]))))
        try await withClient({ _ in answer }, faults: faults) { client, server in
            for result in [try await client.query("SELECT", [.integer(1)]), try #require(try await client.execute("SELECT").first)] {
                #expect(result.rows.map { row in (0..<row.count).map { row.text($0) } } == [["1", nil], ["", "2"]])
                #expect(result.notices.map(\.message) == ["n"])
            }
            #expect(client.parameterStatuses["TimeZone"] == "UTC")
            var notifications = client.notifications.makeAsyncIterator()
            #expect(await notifications.next()?.payload == "p")
            #expect(server.queries == ["SELECT", "SELECT"])
        }
    }

    @Test func aServerThatIgnoresTheCancelRequestLosesTheConnection() async throws {
        try await withClient({ $0 == "stuck" ? .delayed(.hours(1), .empty) : .empty }) { client, server in
            let error = try await failure { try await client.execute("stuck", timeout: .milliseconds(50)) }
            guard case .timedOut = error.cause else {
                Issue.record("\(error)")
                return
            }
            let clock = ContinuousClock()
            let took = try await clock.measure { try await client.onClose.get() }
            #expect(took < .seconds(300))
            #expect(server.events.contains { if case .cancel = $0 { true } else { false } })
        }
    }

    @Test func theQueueOfCallsIsBounded() async throws {
        try await withClient({ _ in .stall }) { client, _ in
            let calls = (0...PGClient.callsMax + 1).map { number in Task { try await client.execute("SELECT \(number)") } }
            // One runs, the queue is full, and what is beyond it is refused at once.
            var refused = 0
            for _ in 0..<1000 where refused == 0 {
                let probe = Task { try await client.execute("SELECT") }
                try await Task.sleep(for: .milliseconds(2))
                probe.cancel()
                if case .failure(let error as PGClientError) = await probe.result, case .tooManyCalls = error.cause {
                    #expect(error.execution == .didNotRun)
                    #expect(error.sqlState == .tooManyConnections)
                    refused += 1
                }
            }
            #expect(refused == 1)
            await client.close()
            for call in calls { _ = await call.result }
        }
    }

    @Test func aClientThatIsForgottenClosesItsConnection() async throws {
        let server = try await PGTestServer.start(on: group)
        var endpoint = PostgresEndpoint(address: .tcp(host: "127.0.0.1", port: server.port), user: "alice")
        endpoint.tlsMode = .disable
        do {
            let client = try await PGClient.connect(to: endpoint, on: group)
            _ = try await client.query("SELECT 1")
        }
        for _ in 0..<6000 where server.connectionCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(server.connectionCount == 0)
        await server.stop()
    }

    // MARK: Socket pairs

    private func socketPair() throws -> (CInt, CInt) {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        return (ends[0], ends[1])
    }

    private let identity: [StartupMessage.Parameter] = [
        .init(name: "user", value: "alice"), .init(name: "database", value: "shop"), .init(name: "TimeZone", value: "UTC"),
    ]

    @Test func aSocketPairCarriesASessionWithoutAuthentication() async throws {
        let (ours, theirs) = try socketPair()
        var configuration = PGTestServer.Configuration()
        configuration.answer = { _ in .rows(columns: ["a"], rows: [["1"]]) }
        let server = try await PGTestServer.serve(configuration, descriptor: theirs, on: group)
        let client = try await PGClient.connect(overConnectedSocket: ours, parameters: identity, on: group)
        #expect(try await client.query("SELECT $1", [.integer(1)]).rows.first?.integer(0) == 1)
        guard case .startup(let startup) = server.events.first else {
            Issue.record("no startup")
            return
        }
        #expect(startup.user == "alice")
        #expect(startup.database == "shop")
        #expect(startup.settings == [.init(name: "TimeZone", value: "UTC")])
        await client.close()
        await server.stop()
    }

    @Test func aCallOverASocketPairIsCancelledAsTheOwnerSays() async throws {
        let (ours, theirs) = try socketPair()
        var configuration = PGTestServer.Configuration()
        configuration.answer = { $0 == "stuck" ? .stall : .empty }
        let server = try await PGTestServer.serve(configuration, descriptor: theirs, on: group)
        let loop = group.next()
        let client = try await PGClient.connect(overConnectedSocket: ours, parameters: identity, on: group) { request in
            server.cancel(request)
            return loop.makeSucceededVoidFuture()
        }
        let stuck = Task { try await client.execute("stuck") }
        // A request that came before its statement would do nothing.
        while !server.queries.contains("stuck") { try await Task.sleep(for: .milliseconds(2)) }
        stuck.cancel()
        let error = try await failure { _ = try await stuck.value }
        guard case .cancelled = error.cause else {
            Issue.record("\(error)")
            return
        }
        #expect(try await client.execute("next").count == 1)
        await client.close()
        await server.stop()
    }

    @Test func withoutSuchAWayTheConnectionIsClosedInstead() async throws {
        let (ours, theirs) = try socketPair()
        var configuration = PGTestServer.Configuration()
        configuration.answer = { _ in .stall }
        let server = try await PGTestServer.serve(configuration, descriptor: theirs, on: group)
        let client = try await PGClient.connect(overConnectedSocket: ours, parameters: identity, on: group)
        _ = try await failure { try await client.execute("stuck", timeout: .milliseconds(50)) }
        try await client.onClose.get()
        await server.stop()
    }

    @Test func aSocketWithoutAnotherEndFailsToConnect() async throws {
        let (ours, theirs) = try socketPair()
        close(theirs)
        let error = try await failure { _ = try await PGClient.connect(overConnectedSocket: ours, parameters: identity, on: group) }
        #expect(error.execution == .didNotRun)
    }
}
