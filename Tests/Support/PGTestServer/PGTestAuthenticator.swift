internal import NIOCore
internal import PGWire

/// The server's side of authentication, right or wrong as the test wants it.
struct PGTestAuthenticator {
    private let method: PGTestServer.Authentication
    private let user: String
    private let mechanisms: [String]
    private let salt = SecureRandom.bytes(4)
    private var scram: ScramServer?
    private var scramMessages = 0

    init(_ configuration: PGTestServer.Configuration, user: String) {
        method = configuration.authentication
        mechanisms = (configuration.offersChannelBinding ? ["SCRAM-SHA-256-PLUS"] : []) + [ScramClient.mechanism]
        self.user = user
    }

    /// nil: the client has to answer.
    mutating func start(_ output: inout ByteBuffer) -> Bool? {
        switch method {
        case .trust: return true
        case .cleartext: output.writeAuthentication(.cleartextPassword)
        case .md5: output.writeAuthentication(.md5Password(salt: salt))
        case .scram(let password), .scramWithoutProof(let password), .scramWithFalseProof(let password):
            startSCRAM(password, iterations: ScramVerifier.iterationsDefault, &output)
        case .scramIterations(let iterations):
            output.writeAuthentication(.sasl(mechanisms: [ScramClient.mechanism]))
            let verifier = ScramVerifier.mock(user: user, secret: [1], iterations: iterations)
            scram = ScramServer(verifier: verifier, nonce: SecureRandom.nonce(), isMock: true)
        case .unsupported(let code): output.writeAuthentication(.unsupported(code: code))
        }
        return nil
    }

    private mutating func startSCRAM(_ password: String, iterations: Int, _ output: inout ByteBuffer) {
        output.writeAuthentication(.sasl(mechanisms: mechanisms))
        let verifier = ScramVerifier.make(password: password, salt: SecureRandom.bytes(16), iterations: iterations)
        scram = ScramServer(verifier: verifier, nonce: SecureRandom.nonce())
    }

    /// Takes one message of kind 'p'. nil: another is needed.
    mutating func received(_ body: ByteBuffer, _ output: inout ByteBuffer) -> Bool? {
        switch method {
        case .trust, .unsupported: return false
        case .cleartext(let password): return given(body) == password
        case .md5(let password): return given(body) == MD5Password.response(user: user, password: password, salt: salt)
        case .scram, .scramWithoutProof, .scramWithFalseProof, .scramIterations: return receivedSCRAM(body, &output)
        }
    }

    private func given(_ body: ByteBuffer) -> String? { (try? PasswordMessage(body: body)).map { String(buffer: $0.password) } }

    private mutating func receivedSCRAM(_ body: ByteBuffer, _ output: inout ByteBuffer) -> Bool? {
        guard var server = scram else { return false }
        defer { scram = server }
        scramMessages += 1
        do {
            if scramMessages == 1 {
                let initial = try SASLInitialResponse(body: body)
                let data = initial.data.map { Array($0.readableBytesView) } ?? []
                output.writeAuthentication(.saslContinue(try server.receiveFirst(mechanism: initial.mechanism, data: data)))
                return nil
            }
            let final = try server.receiveFinal(Array(body.readableBytesView))
            switch method {
            case .scramWithoutProof: break
            case .scramWithFalseProof: output.writeAuthentication(.saslFinal(Array("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".utf8)))
            default: output.writeAuthentication(.saslFinal(final))
            }
            return true
        } catch {
            return false
        }
    }
}
