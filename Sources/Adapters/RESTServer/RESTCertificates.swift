package import Listening
internal import NIOHTTP2
internal import NIOSSL
internal import Synchronization

/// What new connections to a REST listener are secured with. Connections that are open keep what they began with.
package final class RESTCertificates: Sendable {
    package struct Certificate: Sendable {
        let context: NIOSSLContext

        package init(certificateFile: String, keyFile: String) throws(ServerTLSError) {
            context = try CertificateFiles(certificateFile: certificateFile, keyFile: keyFile).context {
                $0.applicationProtocols = NIOHTTP2SupportedALPNProtocols
            }
        }
    }

    private let certificate: Mutex<Certificate?>

    /// nil: plain HTTP/1.1.
    package init(_ certificate: Certificate? = nil) { self.certificate = Mutex(certificate) }

    package var current: Certificate? { certificate.withLock { $0 } }
    package var isSecure: Bool { current != nil }

    package func replace(_ new: Certificate?) { certificate.withLock { $0 = new } }
}
