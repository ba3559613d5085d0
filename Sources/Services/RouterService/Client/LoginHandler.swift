internal import Logging
internal import NIOCore
internal import NIOSSL
internal import PGChannel
internal import PGWire
internal import SessionCore
internal import ShardModel

/// The start of a client connection: TLS, who it is, and what it wants; then a `ClientSession` takes its place in the pipeline.
final class LoginHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        case startup
        case sasl(StartupMessage, ScramServer, hasStarted: Bool)
        /// The session is being made ready; the client has to wait.
        case opening
        case done
    }

    private let loop: RouterLoop
    /// A connection of the router's own REST service, over a socket pair: no authentication.
    private let isInternal: Bool
    private var stage = Stage.startup
    private var inbox = ByteBuffer()
    private var deadline: Scheduled<Void>?
    private var isEncrypted = false
    /// `pgmosaic.consistency` of the startup packet.
    private var consistency: Consistency?
    /// Held while the client is logging in or logged in.
    private var permit: ClientPermit?

    init(loop: RouterLoop, isInternal: Bool) {
        self.loop = loop
        self.isInternal = isInternal
    }

    func handlerAdded(context: ChannelHandlerContext) {
        permit = loop.shared.clients.admit()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: loop.shared.limits.startupTimeout) {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        stage = .done
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loop.logger.debug("A client failed before its login", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if inbox.readableBytes == 0 { inbox = buffer } else { inbox.writeBuffer(&buffer) }
        do throws(WireError) {
            while try step(context) {}
        } catch {
            loop.metrics.clients.add(at: .rejectedProtocol)
            refuse(context, error.serverError)
        }
    }

    /// Acts on one message; false when there is none to act on.
    private func step(_ context: ChannelHandlerContext) throws(WireError) -> Bool {
        switch stage {
        case .startup:
            guard let packet = try StartupPacket.parse(from: &inbox, limits: loop.shared.limits.wire) else { return false }
            return received(packet, context)
        case .sasl(let startup, var server, let hasStarted):
            guard let frame = try inbox.readFrame(limit: loop.shared.limits.wire.authenticationMessageMax) else { return false }
            guard frame.kind == FrontendKind.password else { throw WireError(.unexpectedMessage, kind: frame.kind) }
            do throws(ScramError) {
                if hasStarted {
                    let last = try server.receiveFinal(Array(buffer: SASLResponse(body: frame.body).data))
                    send(context) { $0.writeAuthentication(.saslFinal(last)) }
                    open(startup, context)
                } else {
                    let initial: SASLInitialResponse
                    do { initial = try SASLInitialResponse(body: frame.body) } catch { throw .malformed }
                    let first = try server.receiveFirst(mechanism: initial.mechanism, data: initial.data.map { Array(buffer: $0) } ?? [])
                    stage = .sasl(startup, server, hasStarted: true)
                    send(context) { $0.writeAuthentication(.saslContinue(first)) }
                    context.flush()
                }
            } catch {
                loop.metrics.clients.add(at: .rejectedAuth)
                refuse(context, error == .wrongPassword ? .wrongPassword(user: startup.user) : .scram(error))
                return false
            }
            return true
        case .opening:
            // Bounded like everything of a client that is not logged in.
            if inbox.readableBytes > loop.shared.limits.clientBacklogMax { throw WireError(.messageTooLarge, kind: 0) }
            return false
        case .done:
            return false
        }
    }

    private func received(_ packet: StartupPacket, _ context: ChannelHandlerContext) -> Bool {
        switch packet {
        case .gssEncRequest:
            answerByte(context, "N")
            return true
        case .sslRequest:
            guard let tls = loop.shared.tls, !isEncrypted, !isInternal else {
                answerByte(context, "N")
                return true
            }
            // Bytes behind the request were sent in the clear by somebody who could not know the answer (CVE-2021-23214).
            guard inbox.readableBytes == 0 else {
                refuse(context, .unencryptedBytes)
                return false
            }
            answerByte(context, "S")
            isEncrypted = true
            try? context.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls), position: .first)
            return false
        case .cancel(let request):
            loop.shared.cancel(request)
            context.close(promise: nil)
            stage = .done
            return false
        case .startup(let startup):
            return start(startup, context)
        }
    }

    private func start(_ startup: StartupMessage, _ context: ChannelHandlerContext) -> Bool {
        guard permit != nil else {
            loop.metrics.clients.add(at: .rejectedLimit)
            refuse(context, .tooManyClients)
            return false
        }
        if loop.shared.requiresTLS, !isEncrypted, !isInternal {
            refuse(context, .tlsRequired)
            return false
        }
        if startup["replication"] != nil {
            refuse(context, .replicationRefused)
            return false
        }
        if startup.needsNegotiation {
            send(context) {
                $0.writeNegotiateProtocolVersion(
                    NegotiateProtocolVersion(minorVersion: 0, unrecognizedOptions: startup.protocolOptions))
            }
        }
        guard loop.shared.authenticates, !isInternal else {
            open(startup, context)
            return false
        }
        let user = loop.catalog.users[startup.user]
        let known = user.flatMap { ScramVerifier.parse($0.verifier) }
        let verifier = known ?? .mock(user: startup.user, secret: loop.shared.mockSecret)
        stage = .sasl(
            startup, ScramServer(verifier: verifier, nonce: SecureRandom.nonce(), isMock: known == nil), hasStarted: false)
        send(context) { $0.writeAuthentication(.sasl(mechanisms: [ScramClient.mechanism])) }
        context.flush()
        return true
    }

    // MARK: Opening the session

    /// The client has proved who it is: finds its database, and tries its settings on a shard.
    private func open(_ startup: StartupMessage, _ context: ChannelHandlerContext) {
        stage = .opening
        let name = startup.database
        guard let database = loop.databases[name] else {
            return refuse(context, loop.catalog.databases[name] == nil ? .noDatabase(name) : .noShards(name))
        }
        if loop.shared.authenticates, !isInternal, let allowed = loop.catalog.users[startup.user]?.databases, !allowed.contains(name) {
            return refuse(context, .databaseForbidden(name, user: startup.user))
        }
        guard !loop.isDraining else { return refuse(context, .shuttingDown) }
        guard database.schema != nil else {
            loop.shared.control.refreshSchema(database: name).hop(to: loop.eventLoop).assumeIsolated().whenComplete { [self] _ in
                if database.schema == nil { refuse(context, .schemaUnknown(name)) } else { open(startup, context) }
            }
            return
        }
        let requested: StartupSettings
        do throws(ServerError) {
            requested = try StartupSettings(startup)
        } catch {
            return refuse(context, error)
        }
        consistency = requested.consistency
        guard !requested.settings.isEmpty else { return finish(startup, database, loop.settings(SessionSettings()), [:], context) }
        let settings = loop.settings(requested.settings)
        if let known = database.reports[ObjectIdentifier(settings)], known.settings === settings {
            return finish(startup, database, settings, known.parameters, context)
        }
        tryOut(settings, startup, database, context)
    }

    /// Makes the settings on a backend: the server says whether they are valid, and what it reports for them.
    private func tryOut(_ settings: SettingsRef, _ startup: StartupMessage, _ database: DatabaseState, _ context: ChannelHandlerContext) {
        let pool = database.home
        let run: (Backend) -> Void = { [self] backend in
            let exchange = Exchange { [self] exchange, result in
                if result == .done {
                    if exchange.error == nil { backend.settings = settings }
                    pool.release(backend, isReusable: exchange.error == nil)
                }
                if let error = exchange.error { return refuse(context, error) }
                guard result == .done else { return refuse(context, .shardLost(pool.shardID, mayHaveRun: false)) }
                var parameters: [String: String] = [:]
                for message in exchange.parameterChanges {
                    var message = message
                    if let frame = try? message.readFrame(limit: .max), let status = try? ParameterStatus(body: frame.body) {
                        parameters[status.name] = status.value
                    }
                }
                database.remember(settings, parameters)
                finish(startup, database, settings, parameters, context)
            }
            let statements = settings.settings.statements(from: SessionSettings())
            // From a clean state, so that the server reports each setting that differs from its default.
            backend.run(exchange) { $0.writeQuery((["RESET ALL"] + statements).joined(separator: ";\n")) }
        }
        if let backend = pool.take() { return run(backend) }
        _ = pool.wait { [self] result in
            switch result {
            case .success(let backend): run(backend)
            case .failure(let error): refuse(context, error)
            }
        }
    }

    private func finish(
        _ startup: StartupMessage, _ database: DatabaseState, _ settings: SettingsRef, _ reported: [String: String],
        _ context: ChannelHandlerContext
    ) {
        guard case .opening = stage, context.channel.isActive else { return }
        stage = .done
        deadline?.cancel()
        let secret = Int32(truncatingIfNeeded: SecureRandom.bytes(4).reduce(0) { $0 << 8 | Int($1) })
        let session = ClientSession(
            loop: loop, database: database, user: startup.user, settings: settings, consistency: consistency, secret: secret,
            isInternal: isInternal, permit: permit)
        loop.metrics.clients.add(at: .accepted)
        send(context) { buffer in
            buffer.writeAuthentication(.ok)
            var parameters = database.parameters.merging(reported) { $1 }
            parameters["session_authorization"] = startup.user
            for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
                buffer.writeParameterStatus(name: name, value: value)
            }
            buffer.writeBackendKeyData(processID: session.processID, secret: secret)
            buffer.writeReadyForQuery(status: TransactionState.Phase.idle.rawValue)
        }
        context.flush()
        let channel = context.channel
        do {
            try context.pipeline.syncOperations.addHandler(session, position: .after(self))
            let rest = inbox
            inbox = ByteBuffer()
            if rest.readableBytes > 0 { session.received(rest) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            session.closeClient()
            context.close(promise: nil)
        }
        // Writing the greeting may have shown that the client is gone, before the session could hear of it.
        if !channel.isActive { session.closeClient() }
    }

    // MARK: Answers

    private func answerByte(_ context: ChannelHandlerContext, _ byte: String) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: byte)), promise: nil)
    }

    private func send(_ context: ChannelHandlerContext, _ build: (inout ByteBuffer) -> Void) {
        var buffer = context.channel.allocator.buffer(capacity: 256)
        build(&buffer)
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    private func refuse(_ context: ChannelHandlerContext, _ error: ServerError) {
        stage = .done
        var error = error
        error[.severity] = ServerError.Severity.fatal.rawValue
        error[.severityPlain] = ServerError.Severity.fatal.rawValue
        send(context) { $0.writeErrorResponse(error) }
        context.flush()
        context.close(promise: nil)
    }
}
