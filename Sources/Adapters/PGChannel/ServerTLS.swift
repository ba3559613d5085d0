package import Listening
package import NIOSSL
internal import PGWire

/// The router's own certificate and what it asks of its clients', for TLS on the wire port.
package struct ServerTLS: Sendable {
    package let context: NIOSSLContext
    /// For channel binding (`CertificateFields.endPointHash`).
    package let endPointHash: [UInt8]?

    /// `clientAuthoritiesFile`: clients are asked for a certificate, and one that these authorities did not sign fails the handshake. A client without
    /// one gets through: the login says so in the protocol's own words.
    package init(certificateFile: String, keyFile: String, clientAuthoritiesFile: String? = nil) throws(ServerTLSError) {
        let files = try CertificateFiles(certificateFile: certificateFile, keyFile: keyFile)
        let authorities = try clientAuthoritiesFile.map { (file) throws(ServerTLSError) in try CertificateFiles.certificates(file) }
        context = try files.context { configuration in
            guard let authorities else { return }
            configuration.certificateVerification = .optionalVerification
            configuration.trustRoots = .certificates(authorities)
            configuration.sendCANameList = true
        }
        endPointHash = (try? files.chain.first?.toDERBytes()).flatMap { CertificateFields(der: $0)?.endPointHash }
    }
}
