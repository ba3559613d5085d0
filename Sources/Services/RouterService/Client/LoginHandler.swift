internal import Audit
internal import Logging
internal import NIOCore
internal import NIOSSL
internal import PGChannel
internal import PGWire
internal import RESTServer
internal import ServerConfig
internal import SessionCore
internal import ShardModel

/// The start of a client connection: TLS, who it is, and what it wants; then a `ClientSession` takes its place in the pipeline.
final class LoginHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        case startup
        case sasl(StartupMessage, ScramServer, hasStarted: Bool)
        /// A token is awaited in the place of a password.
        case token(StartupMessage)
        /// It is being checked.
        case verifying
        /// The session is being made ready; the client has to wait.
        case opening
        case done
    }

    let loop: RouterLoop
    /// A connection of the router's own REST service, over a socket pair: no authentication.
    private let isInternal: Bool
    private var stage = Stage.startup
    private var inbox = ByteBuffer()
    private var deadline: Scheduled<Void>?
    private var isEncrypted = false
    /// What the connection is encrypted with: the router may have another certificate since.
    private var tls: ServerTLS?
    private var pendingID: UInt64?
    private var isCounted = false
    /// `pgmosaic.consistency` of the startup packet.
    private var consistency: Consistency?
    private var keepsSequences = false
    /// Who it says that it is, once it has said so; for the audit trail.
    var claim: StartupMessage?
    /// What the client has proved who it is with, where that is a token.
    private var token: SessionToken?
    /// Held from when the client has proved who it is.
    private var permit: ClientPermit?

    init(loop: RouterLoop, isInternal: Bool) {
        self.loop = loop
        self.isInternal = isInternal
    }

    func handlerAdded(context: ChannelHandlerContext) {
        begin(context)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: loop.limits.startupTimeout) {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        stage = .done
        end()
        isKnown()
    }

    /// The connection has proved who it is, or is over.
    private func isKnown() {
        if let pendingID { loop.pendingLogins.remove(pendingID) }
        pendingID = nil
    }

    // A router that ends waits for those who are logging in.

    private func begin(_ context: ChannelHandlerContext) {
        guard !isInternal else { return }
        isCounted = true
        loop.logins += 1
        pendingID = loop.pendingLogins.add(context.channel)
        // Afterwards, for a channel that is closed says so at once.
        loop.pendingLogins.takeExcess(max: loop.limits.loginsMax)?.close(promise: nil)
    }

    private func end() {
        guard isCounted else { return }
        isCounted = false
        loop.logins -= 1
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
            guard let packet = try StartupPacket.parse(from: &inbox, limits: loop.limits.wire) else { return false }
            return received(packet, context)
        case .sasl(let startup, var server, let hasStarted):
            guard let frame = try inbox.readFrame(limit: loop.limits.wire.authenticationMessageMax) else { return false }
            guard frame.kind == FrontendKind.password else { throw WireError(.unexpectedMessage, kind: frame.kind) }
            do throws(ScramError) {
                if hasStarted {
                    let last = try server.receiveFinal(Array(buffer: SASLResponse(body: frame.body).data))
                    send(context) { $0.writeAuthentication(.saslFinal(last)) }
                    admit(startup, context)
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
                refuseLater(context, error == .wrongPassword ? .wrongPassword(user: startup.user) : .scram(error))
                return false
            }
            return true
        case .token(let startup):
            guard let frame = try inbox.readFrame(limit: loop.limits.wire.authenticationMessageMax) else { return false }
            guard frame.kind == FrontendKind.password else { throw WireError(.unexpectedMessage, kind: frame.kind) }
            verify(String(buffer: try PasswordMessage(body: frame.body).password), startup, context)
            return true
        case .opening, .verifying:
            // Bounded like everything of a client that is not logged in.
            if inbox.readableBytes > loop.limits.clientBacklogMax { throw WireError(.messageTooLarge, kind: 0) }
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
            guard let tls = loop.admission.tls, !isEncrypted, !isInternal else {
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
            self.tls = tls
            try? context.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context), position: .first)
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
        if loop.admission.requiresTLS, !isEncrypted, !isInternal {
            refuse(context, .tlsRequired)
            return false
        }
        if loop.audit != nil, !isInternal { claim = startup }
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
        guard loop.admission.authenticates, !isInternal else {
            admit(startup, context)
            return false
        }
        if loop.admission.clientAuth != .password, let refusal = certificateRefusal(startup, context) {
            loop.metrics.clients.add(at: .rejectedAuth)
            refuse(context, refusal)
            return false
        }
        if loop.admission.clientAuth == .certificate {
            guard loop.catalog.users[startup.user] != nil else {
                loop.metrics.clients.add(at: .rejectedAuth)
                refuse(context, .wrongCertificate(user: startup.user))
                return false
            }
            admit(startup, context)
            return false
        }
        do throws(ServerError) {
            if try StartupSettings.auth(of: startup) == "token" { return askForToken(startup, context) }
        } catch {
            refuse(context, error)
            return false
        }
        let user = loop.catalog.users[startup.user]
        let known = user.flatMap { ScramVerifier.parse($0.verifier) }
        let verifier = known ?? .mock(user: startup.user, secret: loop.shared.mockSecret)
        let server = ScramServer(verifier: verifier, nonce: SecureRandom.nonce(), isMock: known == nil, endPointHash: tls?.endPointHash)
        stage = .sasl(startup, server, hasStarted: false)
        send(context) { $0.writeAuthentication(.sasl(mechanisms: server.mechanisms)) }
        context.flush()
        return true
    }

    // MARK: Tokens

    /// In clear, so over TLS only; the client has said that it will send a token, and is not asked for one otherwise.
    private func askForToken(_ startup: StartupMessage, _ context: ChannelHandlerContext) -> Bool {
        let refusal: ServerError? =
            !isEncrypted ? .tokenNeedsTLS : loop.shared.tokens == nil ? .tokensNotTaken : startup.database == ConsoleSession.database ? .tokenOnConsole : nil
        if let refusal {
            loop.metrics.clients.add(at: .rejectedAuth)
            refuse(context, refusal)
            return false
        }
        stage = .token(startup)
        send(context) { $0.writeAuthentication(.cleartextPassword) }
        context.flush()
        return true
    }

    private func verify(_ token: String, _ startup: StartupMessage, _ context: ChannelHandlerContext) {
        guard let tokens = loop.shared.tokens else { return refuse(context, .tokensNotTaken) }
        stage = .verifying
        let promise = context.eventLoop.makePromise(of: RESTPrincipal.self)
        promise.completeWithTask { try await tokens.principal(ofToken: token) }
        promise.futureResult.assumeIsolated().whenComplete { [self] result in
            guard case .verifying = stage else { return }
            // A token is its own user's, and nobody else's.
            guard case .success(let principal) = result, principal.name == startup.user else {
                loop.metrics.clients.add(at: .rejectedAuth)
                return refuseLater(context, .wrongToken(user: startup.user))
            }
            self.token = SessionToken(principal.claims, tokens)
            admit(startup, context)
        }
    }

    /// nil: the client has shown a certificate of the user's. Whose signature it has was a matter of the handshake.
    private func certificateRefusal(_ startup: StartupMessage, _ context: ChannelHandlerContext) -> ServerError? {
        guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate(), let der = try? certificate.toDERBytes() else {
            return .certificateRequired
        }
        return CertificateFields(der: der)?.commonName == startup.user ? nil : .wrongCertificate(user: startup.user)
    }

    // MARK: Opening the session

    /// The client has proved who it is: takes its place, if there is one.
    private func admit(_ startup: StartupMessage, _ context: ChannelHandlerContext) {
        isKnown()
        if !isInternal {
            if loop.audit?.isClosed == true { return refuse(context, .auditUnavailableAtLogin) }
            if startup.database == ConsoleSession.database { return openConsole(startup, context) }
            switch loop.shared.clients.admit(user: startup.user, database: startup.database) {
            case .success(let permit): self.permit = permit
            case .failure(let refusal):
                loop.metrics.clients.add(at: .rejectedLimit)
                switch refusal {
                case .total: return refuse(context, .tooManyClients)
                case .user: return refuse(context, .tooManyOfUser(startup.user))
                case .database: return refuse(context, .tooManyOfDatabase(startup.database))
                }
            }
        }
        open(startup, context)
    }

    /// The console has places of its own: it must be there when clients have taken all of theirs.
    private func openConsole(_ startup: StartupMessage, _ context: ChannelHandlerContext) {
        let user = loop.catalog.users[startup.user]
        let isNamed = loop.admission.consoleUsers.contains(startup.user)
        let mayAct = isNamed || user?.roles.contains { $0 == "admin" || $0 == "operator" } == true
        // Of a record from before there were grants: its list names the console, too, or is none.
        let isOutside = user?.grants == nil && user?.databases.map { !$0.contains(ConsoleSession.database) } ?? false
        guard mayAct || user?.roles.contains("viewer") == true, isNamed || !isOutside else { return refuse(context, .consoleForbidden) }
        guard case .success(let permit) = loop.shared.consoles.admit(user: startup.user, database: startup.database) else {
            return refuse(context, .tooManyConsoles)
        }
        stage = .done
        end()
        deadline?.cancel()
        auditLogin(context, nil)
        let console = ConsoleSession(
            loop: loop, user: startup.user, address: loop.audit == nil ? nil : context.remoteAddress?.ipAddress, onlyLooks: !mayAct, permit: permit)
        send(context) { buffer in
            buffer.writeAuthentication(.ok)
            // What drivers ask for before anything else.
            for (name, value) in [
                ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("integer_datetimes", "on"), ("server_encoding", "UTF8"),
                ("server_version", "15.0 (PGMosaic console)"), ("standard_conforming_strings", "on"), ("TimeZone", "UTC"),
            ] { buffer.writeParameterStatus(name: name, value: value) }
            buffer.writeBackendKeyData(processID: 0, secret: 0)
            buffer.writeReadyForQuery(status: TransactionState.Phase.idle.rawValue)
        }
        context.flush()
        do {
            try context.pipeline.syncOperations.addHandler(console, position: .after(self))
            let rest = inbox
            inbox = ByteBuffer()
            if rest.readableBytes > 0 { console.received(rest) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    /// What the client may do with the database; nil: nothing.
    private func access(of startup: StartupMessage) -> DatabaseAccess? {
        guard loop.admission.authenticates, !isInternal else { return .write }
        if let token { return token.access(to: startup.database, in: loop.catalog) }
        return loop.catalog.users[startup.user]?.access(to: startup.database)
    }

    /// Finds its database, and tries its settings on a shard.
    private func open(_ startup: StartupMessage, _ context: ChannelHandlerContext) {
        stage = .opening
        let name = startup.database
        guard let database = loop.databases[name] else {
            return refuse(context, loop.catalog.databases[name] == nil ? .noDatabase(name) : .noShards(name))
        }
        if loop.admission.authenticates, !isInternal, access(of: startup) == nil {
            loop.metrics.clients.add(at: .rejectedAuth)
            return refuse(context, .databaseForbidden(name, user: startup.user))
        }
        // A client that was accepted before the router took no more is served, and told goodbye in its own time.
        guard !loop.isClosed else { return refuse(context, .shuttingDown) }
        guard database.schema != nil else {
            loop.shared.requests.refreshSchema(database: name).hop(to: loop.eventLoop).assumeIsolated().whenComplete { [self] _ in
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
        keepsSequences = requested.keepsSequences
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
            // The client may leave meanwhile, and the shard never answer.
            backend.boundExchange(to: loop.limits.abandonedTime)
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
        guard !database.isRetired else { return refuse(context, .noDatabase(database.name)) }
        // As it is now: the catalog may have changed while the settings were tried.
        guard let access = access(of: startup) else { return refuse(context, .databaseForbidden(database.name, user: startup.user)) }
        stage = .done
        end()
        deadline?.cancel()
        let secret = Int32(truncatingIfNeeded: SecureRandom.bytes(4).reduce(0) { $0 << 8 | Int($1) })
        let session = ClientSession(
            loop: loop, database: database, user: startup.user, settings: settings,
            startup: MosaicVariables(consistency: consistency, keepsSequences: keepsSequences), secret: secret,
            isInternal: isInternal, permit: permit, access: access, followsUsers: loop.admission.authenticates && !isInternal)
        if let token {
            session.token = token
            token.watch(session)
        }
        loop.metrics.clients.add(at: .accepted)
        auditLogin(context, nil)
        if loop.auditsWrites, !isInternal { session.auditOrigin = AuditOrigin(user: startup.user, address: context.remoteAddress?.ipAddress) }
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

    /// As `refuse`, to somebody who may be guessing. Who waits holds no place of a client's, and is the first to go where many wait.
    private func refuseLater(_ context: ChannelHandlerContext, _ error: ServerError) {
        stage = .done
        end()
        inbox = ByteBuffer()
        context.eventLoop.assumeIsolated().scheduleTask(in: RouterLimits.loginFailureDelay) { [self] in
            if context.channel.isActive { refuse(context, error) }
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ error: ServerError) {
        stage = .done
        auditLogin(context, error)
        end()
        var error = error
        error[.severity] = ServerError.Severity.fatal.rawValue
        error[.severityPlain] = ServerError.Severity.fatal.rawValue
        send(context) { $0.writeErrorResponse(error) }
        context.flush()
        context.close(promise: nil)
    }
}
