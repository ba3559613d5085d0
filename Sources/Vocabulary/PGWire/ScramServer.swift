/// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, 7677), without channel binding.
package struct ScramServer: Hashable, Sendable {
    private enum State: Hashable, Sendable {
        case initial
        case sentFirst(firstBare: String, serverFirst: String, combinedNonce: String, header: String)
        case done
    }

    private var state = State.initial
    private let verifier: ScramVerifier
    private let nonce: String
    private let isMock: Bool

    /// `nonce`: fresh random printable ASCII without commas. `isMock`: the user does not exist; the exchange goes through, and fails at its end.
    package init(verifier: ScramVerifier, nonce: String, isMock: Bool = false) {
        self.verifier = verifier
        self.nonce = nonce
        self.isMock = isMock
    }

    /// Takes client-first-message, gives server-first-message.
    package mutating func receiveFirst(mechanism: String, data: [UInt8]) throws(ScramError) -> [UInt8] {
        guard mechanism == ScramClient.mechanism else { throw .unsupportedMechanism }
        guard state == .initial else { throw .malformed }
        let text = try ScramAttributes.text(data)
        // gs2-header: "n,,": the client cannot bind the channel; "y,,": it could, but saw no offer, which is true.
        let header: String
        if text.hasPrefix("n,,") || text.hasPrefix("y,,") {
            header = String(text.prefix(3))
        } else if text.hasPrefix("p=") {
            throw .channelBinding
        } else {
            // An authorization identity ("n,a=…") is not supported by PostgreSQL either.
            throw .malformed
        }
        let firstBare = String(text.dropFirst(3))
        let attributes = ScramAttributes(firstBare)
        // The name is ignored: that of the startup packet counts.
        _ = try attributes.value("n", at: 0)
        let clientNonce = try attributes.value("r", at: 1)
        guard !clientNonce.isEmpty, clientNonce.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .malformed }
        let combined = clientNonce + nonce
        let serverFirst = "r=\(combined),s=\(Base64.encode(verifier.salt)),i=\(verifier.iterations)"
        state = .sentFirst(firstBare: firstBare, serverFirst: serverFirst, combinedNonce: String(combined), header: header)
        return Array(serverFirst.utf8)
    }

    /// Takes client-final-message, gives server-final-message. Throws `wrongPassword` for a wrong password and for a mock.
    package mutating func receiveFinal(_ data: [UInt8]) throws(ScramError) -> [UInt8] {
        guard case .sentFirst(let firstBare, let serverFirst, let combinedNonce, let header) = state else { throw .malformed }
        state = .done
        let text = try ScramAttributes.text(data)
        let attributes = ScramAttributes(text)
        guard try attributes.value("c", at: 0) == Base64.encode(Array(header.utf8)) else { throw .channelBinding }
        guard try attributes.value("r", at: 1) == combinedNonce else { throw .nonceMismatch }
        // The proof comes last, behind possible extensions.
        guard let proof = Base64.decode(try attributes.value("p", at: attributes.count - 1)),
            proof.count == verifier.storedKey.count, let comma = text.lastIndex(of: ",")
        else { throw .malformed }
        let authMessage = "\(firstBare),\(serverFirst),\(text[..<comma])"
        let clientKey = ScramKeys.xor(proof, ScramKeys.hmac(authMessage, key: verifier.storedKey))
        let isRight = ConstantTime.equal(ScramKeys.hash(clientKey), verifier.storedKey)
        let signature = ScramKeys.hmac(authMessage, key: verifier.serverKey)
        guard isRight, !isMock else { throw .wrongPassword }
        return Array("v=\(Base64.encode(signature))".utf8)
    }
}
