import ClusterTestKit
import Foundation
import PostgresProcess
import Testing

/// A client library, and how its program in Drivers/ is run.
enum Driver: String, CaseIterable {
    case psql, psycopg, psycopg2, asyncpg, alchemy, alembic, django, node, jdbc, ruby, perl, php, odbc, libpq, pgx

    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/Drivers"
    private static let jar = "/usr/share/java/postgresql.jar"
    private static let odbcLibrary = "/usr/lib/\(machine)-linux-gnu/odbc/psqlodbcw.so"
    private static let goPath = "/usr/share/gocode"
    private static let environment = ProcessInfo.processInfo.environment

    #if arch(arm64)
        private static let machine = "aarch64"
    #else
        private static let machine = "x86_64"
    #endif

    /// Before the names of its tables.
    var prefix: String { rawValue }

    /// Always so in CI, where a missing driver is to fail.
    var isPresent: Bool { Self.environment["CI"] != nil || isFound }

    /// What to install; `scripts/install-packages test` installs all of them.
    var package: Comment {
        switch self {
        case .psql: "Debian's postgresql-client is missing"
        case .psycopg: "psycopg (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"
        case .psycopg2: "psycopg2-binary (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"
        case .asyncpg: "asyncpg (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"
        case .alchemy: "SQLAlchemy (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"
        case .alembic: "alembic (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"
        case .django: "Django (PyPI) is missing where PGMOSAIC_TEST_PYTHON points"
        case .node: "node, or node-postgres where PGMOSAIC_TEST_NODE_PATH points, is missing"
        case .jdbc: "javac, or Debian's libpostgresql-jdbc-java, is missing"
        case .ruby: "Debian's ruby-pg is missing"
        case .perl: "Debian's libdbd-pg-perl is missing"
        case .php: "Debian's php-cli or php-pgsql is missing"
        case .odbc: "Debian's odbc-postgresql or unixodbc, or pyodbc (PyPI) where PGMOSAIC_TEST_PYTHON points, is missing"
        case .libpq: "cc or Debian's libpq-dev is missing"
        case .pgx: "Debian's golang-go or golang-github-jackc-pgx-v4-dev is missing"
        }
    }

    private var isFound: Bool {
        switch self {
        case .psql: (try? PostgresInstallation.find()) != nil
        case .psycopg: Self.python(has: "psycopg")
        case .psycopg2: Self.python(has: "psycopg2")
        case .asyncpg: Self.python(has: "asyncpg")
        case .alchemy: Self.python(has: "sqlalchemy") && Self.python(has: "psycopg")
        case .alembic: Self.python(has: "alembic") && Self.python(has: "psycopg")
        case .django: Self.python(has: "django") && Self.python(has: "psycopg")
        case .node: Self.program("node") != nil && Self.exists((Self.environment["PGMOSAIC_TEST_NODE_PATH"] ?? "/nonexistent") + "/pg")
        case .jdbc: Self.program("javac") != nil && Self.exists(Self.jar)
        case .ruby: Self.runs("ruby", "-e", "require 'pg'")
        case .perl: Self.runs("perl", "-MDBD::Pg", "-e", "1")
        case .php: Self.runs("php", "-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);")
        case .odbc: Self.exists(Self.odbcLibrary) && Self.python(has: "pyodbc")
        case .libpq: Self.program("cc") != nil && Self.exists("/usr/include/postgresql/libpq-fe.h")
        case .pgx: Self.program("go") != nil && Self.exists(Self.goPath + "/src/github.com/jackc/pgx/v4")
        }
    }

    private static var python: String { environment["PGMOSAIC_TEST_PYTHON"] ?? "/nonexistent" }

    private static func python(has module: String) -> Bool { runs(python, "-c", "import \(module)") }

    private static func runs(_ name: String, _ arguments: String...) -> Bool {
        guard let path = name.hasPrefix("/") ? name : program(name), FileManager.default.isExecutableFile(atPath: path) else { return false }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

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
        let dsn = ["DSN": Self.dsn(port: port)]
        switch self {
        case .psql: return try await Self.run(try PostgresInstallation.find().path(of: "psql"), ["-X", "-f", "smoke.psql", Self.dsn(port: port)])
        case .psycopg: return try await Self.run(Self.python, ["smoke.py"], dsn)
        case .psycopg2, .asyncpg, .alchemy, .alembic, .django: return try await Self.run(Self.python, ["\(rawValue)_smoke.py"], dsn)
        case .odbc: return try await Self.run(Self.python, ["odbc_smoke.py"], dsn.merging(["ODBC_DRIVER": Self.odbcLibrary]) { $1 })
        case .node:
            let path = ["NODE_PATH": Self.environment["PGMOSAIC_TEST_NODE_PATH"] ?? ""]
            return try await Self.run(Self.program("node") ?? "node", ["smoke.js"], dsn.merging(path) { $1 })
        case .jdbc:
            // Java compiles a program of one file by itself.
            let address = "jdbc:postgresql://127.0.0.1:\(port)/\(TestCluster.database)?sslmode=disable&user=postgres&password=\(Self.password)"
            return try await Self.run(
                Self.program("java") ?? "java", ["-Dfile.encoding=UTF-8", "-cp", Self.jar, "Smoke.java"], ["JDBC_URL": address])
        case .ruby: return try await Self.run(Self.program("ruby") ?? "ruby", ["smoke.rb"], dsn)
        case .perl: return try await Self.run(Self.program("perl") ?? "perl", ["smoke.pl"], dsn)
        case .php: return try await Self.run(Self.program("php") ?? "php", ["smoke.php"], dsn)
        case .libpq:
            return try await Self.compiled { program in
                try await Self.run(Self.program("cc") ?? "cc", ["-Wall", "-I/usr/include/postgresql", "-o", program, "pipeline.c", "-lpq"])
            } then: { try await Self.run($0, [], dsn) }
        case .pgx:
            return try await Self.compiled { program in
                // Debian's libraries are read as they lie: no module, no network.
                let go = ["GO111MODULE": "off", "GOPATH": Self.goPath, "GOCACHE": NSTemporaryDirectory() + "pgmosaic-go-cache", "GOFLAGS": ""]
                return try await Self.run(Self.program("go") ?? "go", ["build", "-o", program, "smoke.go"], go)
            } then: { try await Self.run($0, [], dsn) }
        }
    }

    /// Makes a program in a folder of its own, and runs it. What the compiler says comes first: nothing, if all is well.
    private static func compiled(_ make: (String) async throws -> String, then run: (String) async throws -> String) async throws -> String {
        let place = NSTemporaryDirectory() + "pgmosaic-driver-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: place) }
        let said = try await make(place + "/smoke")
        return try await said + run(place + "/smoke")
    }

    private static func run(_ program: String, _ arguments: [String], _ extra: [String: String] = [:]) async throws -> String {
        let result = try await SupervisedProcess.run(
            SupervisedProcess.Command(
                program, arguments, environment: environment.merging(["LC_ALL": "C.UTF-8", "PGTZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"]) { $1 }.merging(extra) { $1 },
                workingDirectory: folder), limit: .seconds(600))
        return result.output + result.errors
    }
}
