package import NIOCore
package import PGWire

/// Everything between a connection's first byte and ReadyForQuery, from the client's side. Pure: bytes in, actions out.
package struct BackendHandshake: ~Copyable {
    package enum TLSPolicy: Hashable, Sendable { case none, preferred, required }

    package struct Configuration: Sendable {
        package var user: String
        package var database: String?
        package var parameters: [StartupMessage.Parameter] = []
        package var password: String?
        package var tls: TLSPolicy = .none
        /// Whether a password may be sent as text over a line without TLS.
        package var allowsCleartext = false
        /// The password is sent as text over no line: the server may be whoever named it.
        package var refusesCleartext = false
        package var nonce: String
        /// Derives the password's keys; costs milliseconds, so the caller may keep what it gave.
        package var scramKeys: @Sendable (_ password: String, _ salt: [UInt8], _ iterations: Int) -> ScramKeys = ScramKeys.init

        package init(user: String, nonce: String) {
            self.user = user
            self.nonce = nonce
        }
    }

    package enum Action: Hashable, Sendable {
        case send(ByteBuffer)
        /// Start TLS, then call `tlsEstablished`.
        case startTLS
        case established(Session)
        case fail(Failure)
    }

    package struct Session: Hashable, Sendable {
        package var parameters: [String: String] = [:]
        package var processID: Int32 = 0
        package var secretKey: Int32 = 0
        /// The server has proved, by SCRAM, that it knows what the password is checked by.
        package var hasProvenItself = false
    }

    package enum Failure: Error, Hashable, Sendable {
        case refused(ServerError)
        case authentication(BackendConnectError.AuthenticationFailure)
        case tlsNotOffered
        case unencryptedBytes
        case protocolViolation(WireError)
    }

    private enum State {
        case initial
        case awaitingTLSAnswer
        case awaitingTLS
        case authenticating
        /// The SASL exchange was begun; AuthenticationOk counts only after the server's proof.
        case exchangingSCRAM(ScramClient)
        case settingUp
        case done
    }

    /// Messages a server may send before ReadyForQuery: settings and notices. PostgreSQL sends about 15.
    package static let messagesMax = 1000

    private let configuration: Configuration
    private var state = State.initial
    private var session = Session()
    private var isEncrypted = false
    private var messages = 0

    package init(_ configuration: Configuration) { self.configuration = configuration }

    /// The connection stands. To be called once.
    package mutating func start() -> Action {
        guard configuration.tls != .none else { return startup() }
        state = .awaitingTLSAnswer
        var bytes = ByteBuffer()
        bytes.writeSSLRequest()
        return .send(bytes)
    }

    package mutating func tlsEstablished() -> Action {
        isEncrypted = true
        return startup()
    }

    /// Takes what it can from `buffer`. Call it until it gives nil (more bytes are needed), `established` or `fail`.
    package mutating func received(_ buffer: inout ByteBuffer) -> Action? {
        switch state {
        case .initial, .done, .awaitingTLS: return nil
        case .awaitingTLSAnswer: return receivedTLSAnswer(&buffer)
        case .authenticating, .exchangingSCRAM, .settingUp: break
        }
        do throws(WireError) {
            while let frame = try buffer.readFrame(limit: WireLimits().authenticationMessageMax) {
                messages += 1
                guard messages <= Self.messagesMax else { throw WireError(.unexpectedMessage, kind: frame.kind) }
                if let action = try received(frame) { return action }
            }
            return nil
        } catch {
            return fail(.protocolViolation(error))
        }
    }

    private mutating func startup() -> Action {
        state = .authenticating
        var parameters = [StartupMessage.Parameter(name: "user", value: configuration.user)]
        if let database = configuration.database { parameters.append(.init(name: "database", value: database)) }
        parameters += configuration.parameters
        var bytes = ByteBuffer()
        bytes.writeStartup(parameters)
        return .send(bytes)
    }

    private mutating func fail(_ failure: Failure) -> Action {
        state = .done
        return .fail(failure)
    }

    private mutating func receivedTLSAnswer(_ buffer: inout ByteBuffer) -> Action? {
        guard let answer = buffer.readInteger(as: UInt8.self) else { return nil }
        switch answer {
        case UInt8(ascii: "S"):
            guard buffer.readableBytes == 0 else { return fail(.unencryptedBytes) }
            state = .awaitingTLS
            return .startTLS
        case UInt8(ascii: "N"):
            return configuration.tls == .required ? fail(.tlsNotOffered) : startup()
        default:
            return fail(.protocolViolation(WireError(.unexpectedMessage, kind: answer)))
        }
    }

    private mutating func received(_ frame: Frame) throws(WireError) -> Action? {
        switch frame.kind {
        case BackendKind.errorResponse:
            return fail(.refused(try ServerError(body: frame.body)))
        case BackendKind.noticeResponse, BackendKind.negotiateProtocolVersion:
            return nil
        case BackendKind.authentication:
            return try receivedAuthentication(try AuthenticationRequest(body: frame.body))
        default:
            guard case .settingUp = state else { throw WireError(.unexpectedMessage, kind: frame.kind) }
            return try receivedSetup(frame)
        }
    }

    private mutating func receivedSetup(_ frame: Frame) throws(WireError) -> Action? {
        switch frame.kind {
        case BackendKind.parameterStatus:
            let status = try ParameterStatus(body: frame.body)
            session.parameters[status.name] = status.value
            return nil
        case BackendKind.backendKeyData:
            let key = try BackendKeyData(body: frame.body)
            session.processID = key.processID
            session.secretKey = key.secret
            return nil
        case BackendKind.readyForQuery:
            _ = try ReadyForQuery(body: frame.body)
            state = .done
            return .established(session)
        default:
            throw WireError(.unexpectedMessage, kind: frame.kind)
        }
    }

    private mutating func receivedAuthentication(_ request: AuthenticationRequest) throws(WireError) -> Action? {
        switch (request, state) {
        case (.ok, .authenticating):
            state = .settingUp
            return nil
        case (.ok, .exchangingSCRAM(let client)):
            guard client.isDone else { return fail(.authentication(.exchangeSkipped)) }
            session.hasProvenItself = true
            state = .settingUp
            return nil
        case (.cleartextPassword, .authenticating):
            guard !configuration.refusesCleartext else { return fail(.authentication(.referenceAsText)) }
            guard isEncrypted || configuration.allowsCleartext else { return fail(.authentication(.cleartextRefused)) }
            return withPassword { $0.writePassword($1) }
        case (.md5Password(let salt), .authenticating):
            let user = configuration.user
            return withPassword { $0.writePassword(MD5Password.response(user: user, password: $1, salt: salt)) }
        case (.sasl(let mechanisms), .authenticating):
            return startSCRAM(mechanisms)
        case (.saslContinue(let data), .exchangingSCRAM(let client)):
            return continueSCRAM(client, data)
        case (.saslFinal(let data), .exchangingSCRAM(let client)):
            return finishSCRAM(client, data)
        case (.unsupported(let code), _):
            return fail(.authentication(.unsupportedMethod(code: code)))
        default:
            throw WireError(.unexpectedMessage, kind: BackendKind.authentication)
        }
    }

    private mutating func withPassword(_ write: (inout ByteBuffer, String) -> Void) -> Action {
        guard let password = configuration.password else { return fail(.authentication(.passwordRequired)) }
        var bytes = ByteBuffer()
        write(&bytes, password)
        return .send(bytes)
    }

    private mutating func startSCRAM(_ mechanisms: [String]) -> Action {
        guard mechanisms.contains(ScramClient.mechanism) else { return fail(.authentication(.unsupportedMechanisms)) }
        var client = ScramClient(nonce: configuration.nonce)
        let action = withPassword { bytes, _ in
            bytes.writeSASLInitialResponse(mechanism: ScramClient.mechanism, data: client.firstMessage())
        }
        if case .send = action { state = .exchangingSCRAM(client) }
        return action
    }

    private mutating func continueSCRAM(_ client: ScramClient, _ data: [UInt8]) -> Action {
        guard let password = configuration.password else { return fail(.authentication(.passwordRequired)) }
        var client = client
        do {
            let challenge = try client.challenge(from: data)
            let keys = configuration.scramKeys(password, challenge.salt, challenge.iterations)
            var bytes = ByteBuffer()
            bytes.writeSASLResponse(client.finalMessage(for: challenge, keys: keys))
            state = .exchangingSCRAM(client)
            return .send(bytes)
        } catch {
            return fail(.authentication(.scram(error)))
        }
    }

    private mutating func finishSCRAM(_ client: ScramClient, _ data: [UInt8]) -> Action? {
        var client = client
        do {
            try client.verify(serverFinal: data)
            state = .exchangingSCRAM(client)
            return nil
        } catch {
            return fail(.authentication(.scram(error)))
        }
    }
}
