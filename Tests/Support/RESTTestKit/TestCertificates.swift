internal import Foundation
internal import PostgresProcess

/// Certificates for localhost that sign themselves, made by openssl for a test.
package struct TestCertificates: Sendable {
    private let folder: String

    package func certificate(_ name: String) -> String { "\(folder)/\(name).crt" }
    package func key(_ name: String) -> String { "\(folder)/\(name).key" }

    package static func with<Value>(_ body: (TestCertificates) async throws -> Value) async throws -> Value {
        let folder = NSTemporaryDirectory() + "pgmosaic-rest-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await body(TestCertificates(folder: folder))
    }

    /// A second call with the name puts new ones in their place.
    package func make(_ name: String) async throws {
        try await SupervisedProcess.runChecked(
            .init(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key(name), "-out", certificate(name),
                ]))
    }
}
