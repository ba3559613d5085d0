/// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, 7677), with or without channel binding.
package struct ScramServer: Hashable, Sendable {
    private enum State: Hashable, Sendable {
        case initial
        case sentFirst(firstBare: String, serverFirst: String, combinedNonce: String, binding: [UInt8])
        case done
    }

    private var state = State.initial
    private let verifier: ScramVerifier
    private let nonce: String
    private let isMock: Bool
    private let endPointHash: [UInt8]?

    package static let plusMechanism = "SCRAM-SHA-256-PLUS"
    /// The one type of channel binding that PostgreSQL knows: the hash of the server's certificate.
    private static let bindingHeader = "p=tls-server-end-point,,"

    /// - nonce: fresh random printable ASCII without commas.
    /// - isMock: the user does not exist; the exchange goes through, and fails at its end.
    /// - endPointHash: of the certificate that the connection is encrypted with; nil: channel binding is not offered.
    package init(verifier: ScramVerifier, nonce: String, isMock: Bool = false, endPointHash: [UInt8]? = nil) {
        self.endPointHash = endPointHash
        self.verifier = verifier
        self.nonce = nonce
        self.isMock = isMock
    }

    /// What to offer, the best first.
    package var mechanisms: [String] { endPointHash == nil ? [ScramClient.mechanism] : [Self.plusMechanism, ScramClient.mechanism] }

    /// The gs2-header of client-first-message, and what the client must repeat at the end to prove that nobody changed it on the way: the header,
    /// and behind it the hash of the certificate that it sees.
    private func binding(_ mechanism: String, _ text: String) throws(ScramError) -> (header: String, binding: [UInt8]) {
        if mechanism == Self.plusMechanism {
            guard let endPointHash else { throw .unsupportedMechanism }
            guard text.hasPrefix(Self.bindingHeader) else { throw text.hasPrefix("p=") ? .channelBinding : .malformed }
            return (Self.bindingHeader, Array(Self.bindingHeader.utf8) + endPointHash)
        }
        // "n,,": the client cannot bind the channel. "y,,": it could, but saw no offer: when there was one, somebody between us took it away.
        if text.hasPrefix("y,,"), endPointHash != nil { throw .downgrade }
        if text.hasPrefix("n,,") || text.hasPrefix("y,,") { return (String(text.prefix(3)), Array(text.utf8.prefix(3))) }
        // An authorization identity ("n,a=…") is not supported by PostgreSQL either.
        throw text.hasPrefix("p=") ? .channelBinding : .malformed
    }

    /// Takes client-first-message, gives server-first-message.
    package mutating func receiveFirst(mechanism: String, data: [UInt8]) throws(ScramError) -> [UInt8] {
        guard mechanisms.contains(mechanism) else { throw .unsupportedMechanism }
        guard state == .initial else { throw .malformed }
        let text = try ScramAttributes.text(data)
        let (header, binding) = try binding(mechanism, text)
        let firstBare = String(text.dropFirst(header.count))
        let attributes = ScramAttributes(firstBare)
        // The name is ignored: that of the startup packet counts.
        _ = try attributes.value("n", at: 0)
        let clientNonce = try attributes.value("r", at: 1)
        guard !clientNonce.isEmpty, clientNonce.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .malformed }
        let combined = clientNonce + nonce
        let serverFirst = "r=\(combined),s=\(Base64.encode(verifier.salt)),i=\(verifier.iterations)"
        state = .sentFirst(firstBare: firstBare, serverFirst: serverFirst, combinedNonce: String(combined), binding: binding)
        return Array(serverFirst.utf8)
    }

    /// Takes client-final-message, gives server-final-message. Throws `wrongPassword` for a wrong password and for a mock.
    package mutating func receiveFinal(_ data: [UInt8]) throws(ScramError) -> [UInt8] {
        guard case .sentFirst(let firstBare, let serverFirst, let combinedNonce, let binding) = state else { throw .malformed }
        state = .done
        let text = try ScramAttributes.text(data)
        let attributes = ScramAttributes(text)
        guard try attributes.value("c", at: 0) == Base64.encode(binding) else { throw .channelBinding }
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
