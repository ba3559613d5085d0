import Foundation

/// A PostgreSQL server of our own: made, started and stopped here, reachable on loopback only, and gone when this process is.
///
/// Calls that change its state (start, stop, restart) are for one caller at a time.
package actor PostgresServer {
    package nonisolated let installation: PostgresInstallation
    package nonisolated let options: PostgresServerOptions
    package nonisolated let port: Int
    nonisolated let account: UnprivilegedAccount?
    var process: SupervisedProcess?
    var paused: [Int32] = []

    package nonisolated var dataDirectory: String { options.dataDirectory }

    /// Claims the port and nothing else; `prepare` or `start` come next.
    package init(
        _ options: PostgresServerOptions, installation: PostgresInstallation? = nil
    ) throws(PostgresProcessError) {
        self.installation = if let installation { installation } else { try PostgresInstallation.find() }
        self.options = options
        self.account = try UnprivilegedAccount.needed()
        self.port = try LoopbackPort.claim(options.port)
    }

    /// Makes a new server and starts it.
    package static func create(
        _ options: PostgresServerOptions, installation: PostgresInstallation? = nil
    ) async throws(PostgresProcessError) -> PostgresServer {
        let server = try PostgresServer(options, installation: installation)
        try await server.prepare()
        try await server.start()
        return server
    }

    /// The postmaster's pid; nil while the server is down.
    package var pid: Int32? {
        guard let process, process.exitStatus == nil else { return nil }
        return process.pid
    }

    /// The libpq address of a database of this server, with user and password.
    package nonisolated func dsn(database: String = "postgres") -> String {
        let secret = options.password.map { ":" + ConnectionString.escape($0) } ?? ""
        let user = ConnectionString.escape(options.superuser)
        return "postgres://\(user)\(secret)@127.0.0.1:\(port)/\(ConnectionString.escape(database))"
    }

    /// A client program of the installation, with the password in its environment and not on its command line.
    nonisolated func client(_ program: String, _ arguments: [String]) -> SupervisedProcess.Command {
        var environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PGCONNECT_TIMEOUT": "60"]
        if let password = options.password { environment["PGPASSWORD"] = password }
        return SupervisedProcess.Command(
            installation.path(of: program),
            ["-h", "127.0.0.1", "-p", String(port), "-U", options.superuser, "-w"] + arguments,
            environment: environment, workingDirectory: "/")
    }

    package func createDatabase(_ name: String) async throws(PostgresProcessError) {
        try await SupervisedProcess.runChecked(client("createdb", ["--", name]))
    }

    /// Runs a script of SQL with psql, stopping at the first error. Answers its rows, unaligned, fields parted by "|".
    @discardableResult
    package nonisolated func psql(_ sql: String, database: String = "postgres") async throws(PostgresProcessError) -> String {
        let command = client("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"])
        let result = try await SupervisedProcess.runChecked(command, input: sql)
        return result.output.trimmingCharacters(in: .newlines)
    }
}

/// Parts of a `postgres://` address.
package enum ConnectionString {
    /// Percent-encodes everything but letters, digits and "-._~".
    package static func escape(_ text: String) -> String {
        var allowed = CharacterSet.alphanumerics
        allowed.formIntersection(CharacterSet(charactersIn: "\u{0}"..."\u{7F}"))
        allowed.insert(charactersIn: "-._~")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
    }
}
