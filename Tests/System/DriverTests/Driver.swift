import Foundation
import PostgresProcess
import ClusterTestKit

/// A client library, and how its program in Drivers/ is run.
enum Driver {
    case psql, psycopg, node, jdbc

    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/Drivers"
    private static let jar = "/usr/share/java/postgresql.jar"
    private static let environment = ProcessInfo.processInfo.environment

    /// Always so in CI, where a missing driver is to fail.
    var isPresent: Bool { Self.environment["CI"] != nil || found }

    private var found: Bool {
        switch self {
        case .psql: (try? PostgresInstallation.find()) != nil
        case .psycopg: FileManager.default.isExecutableFile(atPath: Self.environment["PGMOSAIC_TEST_PYTHON"] ?? "/nonexistent")
        case .node: Self.program("node") != nil && FileManager.default.fileExists(atPath: (Self.environment["PGMOSAIC_TEST_NODE_PATH"] ?? "/nonexistent") + "/pg")
        case .jdbc: Self.program("javac") != nil && FileManager.default.fileExists(atPath: Self.jar)
        }
    }

    private static func program(_ name: String) -> String? {
        (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Asked for by the router (SCRAM-SHA-256); the plain server trusts everybody.
    static let password = "correct-horse"

    static func dsn(port: Int, password: String = password) -> String {
        "postgres://postgres:\(password)@127.0.0.1:\(port)/\(TestCluster.database)"
    }

    /// What the program prints, standard error included.
    func run(port: Int) async throws -> String {
        let dsn = Self.dsn(port: port)
        switch self {
        case .psql: return try await Self.run(try PostgresInstallation.find().path(of: "psql"), ["-X", "-f", "smoke.psql", dsn])
        case .psycopg: return try await Self.run(Self.environment["PGMOSAIC_TEST_PYTHON"] ?? "python3", ["smoke.py"], ["DSN": dsn])
        case .node:
            return try await Self.run(
                Self.program("node") ?? "node", ["smoke.js"], ["DSN": dsn, "NODE_PATH": Self.environment["PGMOSAIC_TEST_NODE_PATH"] ?? ""])
        case .jdbc:
            // Java compiles a program of one file by itself.
            let address = "jdbc:postgresql://127.0.0.1:\(port)/\(TestCluster.database)?sslmode=disable&user=postgres&password=\(Self.password)"
            return try await Self.run(
                Self.program("java") ?? "java", ["-Dfile.encoding=UTF-8", "-cp", Self.jar, "Smoke.java"], ["JDBC_URL": address])
        }
    }

    private static func run(_ program: String, _ arguments: [String], _ extra: [String: String] = [:]) async throws -> String {
        let result = try await SupervisedProcess.run(
            SupervisedProcess.Command(
                program, arguments, environment: environment.merging(["LC_ALL": "C.UTF-8", "PGTZ": "UTC"]) { $1 }.merging(extra) { $1 },
                workingDirectory: folder))
        return result.output + result.errors
    }
}
