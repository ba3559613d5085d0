internal import Foundation
package import NIOSSL
internal import PGWire

/// The router's own certificate and what it asks of its clients', for TLS on the wire port.
package struct ServerTLS: Sendable {
    package let context: NIOSSLContext
    /// For channel binding (`CertificateFields.endPointHash`).
    package let endPointHash: [UInt8]?

    /// From PEM files: the certificate first in its chain, and its key without a passphrase.
    ///
    /// `clientAuthoritiesFile`: clients are asked for a certificate, and one that these authorities did not sign fails the handshake. A client without
    /// one gets through: the login says so in the protocol's own words.
    package init(certificateFile: String, keyFile: String, clientAuthoritiesFile: String? = nil) throws(ServerTLSError) {
        let chain = try Self.certificates(certificateFile)
        let key = try Self.privateKey(keyFile)
        let authorities = try clientAuthoritiesFile.map { (file) throws(ServerTLSError) in try Self.certificates(file) }
        do {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            if let authorities {
                configuration.certificateVerification = .optionalVerification
                configuration.trustRoots = .certificates(authorities)
                configuration.sendCANameList = true
            }
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            // BoringSSL compares the key with the certificate when both are installed.
            throw ServerTLSError(.mismatch, file: keyFile)
        }
        endPointHash = (try? chain.first?.toDERBytes()).flatMap { CertificateFields(der: $0)?.endPointHash }
    }

    private static func certificates(_ file: String) throws(ServerTLSError) -> [NIOSSLCertificate] {
        try requireReadable(file)
        guard let chain = try? NIOSSLCertificate.fromPEMFile(file), !chain.isEmpty else { throw ServerTLSError(.noCertificate, file: file) }
        return chain
    }

    private static func privateKey(_ file: String) throws(ServerTLSError) -> NIOSSLPrivateKey {
        try requireReadable(file)
        // An empty passphrase instead of a question at the terminal.
        guard let key = try? NIOSSLPrivateKey(file: file, format: .pem, passphraseCallback: { $0([] as [UInt8]) }) else {
            throw ServerTLSError(.notAKey, file: file)
        }
        return key
    }

    private static func requireReadable(_ file: String) throws(ServerTLSError) {
        guard FileManager.default.isReadableFile(atPath: file) else { throw ServerTLSError(.unreadable, file: file) }
    }
}

/// A certificate or key that cannot be used.
package struct ServerTLSError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable { case unreadable, noCertificate, notAKey, mismatch }

    package let reason: Reason
    package let file: String

    init(_ reason: Reason, file: String) {
        self.reason = reason
        self.file = file
    }

    package var description: String {
        switch reason {
        case .unreadable: "the file cannot be read: \(file)"
        case .noCertificate: "the file holds no PEM certificate: \(file)"
        case .notAKey: "the file holds no PEM private key without a passphrase: \(file)"
        case .mismatch: "the private key does not belong to the certificate: \(file)"
        }
    }
}
