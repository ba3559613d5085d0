import NIOCore
@testable import PGWire
import Testing
import WireFuzzing

@Suite struct ScramTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// RFC 7677, section 3.
    private static let salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    private static let serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=\(salt),i=4096"
    private static let serverFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    @Test func theServerAnswersAsInTheRFC() throws {
        let salt = try #require(Base64.decode(Self.salt))
        let verifier = ScramVerifier.make(password: "pencil", salt: salt, iterations: 4096)
        var server = ScramServer(verifier: verifier, nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
        let first = try server.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
        #expect(first == bytes(Self.serverFirst))
        let final = try server.receiveFinal(
            bytes("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
        #expect(final == bytes(Self.serverFinal))
    }

    @Test func libpqsExchangeWithARealServerIsReproduced() throws {
        let sent = try CapturedSession.clientFrames().filter { $0.kind == FrontendKind.password }
        let received = try CapturedSession.serverFrames().prefix(4).map { try AuthenticationRequest(body: $0.body) }
        let first = try #require(try SASLInitialResponse(body: sent[0].body).data?.utf8Text)
        guard case .saslContinue(let serverFirst) = received[1], case .saslFinal(let serverFinal) = received[2] else {
            Issue.record("the recording holds no SCRAM exchange")
            return
        }
        var client = ScramClient(nonce: String(first.dropFirst("n,,n=,r=".count)))
        #expect(client.firstMessage() == bytes(first))
        let challenge = try client.challenge(from: serverFirst)
        let keys = ScramKeys(password: "pencil", salt: challenge.salt, iterations: challenge.iterations)
        #expect(client.finalMessage(for: challenge, keys: keys) == Array(sent[1].body.readableBytesView))
        try client.verify(serverFinal: serverFinal)
        #expect(client.isDone)
    }

    /// Both machines against each other.
    private func exchange(password: String, verifier: ScramVerifier, isMock: Bool = false) throws(ScramError) {
        var client = ScramClient(nonce: SecureRandom.nonce())
        var server = ScramServer(verifier: verifier, nonce: SecureRandom.nonce(), isMock: isMock)
        let serverFirst = try server.receiveFirst(mechanism: ScramClient.mechanism, data: client.firstMessage())
        let challenge = try client.challenge(from: serverFirst)
        let keys = ScramKeys(password: password, salt: challenge.salt, iterations: challenge.iterations)
        try client.verify(serverFinal: try server.receiveFinal(client.finalMessage(for: challenge, keys: keys)))
    }

    @Test(arguments: ["pencil", "", "pass,word=\"'", "пароль", "🔑"]) func theRightPasswordIsAcceptedAndAnotherRefused(_ password: String) throws {
        let verifier = ScramVerifier.make(password: password, salt: SecureRandom.bytes(16), iterations: 10)
        try exchange(password: password, verifier: verifier)
        #expect(throws: ScramError.wrongPassword) { try exchange(password: password + "x", verifier: verifier) }
    }

    @Test func aUserThatDoesNotExistLooksLikeOneWithAWrongPassword() throws {
        let secret = SecureRandom.bytes(32)
        let mock = ScramVerifier.mock(user: "ghost", secret: secret, iterations: 10)
        #expect(throws: ScramError.wrongPassword) { try exchange(password: "pencil", verifier: mock, isMock: true) }
        #expect(ScramVerifier.mock(user: "ghost", secret: secret, iterations: 10) == mock)
        #expect(ScramVerifier.mock(user: "other", secret: secret, iterations: 10).salt != mock.salt)
        #expect(mock.salt.count == ScramVerifier.saltLength)
    }

    @Test func aMockIsRefusedEvenWithAProofThatFits() {
        let verifier = ScramVerifier.make(password: "p", salt: [1], iterations: 1)
        #expect(throws: ScramError.wrongPassword) { try exchange(password: "p", verifier: verifier, isMock: true) }
    }

    @Test func theClientRefusesAServerThatDoesNotProveItself() throws {
        var client = ScramClient(nonce: "rOprNGfwEbeRWgbNEkqO")
        _ = client.firstMessage()
        let challenge = try client.challenge(from: bytes(Self.serverFirst))
        _ = client.finalMessage(for: challenge, keys: ScramKeys(password: "pencil", salt: challenge.salt, iterations: 4096))
        for (message, error) in [
            (Self.serverFinal, ScramError.serverNotAuthentic), ("v=", .serverNotAuthentic), ("e=other-error", .refusedByServer), ("x", .malformed),
        ] {
            #expect(throws: error) { try client.verify(serverFinal: bytes(message)) }
        }
        #expect(!client.isDone)
    }

    @Test func theClientChecksTheChallenge() {
        let wrong: [(String, ScramError)] = [
            ("r=other,s=\(Self.salt),i=4096", .nonceMismatch), ("r=abc,s=\(Self.salt),i=4096", .nonceMismatch),
            ("r=abcd,s=???,i=4096", .malformed), ("r=abcd,s=,i=4096", .malformed), ("r=abcd,s=\(Self.salt),i=x", .malformed),
            ("r=abcd,s=\(Self.salt),i=0", .iterationsOutOfRange), ("r=abcd,s=\(Self.salt),i=2147483647", .iterationsOutOfRange),
            ("m=x,r=abcd,s=\(Self.salt),i=1", .malformed), ("", .malformed), ("s=\(Self.salt),r=abcd,i=1", .malformed),
        ]
        for (message, error) in wrong {
            var client = ScramClient(nonce: "abc")
            _ = client.firstMessage()
            #expect(throws: error, "\(message)") { try client.challenge(from: bytes(message)) }
        }
        #expect(throws: ScramError.malformed) { try ScramClient(nonce: "abc").challenge(from: bytes(Self.serverFirst)) }
    }

    @Test func theServerChecksTheClientsMessages() throws {
        func server() -> ScramServer { ScramServer(verifier: .make(password: "p", salt: [1], iterations: 1), nonce: "S") }
        let firsts: [(String, ScramError)] = [
            ("p=tls-server-end-point,,n=,r=a", .channelBinding), ("n,a=bob,n=,r=a", .malformed), ("n,,n=,r=", .malformed),
            ("n,,r=a", .malformed), ("n,,m=x,n=,r=a", .malformed), ("n,,n=,r=a b", .malformed), ("", .malformed), ("n,,n=\0,r=a", .malformed),
        ]
        for (message, error) in firsts {
            var server = server()
            #expect(throws: error, "\(message)") { try server.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes(message)) }
        }
        let finals: [(String, ScramError)] = [
            ("c=eSws,r=aS,p=AAAA", .channelBinding), ("c=biws,r=aT,p=AAAA", .nonceMismatch), ("c=biws,r=aS", .malformed),
            ("c=biws,r=aS,p=AAAA", .malformed), ("", .malformed),
        ]
        for (message, error) in finals {
            var server = server()
            _ = try server.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes("n,,n=,r=a"))
            #expect(throws: error, "\(message)") { try server.receiveFinal(bytes(message)) }
            #expect(throws: ScramError.malformed, "a second attempt in one exchange") { try server.receiveFinal(bytes(message)) }
        }
        var other = server()
        #expect(throws: ScramError.unsupportedMechanism) { try other.receiveFirst(mechanism: "SCRAM-SHA-256-PLUS", data: bytes("n,,n=,r=a")) }
        #expect(throws: ScramError.malformed) { try other.receiveFinal(bytes("c=biws,r=aS,p=AAAA")) }
    }

    @Test func aClientThatCouldBindTheChannelMayGoWithoutAsNoneWasOffered() throws {
        var server = ScramServer(verifier: .make(password: "p", salt: [1], iterations: 1), nonce: "S")
        let first = try server.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes("y,,n=,r=a"))
        let keys = ScramKeys(password: "p", salt: [1], iterations: 1)
        let authMessage = "n=,r=a,\(String(decoding: first, as: UTF8.self)),c=eSws,r=aS"
        let proof = ScramKeys.xor(keys.clientKey, ScramKeys.hmac(authMessage, key: keys.storedKey))
        _ = try server.receiveFinal(bytes("c=eSws,r=aS,p=\(Base64.encode(proof))"))
    }

    @Test func verifiersHavePostgreSQLsTextForm() throws {
        let verifier = ScramVerifier.make(password: "secret", salt: Array("0123456789abcdef".utf8), iterations: 4096)
        #expect(ScramVerifier.parse(verifier.text) == verifier)
        let keys = verifier.text.split(separator: "$")[2]
        for wrong in [
            "", "md5abc", "SCRAM-SHA-256$4096:AA==", "SCRAM-SHA-256$0:AAAA$\(keys)", "SCRAM-SHA-256$x:AAAA$\(keys)",
            "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA", "SCRAM-SHA-256$4096:$\(keys)", "SCRAM-SHA-1$4096:AAAA$\(keys)",
        ] {
            #expect(ScramVerifier.parse(wrong) == nil, "\(wrong)")
        }
        #expect("\(verifier)" == "SCRAM-SHA-256 verifier")
    }

    @Test func passwordsArePreparedAsPostgreSQLDoes() {
        // RFC 4013, section 3, and passwords that the profile prohibits, which stay as they are.
        #expect(SASLPrep.prepared("I\u{AD}X") == bytes("IX"))
        #expect(SASLPrep.prepared("user") == bytes("user"))
        #expect(SASLPrep.prepared("\u{AA}") == bytes("a"))
        #expect(SASLPrep.prepared("\u{2168}") == bytes("IX"))
        #expect(SASLPrep.prepared("a\u{A0}b") == bytes("a b"))
        #expect(SASLPrep.prepared("e\u{301}") == bytes("\u{E9}"))
        #expect(SASLPrep.prepared("\u{7}") == [7])
        // Each found by comparing verifiers with a real server's.
        #expect(SASLPrep.prepared("\u{AC00}\u{11A8}") == bytes("\u{AC01}"))
        #expect(SASLPrep.prepared("\u{340}a") == bytes("\u{340}a"))
        #expect(SASLPrep.prepared("\u{1E28}\u{2137}") == bytes("\u{1E28}\u{5D2}"))
        #expect(SASLPrep.prepared("\u{627}\u{31}") == bytes("\u{627}\u{31}"))
        #expect(SASLPrep.prepared("\u{E000}\u{AD}") == bytes("\u{E000}\u{AD}"))
        #expect(SASLPrep.prepared("👨\u{200D}👩") == bytes("👨\u{200D}👩"))
    }

    @Test func md5AnswersAreThoseOfPostgreSQL() {
        // By PostgreSQL: select 'md5' || md5('secret' || 'alice'); the second hash over its digits and the bytes 1, 2, 3, 4.
        #expect(MD5Password.storedHash(user: "alice", password: "secret") == "md54a0a68b43b6cd5cf266fa02f196e2371")
        #expect(MD5Password.response(user: "alice", password: "secret", salt: [1, 2, 3, 4]) == "md598a0412b9c31436fc53776e863350083")
    }

    @Test func base64IsStrict() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            #expect(Base64.encode(bytes(plain)) == text)
            #expect(Base64.decode(text) == bytes(plain))
        }
        for wrong in ["Z", "Zg", "Zg=", "Zh==", "Zg==Zg==", "====", "Z===", "Zm9 ", "Zm8=="] { #expect(Base64.decode(wrong) == nil, "\(wrong)") }
    }

    @Test func secretsAreComparedWhole() {
        #expect(ConstantTime.equal([1, 2], [1, 2]))
        #expect(!ConstantTime.equal([1, 2], [1, 3]))
        #expect(!ConstantTime.equal([1, 2], [1, 2, 3]))
    }

    // MARK: Channel binding

    private static let endPointHash: [UInt8] = Array(0..<32)
    private static let plus = "SCRAM-SHA-256-PLUS"

    private func server(binding: Bool = true) -> ScramServer {
        let verifier = ScramVerifier.make(password: "pencil", salt: Array(1...16), iterations: 10)
        return ScramServer(verifier: verifier, nonce: "server", endPointHash: binding ? Self.endPointHash : nil)
    }

    /// client-final-message of somebody who knows the password, with this for `c=`.
    private func final(_ binding: [UInt8], serverFirst: [UInt8]) -> [UInt8] {
        let keys = ScramKeys(password: "pencil", salt: Array(1...16), iterations: 10)
        let withoutProof = "c=\(Base64.encode(binding)),r=clientserver"
        let message = "n=,r=client,\(String(decoding: serverFirst, as: UTF8.self)),\(withoutProof)"
        let proof = ScramKeys.xor(keys.clientKey, ScramKeys.hmac(message, key: keys.storedKey))
        return bytes("\(withoutProof),p=\(Base64.encode(proof))")
    }

    @Test func aBoundChannelIsAcceptedAndAnotherCertificateIsNot() throws {
        let header = "p=tls-server-end-point,,"
        for (hash, isRight) in [(Self.endPointHash, true), (Self.endPointHash.reversed(), false), ([], false)] {
            var server = server()
            #expect(server.mechanisms == [Self.plus, "SCRAM-SHA-256"])
            let first = try server.receiveFirst(mechanism: Self.plus, data: bytes(header + "n=,r=client"))
            let message = final(bytes(header) + hash, serverFirst: first)
            if isRight { _ = try server.receiveFinal(message) } else {
                #expect(throws: ScramError.channelBinding) { try server.receiveFinal(message) }
            }
        }
    }

    @Test func aClientThatWasToldOfNoBindingIsRefusedWhereThereIsOne() throws {
        var bound = server()
        #expect(throws: ScramError.downgrade) { try bound.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes("y,,n=,r=client")) }
        var unbound = server(binding: false)
        #expect(unbound.mechanisms == ["SCRAM-SHA-256"])
        let first = try unbound.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes("y,,n=,r=client"))
        _ = try unbound.receiveFinal(final(bytes("y,,"), serverFirst: first))
    }

    @Test(arguments: [
        (plus, "n,,n=,r=client", ScramError.malformed), (plus, "y,,n=,r=client", .malformed), (plus, "p=tls-unique,,n=,r=client", .channelBinding),
        (plus, "p=tls-server-end-point,a=x,n=,r=client", .channelBinding), ("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=client", .channelBinding),
        ("SCRAM-SHA-1", "n,,n=,r=client", .unsupportedMechanism),
    ])
    func aMechanismAndItsHeaderMustAgree(_ mechanism: String, _ message: String, _ error: ScramError) {
        var server = server()
        #expect(throws: error) { try server.receiveFirst(mechanism: mechanism, data: bytes(message)) }
    }

    @Test func theHeaderAtTheEndIsTheOneAtTheBeginning() throws {
        var server = server()
        let first = try server.receiveFirst(mechanism: "SCRAM-SHA-256", data: bytes("n,,n=,r=client"))
        #expect(throws: ScramError.channelBinding) { try server.receiveFinal(final(bytes("y,,"), serverFirst: first)) }
    }

    @Test func bindingIsNotTakenWhereItIsNotOffered() {
        var server = server(binding: false)
        #expect(throws: ScramError.unsupportedMechanism) {
            try server.receiveFirst(mechanism: Self.plus, data: bytes("p=tls-server-end-point,,n=,r=client"))
        }
    }

    @Test func brokenCertificatesHaveNoFields() {
        #expect(CertificateFields(der: []) == nil)
        for length in 1...8 { #expect(CertificateFields(der: [0x30, 0x84] + [UInt8](repeating: 0xFF, count: length)) == nil) }
        withKnownBytes { #expect(CertificateFields(der: $0) == nil) }
    }

    /// Nested sequences that end too early, or claim more than there is.
    private func withKnownBytes(_ body: ([UInt8]) -> Void) {
        for bytes in [[0x30, 0x00], [0x30, 0x02, 0x30, 0x00], [0x30, 0x05, 0x30, 0x7F, 0x02, 0x01, 0x01], [0x3F, 0x81, 0x01, 0x00]] as [[UInt8]] { body(bytes) }
    }
}
