internal import Foundation
internal import NIOCore
internal import NIOSSL

/// TLS towards a server, as its endpoint's sslmode asks.
enum BackendTLS {
    private struct ContextKey: Hashable, Sendable {
        var verification: CertificateVerification
        var rootCertificate: String?
        /// A replaced file gives a new context.
        var modified: Date?
    }

    /// Making a context reads and parses all trusted certificates: tens of milliseconds.
    private static let contexts = BoundedCache<ContextKey, NIOSSLContext>(countMax: 64)

    static func makeHandler(for endpoint: PostgresEndpoint) throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: try context(for: endpoint), serverHostname: serverName(of: endpoint))
    }

    static func verification(for endpoint: PostgresEndpoint) -> CertificateVerification {
        switch endpoint.tlsMode {
        case .disable, .prefer: .none
        case .require: endpoint.rootCertificate == nil ? .none : .noHostnameVerification
        case .verifyCA: .noHostnameVerification
        case .verifyFull: .fullVerification
        }
    }

    private static func context(for endpoint: PostgresEndpoint) throws -> NIOSSLContext {
        let file = endpoint.rootCertificate
        let modified = file.flatMap { try? FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date }
        let key = ContextKey(verification: verification(for: endpoint), rootCertificate: file, modified: modified)
        return try contexts.value(for: key) {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            configuration.certificateVerification = key.verification
            if let file { configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(file)) }
            return try NIOSSLContext(configuration: configuration)
        }
    }

    /// nil for addresses: SNI is for names, and without a name the certificate is compared with the address.
    private static func serverName(of endpoint: PostgresEndpoint) -> String? {
        guard case .tcp(let host, _) = endpoint.address, (try? SocketAddress(ipAddress: host, port: 0)) == nil else { return nil }
        return host
    }
}
