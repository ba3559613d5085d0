package import Listening
internal import NIOHTTP2
internal import NIOSSL
package import ServerConfig
internal import Synchronization

/// What new connections to a REST listener are secured with. Connections that are open keep what they began with.
package final class RESTCertificates: Sendable {
    package struct Certificate: Sendable {
        let context: NIOSSLContext

        /// - clientAuthoritiesFile: a connection whose client shows no certificate of these authorities is ended in its handshake.
        package init(certificateFile: String, keyFile: String, clientAuthoritiesFile: String? = nil) throws(ServerTLSError) {
            let authorities = try clientAuthoritiesFile.map { (file) throws(ServerTLSError) in try CertificateFiles.certificates(file) }
            context = try CertificateFiles(certificateFile: certificateFile, keyFile: keyFile).context { configuration in
                configuration.applicationProtocols = NIOHTTP2SupportedALPNProtocols
                guard let authorities else { return }
                // A client has no name that could be compared with where it comes from.
                configuration.certificateVerification = .noHostnameVerification
                configuration.trustRoots = .certificates(authorities)
                configuration.sendCANameList = true
            }
        }

        package init(_ files: HTTPTLSFiles) throws(ServerTLSError) {
            try self.init(certificateFile: files.certificateFile, keyFile: files.keyFile, clientAuthoritiesFile: files.clientAuthoritiesFile)
        }
    }

    private let certificate: Mutex<Certificate?>

    /// nil: plain HTTP/1.1.
    package init(_ certificate: Certificate? = nil) { self.certificate = Mutex(certificate) }

    package var current: Certificate? { certificate.withLock { $0 } }
    package var isSecure: Bool { current != nil }

    package func replace(_ new: Certificate?) { certificate.withLock { $0 = new } }
}
