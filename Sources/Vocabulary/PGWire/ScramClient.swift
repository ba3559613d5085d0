/// The client's side of one SCRAM-SHA-256 exchange (RFC 5802, 7677), without channel binding.
package struct ScramClient: Hashable, Sendable {
    package static let mechanism = "SCRAM-SHA-256"
    /// The server chooses the work: beyond this it would stall an event loop (about a quarter of a second).
    package static let iterationsMax = 500_000

    private enum State: Hashable, Sendable {
        case initial
        case sentFirst
        case sentFinal(serverSignature: [UInt8])
        case done
    }

    private var state = State.initial
    private let nonce: String
    private let firstBare: String

    /// `nonce`: fresh random printable ASCII without commas, at least 18 random bytes' worth. The user's name is left out, as libpq does: PostgreSQL takes that of the startup packet.
    package init(nonce: String) {
        self.nonce = nonce
        firstBare = "n=,r=\(nonce)"
    }

    /// client-first-message.
    package mutating func firstMessage() -> [UInt8] {
        state = .sentFirst
        return Array("n,,\(firstBare)".utf8)
    }

    /// What the server asks of the password in its server-first-message.
    package struct Challenge: Hashable, Sendable {
        package let salt: [UInt8]
        package let iterations: Int
        let combinedNonce: String
        let text: String
    }

    /// Reads server-first-message.
    package func challenge(from serverFirst: [UInt8]) throws(ScramError) -> Challenge {
        guard state == .sentFirst else { throw .malformed }
        let text = try ScramAttributes.text(serverFirst)
        let attributes = ScramAttributes(text)
        // `m=` announces an extension that must be understood.
        guard !attributes.has("m", at: 0) else { throw .malformed }
        let combined = String(try attributes.value("r", at: 0))
        guard combined.hasPrefix(nonce), combined.utf8.count > nonce.utf8.count else { throw .nonceMismatch }
        guard let salt = Base64.decode(try attributes.value("s", at: 1)), !salt.isEmpty,
            let iterations = Int(try attributes.value("i", at: 2))
        else { throw .malformed }
        guard iterations >= 1, iterations <= Self.iterationsMax else { throw .iterationsOutOfRange }
        return Challenge(salt: salt, iterations: iterations, combinedNonce: combined, text: text)
    }

    /// client-final-message; `keys` are those of the password for the challenge's salt and iterations.
    package mutating func finalMessage(for challenge: Challenge, keys: ScramKeys) -> [UInt8] {
        let withoutProof = "c=biws,r=\(challenge.combinedNonce)"
        let authMessage = "\(firstBare),\(challenge.text),\(withoutProof)"
        let proof = ScramKeys.xor(keys.clientKey, ScramKeys.hmac(authMessage, key: keys.storedKey))
        state = .sentFinal(serverSignature: ScramKeys.hmac(authMessage, key: keys.serverKey))
        return Array("\(withoutProof),p=\(Base64.encode(proof))".utf8)
    }

    /// Checks server-final-message: without it a server that does not know the verifier would be trusted.
    package mutating func verify(serverFinal: [UInt8]) throws(ScramError) {
        guard case .sentFinal(let expected) = state else { throw .malformed }
        let attributes = ScramAttributes(try ScramAttributes.text(serverFinal))
        guard !attributes.has("e", at: 0) else { throw .refusedByServer }
        guard let signature = Base64.decode(try attributes.value("v", at: 0)), ConstantTime.equal(signature, expected) else {
            throw .serverNotAuthentic
        }
        state = .done
    }

    /// The server has proved itself.
    package var isDone: Bool { state == .done }
}
