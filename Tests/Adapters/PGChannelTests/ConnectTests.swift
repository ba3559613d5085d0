import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import Testing

extension RealServerTests {
    @Suite struct ConnectTests {
        private let loop = MultiThreadedEventLoopGroup.singleton.next()

        private func connect(_ endpoint: PostgresEndpoint, _ overrides: BackendConnector.Overrides = .init()) async throws(BackendConnectError) -> EstablishedBackend {
            do {
                let backend = try await BackendConnector.connect(to: endpoint, overrides: overrides, on: loop).get()
                backend.channel.close(promise: nil)
                return backend
            } catch {
                throw error as! BackendConnectError
            }
        }

        private func failure(_ endpoint: PostgresEndpoint, _ overrides: BackendConnector.Overrides = .init()) async throws -> BackendConnectError {
            try #require(await #expect(throws: BackendConnectError.self) { try await connect(endpoint, overrides) })
        }

        @Test(arguments: ["scram_user", "md5_user", "plain_user"]) func aPasswordIsAcceptedByEachMethodAndAWrongOneRefused(_ user: String) async throws {
            let server = try RealServer.current
            let backend = try await connect(server.endpoint(user: user, password: "pencil"))
            #expect(backend.parameters["server_version"]?.hasPrefix("1") == true)
            #expect(backend.parameters["session_authorization"] == user)
            #expect(backend.processID != 0)
            #expect(backend.unread.readableBytes == 0)
            #expect(!backend.isEncrypted)
            let wrong = try await failure(server.endpoint(user: user, password: "pencil "))
            guard case .refused(let error) = wrong else {
                Issue.record("\(wrong)")
                return
            }
            #expect(error.sqlState == .invalidPassword)
            #expect(error.isFatal)
            #expect(!wrong.isTransient)
            #expect(!"\(wrong)".contains("pencil"))
            guard case .authentication(.passwordRequired) = try await failure(server.endpoint(user: user)) else {
                Issue.record("no password must not be an empty one")
                return
            }
        }

        @Test func aUnixSocketIsReachedByItsFolderAndNeverSpeaksTLS() async throws {
            let server = try RealServer.current
            var endpoint = server.endpoint(user: "scram_user", password: "pencil", tls: .require)
            endpoint.address = .unix(directory: server.server.dataDirectory, port: server.server.port)
            #expect(try await !connect(endpoint).isEncrypted)
            endpoint.address = .unix(directory: "/nonexistent", port: 1)
            guard case .unreachable = try await failure(endpoint) else {
                Issue.record("a socket that does not exist is not reachable")
                return
            }
        }

        @Test func trustNeedsNoPassword() async throws {
            _ = try await connect(RealServer.current.endpoint())
        }

        /// PostgreSQL stores the prepared form of "Ⅸ<soft hyphen><no-break space>п", and takes what the profile prohibits (an emoji) as it is.
        @Test func passwordsBeyondASCIIArePreparedAsTheServerDoes() async throws {
            let server = try RealServer.current
            for password in ["\u{2168}\u{AD}\u{A0}\u{43F}", "IX \u{43F}"] {
                _ = try await connect(server.endpoint(user: "mapped_user", password: password))
            }
            _ = try await connect(server.endpoint(user: "raw_user", password: "\u{2168}\u{1F511}"))
            _ = try await failure(server.endpoint(user: "raw_user", password: "IX\u{1F511}"))
        }

        @Test func overridesTakeThePlaceOfTheEndpointsValues() async throws {
            var overrides = BackendConnector.Overrides(database: "template1", user: "scram_user", password: .literal("pencil"))
            overrides.parameters = [.init(name: "application_name", value: "given"), .init(name: "TimeZone", value: "Asia/Tokyo")]
            var endpoint = try RealServer.current.endpoint(password: "wrong")
            endpoint.applicationName = "of the endpoint"
            let backend = try await connect(endpoint, overrides)
            #expect(backend.parameters["session_authorization"] == "scram_user")
            #expect(backend.parameters["application_name"] == "given")
            #expect(backend.parameters["TimeZone"] == "Asia/Tokyo")
            #expect(try await connect(endpoint).parameters["application_name"] == "of the endpoint")
        }

        @Test func aServersRefusalKeepsItsState() async throws {
            let server = try RealServer.current
            var endpoint = server.endpoint()
            endpoint.database = "nowhere"
            #expect(try await failure(endpoint).sqlState == .invalidCatalogName)
            #expect(try await failure(server.endpoint(user: "nobody_known")).sqlState == .invalidAuthorizationSpecification)
            var parameters = BackendConnector.Overrides()
            parameters.parameters = [.init(name: "no_such_setting", value: "1")]
            #expect(try await failure(server.endpoint(), parameters).sqlState == .undefinedObject)
        }

        @Test func aServerThatIsFullIsAPassingTrouble() async throws {
            let server = try RealServer.current
            try await server.server.psql("ALTER ROLE limited CONNECTION LIMIT 1")
            let first = try await BackendConnector.connect(to: server.endpoint(user: "limited"), on: loop).get()
            let second = try await failure(server.endpoint(user: "limited"))
            #expect(second.sqlState == .tooManyConnections)
            #expect(second.isTransient)
            try await first.channel.close().get()
        }

        // MARK: TLS

        @Test(arguments: PostgresEndpoint.TLSMode.allCases) func everyModeOfTLSConnectsWhereItIsRight(_ mode: PostgresEndpoint.TLSMode) async throws {
            let server = try RealServer.current
            let endpoint = server.endpoint(user: "scram_user", password: "pencil", host: "localhost", tls: mode, root: server.certificates.authority)
            #expect(try await connect(endpoint).isEncrypted == (mode != .disable))
        }

        @Test func preferAndRequireDoNotVerifyWithoutAnAuthority() async throws {
            let server = try RealServer.current
            for mode in [PostgresEndpoint.TLSMode.prefer, .require] {
                #expect(try await connect(server.endpoint(tls: mode)).isEncrypted)
            }
        }

        @Test func aCertificateOfAnotherAuthorityIsRefused() async throws {
            let server = try RealServer.current
            // With an authority `require` verifies the chain, as in libpq.
            for mode in [PostgresEndpoint.TLSMode.require, .verifyCA, .verifyFull] {
                let error = try await failure(server.endpoint(host: "localhost", tls: mode, root: server.certificates.otherAuthority))
                guard case .tls(.handshake) = error else {
                    Issue.record("\(mode): \(error)")
                    continue
                }
                #expect(!error.isTransient)
            }
            // Nor is it one of the system's.
            guard case .tls(.handshake) = try await failure(server.endpoint(host: "localhost", tls: .verifyFull)) else {
                Issue.record("a certificate of the test's authority passed for one of the system's")
                return
            }
        }

        @Test func onlyVerifyFullComparesTheHostsName() async throws {
            let server = try RealServer.current
            let authority = server.certificates.authority
            // The certificate names localhost, and no address.
            #expect(try await connect(server.endpoint(host: "127.0.0.1", tls: .verifyCA, root: authority)).isEncrypted)
            guard case .tls(.handshake) = try await failure(server.endpoint(host: "127.0.0.1", tls: .verifyFull, root: authority)) else {
                Issue.record("another name was accepted")
                return
            }
        }

        @Test func anAuthorityThatCannotBeReadIsAnErrorOfTheConfiguration() async throws {
            let error = try await failure(RealServer.current.endpoint(tls: .verifyCA, root: "/nonexistent/ca.pem"))
            guard case .tls(.configuration) = error else {
                Issue.record("\(error)")
                return
            }
        }

        @Test func theServersRulesOnTLSAreKept() async throws {
            let server = try RealServer.current
            #expect(try await connect(server.endpoint(user: "needs_tls", password: "pencil", tls: .require)).isEncrypted)
            #expect(try await failure(server.endpoint(user: "needs_tls", password: "pencil")).sqlState == .invalidAuthorizationSpecification)
            #expect(try await failure(server.endpoint(user: "no_tls", tls: .prefer)).sqlState == .invalidAuthorizationSpecification)
        }

        // MARK: Other packets of the startup

        /// Sends `packet` and reads until the server hangs up.
        private func answer(to packet: ByteBuffer) async throws -> ByteBuffer {
            let port = try RealServer.current.server.port
            let promise = loop.makePromise(of: ByteBuffer.self)
            let channel = try await ClientBootstrap(group: loop).channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Collector(promise)) }
            }.connect(host: "127.0.0.1", port: port).get()
            try await channel.writeAndFlush(packet).get()
            return try await promise.futureResult.get()
        }

        private final class Collector: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            private let promise: EventLoopPromise<ByteBuffer>
            private var bytes = ByteBuffer()

            init(_ promise: EventLoopPromise<ByteBuffer>) { self.promise = promise }
            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                var part = unwrapInboundIn(data)
                bytes.writeBuffer(&part)
            }
            func channelInactive(context: ChannelHandlerContext) { promise.succeed(bytes) }
        }

        @Test func aRealServersAnswerToProtocol32IsUnderstood() async throws {
            var packet = ByteBuffer()
            packet.writeStartup([.init(name: "user", value: "postgres"), .init(name: "_pq_.speed", value: "1"), .init(name: "database", value: "postgres")])
            packet.setInteger(Int32(3 << 16 | 2), at: 4)
            packet.writeTerminate()
            var stream = try await answer(to: packet)
            let frame = try #require(try stream.readFrame(limit: 1000))
            #expect(frame.kind == BackendKind.negotiateProtocolVersion)
            let message = try NegotiateProtocolVersion(body: frame.body)
            #expect(message == NegotiateProtocolVersion(minorVersion: 0, unrecognizedOptions: ["_pq_.speed"]))
            // What the router would write in its place is the same, byte for byte.
            var written = ByteBuffer()
            written.writeNegotiateProtocolVersion(message)
            written.moveReaderIndex(forwardBy: FrameHeader.length)
            #expect(written == frame.body)
            let next = try #require(try stream.readFrame(limit: 1000))
            #expect(try AuthenticationRequest(body: next.body) == .ok)
        }

        @Test func whatTheCodecRefusesARealServerRefusesToo() async throws {
            func startup(_ version: Int32, _ content: String) -> ByteBuffer {
                var packet = ByteBuffer()
                packet.writeMultipleIntegers(Int32(8 + content.utf8.count), version)
                packet.writeString(content)
                return packet
            }
            // To protocol 2 it answers in that protocol's own form, which is not spoken here.
            for packet in [startup(3 << 16, "database\0a\0\0"), startup(4 << 16, "user\0postgres\0\0"), startup(3 << 16, "user\0postgres\0\0x")] {
                var stream = try await answer(to: packet)
                let error = try ServerError(body: try #require(try stream.readFrame(limit: 1000)).body)
                #expect(error.isFatal)
                var own = packet
                let refusal = try #require(#expect(throws: WireError.self) { try StartupPacket.parse(from: &own) })
                if refusal.reason != .trailingBytes { #expect(refusal.sqlState == error.sqlState) }
                #expect(refusal.serverError.isFatal || refusal.reason == .trailingBytes)
            }
        }

        @Test(arguments: [PostgresEndpoint.TLSMode.disable, .require]) func aCancelRequestStopsWhatTheSessionRuns(_ mode: PostgresEndpoint.TLSMode) async throws {
            let server = try RealServer.current
            let client = try await server.client(tls: mode)
            let sleeping = Task { try await client.query("SELECT pg_sleep(300)") }
            try await server.waitUntilRunning(client)
            try await client.cancel()
            let error = await #expect(throws: PGClientError.self) { _ = try await sleeping.value }
            #expect(error?.sqlState == .queryCanceled)
            #expect(error?.execution == .didNotRun)
            // The session lives on.
            #expect(try await client.query("SELECT 1").rows.first?.integer(0) == 1)
            await client.close()
        }

        @Test func aCancelRequestWithAFalseKeyIsTakenAndDoesNothing() async throws {
            try await BackendConnector.sendCancel(to: RealServer.current.endpoint(), CancelRequest(processID: 1, secret: 2), on: loop).get()
        }
    }
}
