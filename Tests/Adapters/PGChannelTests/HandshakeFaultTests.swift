import Foundation
import Listening
import NIOCore
import NIOPosix
import NIOSSL
import PGChannel
import PGTestServer
import PGWire
import PostgresProcess
import Testing

/// What servers do too rarely to wait for: each fault of a handshake ends it with its own error, and leaves no connection behind.
@Suite struct HandshakeFaultTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func endpoint(_ server: PGTestServer, password: String? = "pencil", tls: PostgresEndpoint.TLSMode = .disable) -> PostgresEndpoint {
        var endpoint = PostgresEndpoint(address: .tcp(host: "127.0.0.1", port: server.port), user: "alice", database: "shop")
        if let password { endpoint.password = .literal(password) }
        endpoint.tlsMode = tls
        return endpoint
    }

    private func withServer<Value>(_ configuration: PGTestServer.Configuration, _ body: (PGTestServer) async throws -> Value) async throws -> Value {
        let server = try await PGTestServer.start(configuration, on: group)
        do {
            let value = try await body(server)
            await server.stop()
            return value
        } catch {
            await server.stop()
            throw error
        }
    }

    private func connect(
        _ server: PGTestServer, password: String? = "pencil", tls: PostgresEndpoint.TLSMode = .disable, timeout: TimeAmount = .seconds(60)
    ) async throws -> EstablishedBackend {
        let backend = try await BackendConnector.connect(
            to: endpoint(server, password: password, tls: tls), on: group.next(), timeout: timeout).get()
        backend.channel.close(promise: nil)
        return backend
    }

    private func failure(
        _ configuration: PGTestServer.Configuration, password: String? = "pencil", tls: PostgresEndpoint.TLSMode = .disable, timeout: TimeAmount = .seconds(60)
    ) async throws -> BackendConnectError {
        try await withServer(configuration) { server in
            let error = try #require(
                await #expect(throws: BackendConnectError.self) { _ = try await connect(server, password: password, tls: tls, timeout: timeout) })
            // The client hangs up; the server notices.
            for _ in 0..<6000 where server.connectionCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(server.connectionCount == 0)
            return error
        }
    }

    private func configuration(_ change: (inout PGTestServer.Configuration) -> Void) -> PGTestServer.Configuration {
        var configuration = PGTestServer.Configuration()
        change(&configuration)
        return configuration
    }

    @Test func aRefusalBeforeAuthenticationKeepsItsState() async throws {
        for state in [SQLState.cannotConnectNow, .tooManyConnections, .adminShutdown] {
            var greeting = ByteBuffer()
            greeting.writeErrorResponse(ServerError(severity: .fatal, sqlState: state, message: "the database system is starting up"))
            let error = try await failure(configuration { $0.greeting = greeting })
            #expect(error.sqlState == state)
            #expect(error.isTransient)
            #expect("\(error)".contains("starting up"))
        }
    }

    @Test func authenticationThatIsNotSpokenIsNamed() async throws {
        guard case .authentication(.unsupportedMethod(code: 7)) = try await failure(configuration { $0.authentication = .unsupported(code: 7) }) else {
            Issue.record("GSSAPI was taken for something else")
            return
        }
        var onlyPlus = ByteBuffer()
        onlyPlus.writeAuthentication(.sasl(mechanisms: ["SCRAM-SHA-256-PLUS"]))
        guard case .authentication(.unsupportedMechanisms) = try await failure(configuration { $0.greeting = onlyPlus }) else {
            Issue.record("a mechanism that was not offered was used")
            return
        }
    }

    @Test func aServerThatDoesNotProveItselfIsNotTrusted() async throws {
        let cases: [(PGTestServer.Authentication, BackendConnectError.AuthenticationFailure)] = [
            (.scramWithoutProof(password: "pencil"), .exchangeSkipped), (.scramWithFalseProof(password: "pencil"), .scram(.serverNotAuthentic)),
            (.scramIterations(1_000_000), .scram(.iterationsOutOfRange)), (.scramIterations(0), .scram(.iterationsOutOfRange)),
        ]
        for (method, expected) in cases {
            guard case .authentication(let actual) = try await failure(configuration { $0.authentication = method }) else {
                Issue.record("\(method) was accepted or failed otherwise")
                continue
            }
            #expect(actual == expected)
        }
    }

    @Test func aServerMayNotEndTheExchangeBeforeItsProof() async throws {
        // AuthenticationOk right behind the offer of SCRAM: the classic of a false server.
        var greeting = ByteBuffer()
        greeting.writeAuthentication(.sasl(mechanisms: [ScramClient.mechanism]))
        greeting.writeAuthentication(.ok)
        guard case .authentication(.exchangeSkipped) = try await failure(configuration { $0.greeting = greeting }) else {
            Issue.record("the exchange was skipped")
            return
        }
    }

    @Test(arguments: [
        PGTestServer.Authentication.trust, .cleartext(password: "pencil"), .md5(password: "pencil"), .scram(password: "pencil"),
    ]) func everyMethodWorksByteByByte(_ method: PGTestServer.Authentication) async throws {
        try await withServer(configuration {
            $0.authentication = method
            $0.offersChannelBinding = true
            $0.faults.isDribbling = true
        }) { server in
            let backend = try await connect(server)
            #expect(backend.parameters == ["server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on", "TimeZone": "Etc/UTC"])
            #expect(backend.cancelKey.processID == 1)
        }
    }

    @Test(arguments: [PGTestServer.Authentication.cleartext(password: "other"), .md5(password: "other"), .scram(password: "other")])
    func aWrongPasswordIsTheServersError(_ method: PGTestServer.Authentication) async throws {
        #expect(try await failure(configuration { $0.authentication = method }).sqlState == .invalidPassword)
        guard case .authentication(.passwordRequired) = try await failure(configuration { $0.authentication = method }, password: nil) else {
            Issue.record("a password was made up")
            return
        }
    }

    @Test(arguments: [PGTestServer.Authentication.trust, .scram(password: "pencil")]) func aLineCutAtAnyByteIsAClosedConnection(
        _ method: PGTestServer.Authentication
    ) async throws {
        // SCRAM's keys cost milliseconds each time, as the salt is new: not every byte there.
        let step = method == .trust ? 1 : 23
        var cut = 0
        while true {
            let isDone = try await withServer(configuration {
                $0.authentication = method
                $0.faults.cutAfterBytes = cut
            }) { server in
                do {
                    _ = try await connect(server)
                    return true
                } catch BackendConnectError.closed {
                    return false
                } catch BackendConnectError.unreachable {
                    // A reset, where the client's message met the closed end.
                    return false
                }
            }
            if isDone { break }
            cut += step
        }
        // The whole of it, and no less.
        #expect(cut > 130)
    }

    @Test(arguments: [0, 1, 9, 60, 200]) func aSilentServerTimesOut(_ stall: Int) async throws {
        let error = try await failure(configuration {
            $0.authentication = .scram(password: "pencil")
            $0.faults.stallAfterBytes = stall
        }, timeout: .milliseconds(150))
        guard case .timedOut = error else {
            Issue.record("\(error)")
            return
        }
        #expect(error.isTransient)
        #expect(error.sqlState == .unableToEstablishConnection)
    }

    @Test func garbageIsNoProtocol() async throws {
        var negative = ByteBuffer()
        negative.writeMultipleIntegers(BackendKind.authentication, Int32(-1))
        var huge = ByteBuffer()
        huge.writeMultipleIntegers(BackendKind.parameterStatus, Int32.max)
        var early = ByteBuffer()
        early.writeReadyForQuery(status: UInt8(ascii: "I"))
        var twice = ByteBuffer()
        twice.writeAuthentication(.ok)
        twice.writeAuthentication(.ok)
        var row = ByteBuffer()
        row.writeAuthentication(.ok)
        row.writeDataRow(text: ["x"])
        for garbage in [ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"), ByteBuffer(string: "SSH-2.0-OpenSSH_9.2\r\n"), negative, huge, early, twice, row] {
            let error = try await failure(configuration { $0.greeting = garbage })
            guard case .protocolViolation = error else {
                Issue.record("\(error) for \(garbage.hexDump(format: .plain))")
                continue
            }
            #expect(!error.isTransient)
        }
    }

    @Test func endlessSettingsAreAnError() async throws {
        var greeting = ByteBuffer()
        greeting.writeAuthentication(.ok)
        for number in 0...BackendHandshake.messagesMax { greeting.writeParameterStatus(name: "n\(number)", value: "") }
        guard case .protocolViolation = try await failure(configuration { $0.greeting = greeting }) else {
            Issue.record("a server may send settings for ever")
            return
        }
    }

    @Test func whatComesBehindReadyForQueryIsKept() async throws {
        var notice = ByteBuffer()
        notice.writeNoticeResponse(ServerError(severity: .notice, sqlState: .warning, message: "late"))
        try await withServer(configuration { $0.bytesBehindReady = notice }) { server in
            let unread = try await connect(server).unread
            #expect(unread == notice)
        }
    }

    @Test func nothingListensGivesUnreachable() async throws {
        let port = try LoopbackPort.free()
        let endpoint = PostgresEndpoint(address: .tcp(host: "127.0.0.1", port: port), user: "alice")
        let error = try #require(
            await #expect(throws: BackendConnectError.self) { _ = try await BackendConnector.connect(to: endpoint, on: group.next()).get() })
        guard case .unreachable = error else {
            Issue.record("\(error)")
            return
        }
        #expect(error.isTransient)
        #expect("\(error)".contains("refused"))
        let unknown = PostgresEndpoint(address: .tcp(host: "no-such-host.invalid", port: port), user: "alice")
        let unresolved = await #expect(throws: BackendConnectError.self) { _ = try await BackendConnector.connect(to: unknown, on: group.next()).get() }
        #expect(unresolved?.isTransient == true)
    }

    @Test func anEndpointWithoutUserIsRefusedBeforeAnythingIsSent() async throws {
        let error = await #expect(throws: BackendConnectError.self) {
            _ = try await BackendConnector.connect(to: PostgresEndpoint(address: .tcp(host: "127.0.0.1", port: 1)), on: group.next()).get()
        }
        guard case .endpoint = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    // MARK: TLS

    @Test func aServerWithoutTLSIsUsedOrNotAsTheModeSays() async throws {
        try await withServer(.init()) { server in
            let isEncrypted = try await connect(server, tls: .prefer).isEncrypted
            #expect(!isEncrypted)
        }
        for mode in [PostgresEndpoint.TLSMode.require, .verifyCA, .verifyFull] {
            guard case .tls(.notOffered) = try await failure(.init(), tls: mode) else {
                Issue.record("\(mode) went on without TLS")
                continue
            }
        }
    }

    @Test func bytesInTheClearBehindTheAnswerToSSLRequestAreRefused() async throws {
        let error = try await withTemporaryFolder { folder in
            let files = try await TestCertificates.make(in: folder)
            let tls = try ServerTLS(certificateFile: files.certificate, keyFile: files.key).context
            return try await failure(configuration {
                $0.tls = tls
                $0.bytesBehindTLSAnswer = Array("E\0\0\0\u{8}".utf8)
            }, tls: .require)
        }
        // In one segment they are noticed; in two they break TLS itself.
        switch error {
        case .tls(.unencryptedBytes), .tls(.handshake): break
        default: Issue.record("\(error)")
        }
    }

    @Test func anAnswerToSSLRequestThatIsNoneIsNoProtocol() async throws {
        // As a server of before 7.0 would: an error packet's 'E'.
        let listener = try await ServerBootstrap(group: group).childChannelInitializer { channel in
            channel.writeAndFlush(ByteBuffer(string: "E"), promise: nil)
            return channel.eventLoop.makeSucceededVoidFuture()
        }.bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        var endpoint = PostgresEndpoint(address: .tcp(host: "127.0.0.1", port: port), user: "alice")
        endpoint.tlsMode = .prefer
        let target = endpoint
        let error = await #expect(throws: BackendConnectError.self) { _ = try await BackendConnector.connect(to: target, on: group.next()).get() }
        guard case .protocolViolation = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await listener.close().get()
    }

    @Test func aPasswordGoesAsTextOnlyOverALineThatIsProtectedOrLocalOrWhereItIsAllowed() {
        func action(_ change: (inout BackendHandshake.Configuration) -> Void) -> BackendHandshake.Action? {
            var configuration = BackendHandshake.Configuration(user: "alice", nonce: "n")
            configuration.password = "pencil"
            configuration.tls = .preferred
            change(&configuration)
            var handshake = BackendHandshake(configuration)
            _ = handshake.start()
            var no = ByteBuffer(string: "N")
            _ = handshake.received(&no)
            var request = ByteBuffer()
            request.writeAuthentication(.cleartextPassword)
            return handshake.received(&request)
        }
        #expect(action { _ in } == .fail(.authentication(.cleartextRefused)))
        var password = ByteBuffer()
        password.writePassword("pencil")
        #expect(action { $0.allowsCleartext = true } == .send(password))
    }

    /// An endpoint of the catalog is an operator's: it must not have a file of the manager's sent to a server of the operator's own.
    @Test func whatAnEndpointRefersToIsSentAsTextToNoServer() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/password"
            try Data("pencil\n".utf8).write(to: URL(fileURLWithPath: path))
            func connect(_ method: PGTestServer.Authentication, _ change: (inout PostgresEndpoint) -> Void = { _ in }) async throws {
                try await withServer(configuration { $0.authentication = method }) { server in
                    var endpoint = endpoint(server)
                    endpoint.password = .file(path)
                    change(&endpoint)
                    let backend = try await BackendConnector.connect(to: endpoint, on: group.next(), timeout: .seconds(60)).get()
                    backend.channel.close(promise: nil)
                }
            }
            let error = try #require(await #expect(throws: BackendConnectError.self) { try await connect(.cleartext(password: "pencil")) })
            guard case .authentication(.referenceAsText) = error else {
                Issue.record("\(error)")
                return
            }
            for method in [PGTestServer.Authentication.scram(password: "pencil"), .md5(password: "pencil")] { try await connect(method) }
            // Whoever wrote the process's own settings can read the file.
            try await connect(.cleartext(password: "pencil")) { $0.sendsReferenceAsText = true }
        }
    }

    @Test func filesForServerTLSAreCheckedEach() async throws {
        try await withTemporaryFolder { folder in
            let files = try await TestCertificates.make(in: folder)
            func reason(_ certificate: String, _ key: String) -> ServerTLSError.Reason? {
                do throws(ServerTLSError) {
                    _ = try ServerTLS(certificateFile: certificate, keyFile: key)
                    return nil
                } catch {
                    return error.reason
                }
            }
            #expect(reason(files.certificate, files.key) == nil)
            #expect(reason(folder + "/none", files.key) == .unreadable)
            #expect(reason(files.certificate, folder + "/none") == .unreadable)
            #expect(reason(files.key, files.key) == .noCertificate)
            #expect(reason(files.certificate, files.certificate) == .notAKey)
            #expect(reason(files.certificate, folder + "/other.key") == .mismatch)
        }
    }
}
