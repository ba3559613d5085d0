internal import Foundation
package import NIOSSL

/// A server's certificate chain and private key, from PEM files: the certificate first in its chain, and its key without a passphrase.
package struct CertificateFiles: Sendable {
    package let chain: [NIOSSLCertificate]
    package let key: NIOSSLPrivateKey
    private let keyFile: String

    package init(certificateFile: String, keyFile: String) throws(ServerTLSError) {
        chain = try Self.certificates(certificateFile)
        key = try Self.privateKey(keyFile)
        self.keyFile = keyFile
    }

    /// - change: what differs from a server's usual configuration, which speaks TLS 1.2 and later.
    package func context(_ change: (inout TLSConfiguration) -> Void = { _ in }) throws(ServerTLSError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        change(&configuration)
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            // BoringSSL compares the key with the certificate when both are installed.
            throw ServerTLSError(.mismatch, file: keyFile)
        }
    }

    package static func certificates(_ file: String) throws(ServerTLSError) -> [NIOSSLCertificate] {
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
