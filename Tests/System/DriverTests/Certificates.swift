import Foundation
import PostgresProcess

/// Certificates made by openssl for a test: authorities that sign themselves, and what they sign.
struct Certificates {
    let folder: String

    func authority(_ name: String) -> String { "\(folder)/\(name).crt" }
    func certificate(_ name: String) -> String { "\(folder)/\(name).crt" }
    func key(_ name: String) -> String { "\(folder)/\(name).key" }

    static func with<Value>(_ body: (Certificates) async throws -> Value) async throws -> Value {
        let folder = NSTemporaryDirectory() + "pgmosaic-certificates-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await body(Certificates(folder: folder))
    }

    func makeAuthority(_ name: String) async throws {
        try await openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=\(name)", "-keyout",
            key(name), "-out", authority(name))
    }

    /// `signature`: further words for the authority's signature.
    func make(_ name: String, subject: String, by authority: String, newKey: [String] = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], signature: [String] = ["-sha256"]) async throws {
        try await SupervisedProcess.runChecked(
            .init("/usr/bin/openssl", ["req", "-newkey"] + newKey + ["-nodes", "-subj", subject, "-keyout", key(name), "-out", "\(folder)/\(name).csr"]))
        try await SupervisedProcess.runChecked(
            .init(
                "/usr/bin/openssl",
                ["x509", "-req", "-in", "\(folder)/\(name).csr", "-CA", self.authority(authority), "-CAkey", key(authority), "-CAcreateserial", "-days", "2"]
                    + signature + ["-out", certificate(name)]))
    }

    /// Signs itself.
    func makeAlone(_ name: String, newKey: [String], signature: [String]) async throws {
        try await SupervisedProcess.runChecked(
            .init(
                "/usr/bin/openssl",
                ["req", "-x509", "-newkey"] + newKey + ["-nodes", "-days", "2", "-subj", "/CN=\(name)", "-keyout", key(name), "-out", certificate(name)] + signature))
    }

    private func openssl(_ arguments: String...) async throws { try await SupervisedProcess.runChecked(.init("/usr/bin/openssl", arguments)) }
}
