internal import Crypto

/// What a login needs of an X.509 certificate (RFC 5280), read from its DER form.
package struct CertificateFields: Hashable, Sendable {
    /// The subject's common name, where it has exactly one, and that is a text without control characters. Several could be read one way by
    /// who issued them and another way by us.
    package let commonName: String?
    /// For the channel binding "tls-server-end-point" (RFC 5929, section 4.1): the certificate's hash, by the function of its signature, and
    /// SHA-256 instead of MD5 and SHA-1. nil where the signature has no such function (Ed25519), or one that is not made here.
    package let endPointHash: [UInt8]?

    /// nil: not a certificate.
    package init?(der: [UInt8]) {
        var file = DERReader(der[...])
        guard var certificate = file.next(DERReader.Tag.sequence)?.inside,
            var body = certificate.next(DERReader.Tag.sequence)?.inside,
            var algorithm = certificate.next(DERReader.Tag.sequence)?.inside
        else { return nil }
        var field = body.next()
        // The version is optional.
        if field?.tag == DERReader.Tag.context0 { field = body.next() }
        guard field?.tag == DERReader.Tag.integer, body.next(DERReader.Tag.sequence) != nil, body.next(DERReader.Tag.sequence) != nil,
            body.next(DERReader.Tag.sequence) != nil, let subject = body.next(DERReader.Tag.sequence)
        else { return nil }
        commonName = Self.commonName(subject.inside)
        endPointHash = Self.hash(der, &algorithm)
    }

    private static func commonName(_ subject: DERReader) -> String? {
        var subject = subject
        var names: [String?] = []
        while var set = subject.next(DERReader.Tag.set)?.inside {
            while var attribute = set.next(DERReader.Tag.sequence)?.inside {
                // 2.5.4.3
                guard let type = attribute.next(DERReader.Tag.objectIdentifier), Array(type.content) == [0x55, 0x04, 0x03] else { continue }
                let texts = [DERReader.Tag.utf8String, DERReader.Tag.printableString, DERReader.Tag.ia5String]
                guard let value = attribute.next(), texts.contains(value.tag), value.content.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                    names.append(nil)
                    continue
                }
                names.append(String(validating: value.content, as: UTF8.self))
            }
        }
        return names.count == 1 ? names[0] : nil
    }

    private enum Hash { case sha256, sha384, sha512 }

    private static func hash(_ der: [UInt8], _ algorithm: inout DERReader) -> [UInt8]? {
        guard let identifier = algorithm.next(DERReader.Tag.objectIdentifier) else { return nil }
        switch function(ofSignature: Array(identifier.content), &algorithm) {
        case .sha256: return Array(SHA256.hash(data: der))
        case .sha384: return Array(SHA384.hash(data: der))
        case .sha512: return Array(SHA512.hash(data: der))
        case nil: return nil
        }
    }

    private static func function(ofSignature identifier: [UInt8], _ parameters: inout DERReader) -> Hash? {
        let rsa: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01]  // 1.2.840.113549.1.1
        let ecdsa: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04]  // 1.2.840.10045.4
        switch identifier {
        case rsa + [4], rsa + [5], ecdsa + [1]: return .sha256  // MD5 and SHA-1
        case rsa + [11], ecdsa + [3, 2]: return .sha256
        case rsa + [12], ecdsa + [3, 3]: return .sha384
        case rsa + [13], ecdsa + [3, 4]: return .sha512
        case rsa + [10]:
            // RSASSA-PSS names its hash in the parameters; SHA-1 when it names none (RFC 4055, section 3.1).
            guard var fields = parameters.next(DERReader.Tag.sequence)?.inside else { return nil }
            guard var hash = fields.next(DERReader.Tag.context0)?.inside else { return .sha256 }
            guard var algorithm = hash.next(DERReader.Tag.sequence)?.inside, let name = algorithm.next(DERReader.Tag.objectIdentifier) else { return nil }
            let sha2: [UInt8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02]  // 2.16.840.1.101.3.4.2
            switch Array(name.content) {
            case sha2 + [1]: return .sha256
            case sha2 + [2]: return .sha384
            case sha2 + [3]: return .sha512
            default: return nil
            }
        default: return nil
        }
    }
}
