import Foundation
import PostgresProcess

/// An authority, a certificate of `localhost` by it, and another authority that nobody should trust; made by openssl.
struct TestCertificates {
    let folder: String

    var authority: String { folder + "/ca.crt" }
    var otherAuthority: String { folder + "/other.crt" }
    var certificate: String { folder + "/server.crt" }
    var key: String { folder + "/server.key" }

    static func make(in folder: String) async throws -> TestCertificates {
        let files = TestCertificates(folder: folder)
        let extensions = folder + "/extensions"
        try "subjectAltName=DNS:localhost\n".write(toFile: extensions, atomically: true, encoding: .utf8)
        for name in ["ca", "other"] {
            try await openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=\(name)",
                "-keyout", "\(folder)/\(name).key", "-out", "\(folder)/\(name).crt")
        }
        try await openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=server", "-keyout", files.key, "-out",
            "\(folder)/server.csr")
        try await openssl(
            "x509", "-req", "-in", "\(folder)/server.csr", "-CA", files.authority, "-CAkey", "\(folder)/ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", files.certificate)
        return files
    }

    private static func openssl(_ arguments: String...) async throws {
        try await SupervisedProcess.runChecked(.init("/usr/bin/openssl", arguments))
    }
}
