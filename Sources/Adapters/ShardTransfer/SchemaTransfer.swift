internal import Foundation
package import PGChannel
internal import PostgresProcess

/// Brings the definitions of a source's database to an empty target: types, tables with defaults and checks, functions, sequences, rights, comments; and,
/// when the rows are there, indexes, keys and triggers. By PostgreSQL's own pg_dump and pg_restore, which know every kind of object.
///
/// Left out: the schema `pgmosaic` and its event triggers, publications, subscriptions, tablespaces, and what is not the database's own (roles, settings of
/// the server). Sequences begin as on the source: the caller gives the target its own slice of each.
package struct SchemaTransfer: Sendable {
    package enum Section: String, Hashable, Sendable, CaseIterable {
        /// Everything that rows need.
        case beforeRows = "pre-data"
        /// What is better made when they are there.
        case behindRows = "post-data"
    }

    /// Entries of an archive's list that are not brought along, by their kind and what follows it.
    private static let leftOut = [" EVENT TRIGGER - pgmosaic_", " COMMENT - EVENT TRIGGER pgmosaic_", " COMMENT - EXTENSION ", " PUBLICATION ", " SUBSCRIPTION "]

    /// Indexes of large tables take hours.
    private static let limit = Duration.seconds(30 * 86_400)

    package struct Server: Sendable {
        package var endpoint: PostgresEndpoint
        /// It has just proved, to a session of ours, that it knows what its password is checked by: it learns nothing from that password.
        package var hasProvenItself: Bool
        package init(_ endpoint: PostgresEndpoint, hasProvenItself: Bool = false) {
            self.endpoint = endpoint
            self.hasProvenItself = hasProvenItself
        }
    }

    private let source: Server
    private let target: Server
    private let excludedTables: [String]
    private let folder: String

    /// - excludedTables: patterns of pg_dump, of tables that only the source is to have.
    /// - folder: a private one, for the archive; it holds definitions, and no rows.
    package init(from source: Server, to target: Server, excludedTables: [String] = [], folder: String) {
        self.source = source
        self.target = target
        self.excludedTables = excludedTables
        self.folder = folder
    }

    private var archive: String { folder + "/schema.dump" }

    /// Reads the source's definitions. Throws `TransferError.program` with what pg_dump said.
    package func dump() async throws {
        let exclusions = excludedTables.map { "--exclude-table=\($0)" }
        _ = try await run(
            "pg_dump",
            ["--format=custom", "--schema-only", "--exclude-schema=pgmosaic", "--no-publications", "--no-subscriptions", "--no-tablespaces", "--lock-wait-timeout=30s",
             "--file=\(archive)"] + exclusions,
            on: source)
        let list = try await run("pg_restore", ["--list", archive])
        let kept = list.split(separator: "\n").filter { line in !Self.leftOut.contains { line.contains($0) } }
        try Data(kept.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: folder + "/schema.list"))
    }

    /// Makes a section's objects in one transaction. Throws `TransferError.program` with what pg_restore said: nothing of the section is there then.
    package func restore(_ section: Section) async throws {
        _ = try await run(
            "pg_restore",
            ["--section=\(section.rawValue)", "--use-list=\(folder)/schema.list", "--single-transaction", "--exit-on-error", "--dbname=\(target.endpoint.database ?? "")", archive],
            on: target)
    }

    private func run(_ program: String, _ arguments: [String], on server: Server? = nil) async throws -> String {
        var environment: [String: String] = [:]
        if let server { environment = try Self.environment(server, programRefusesText: try await refusesText(program)) }
        let result = try await run(program, arguments, environment: environment)
        if result.status == 0 { return result.output }
        // The reason stands before the statement, which may be long.
        let reason = result.errors.split(separator: "\n").first { $0.contains("error:") }.map(String.init) ?? result.lastLines
        if server?.endpoint.password.isReference == true, environment["PGPASSWORD"] == nil, reason.contains("no password supplied") {
            throw TransferError.program("\(program) was not told the password: it is a reference (env:, file:), and the server asks for it without proving by scram-sha-256 that it knows it")
        }
        throw TransferError.program(PostgresProcessError.commandFailed(program: program, status: result.status, message: reason).description)
    }

    private func run(_ program: String, _ arguments: [String], environment: [String: String]) async throws -> CommandResult {
        var all = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"]
        all.merge(environment) { $1 }
        do throws(PostgresProcessError) {
            let command = SupervisedProcess.Command(try PostgresInstallation.find().path(of: program), arguments, environment: all)
            return try await SupervisedProcess.run(command, limit: Self.limit)
        } catch {
            throw TransferError.program(error.description)
        }
    }

    /// Whether the program heeds PGREQUIREAUTH, as from PostgreSQL 16 on: "pg_dump (PostgreSQL) 15.14 (Debian …)".
    private func refusesText(_ program: String) async throws -> Bool {
        let version = try await run(program, ["--version"], environment: [:]).output.split(separator: ")").dropFirst().first
        return Int(version?.drop(while: \.isWhitespace).prefix(while: \.isNumber) ?? "").map { $0 >= 16 } ?? false
    }

    /// What libpq is to connect with: not as arguments, which everybody on the machine can read.
    ///
    /// What a reference leads to is sent as text to no server, as `BackendConnector` holds it. A program that could be asked for it is told only for a server that has proved itself
    /// (docs/decisions/0092-references-are-not-sent-as-text.md).
    static func environment(_ server: Server, programRefusesText: Bool) throws -> [String: String] {
        let endpoint = server.endpoint
        var environment = ["PGAPPNAME": "pgmosaic-move", "PGSSLMODE": endpoint.tlsMode.rawValue, "PGCONNECT_TIMEOUT": "10"]
        switch endpoint.address {
        case .tcp(let host, let port): (environment["PGHOST"], environment["PGPORT"]) = (host, String(port))
        case .unix(let directory, let port): (environment["PGHOST"], environment["PGPORT"]) = (directory, String(port))
        }
        environment["PGUSER"] = endpoint.user
        environment["PGDATABASE"] = endpoint.database
        let isWithheldAsText = endpoint.password.isReference && !endpoint.sendsReferenceAsText
        if !isWithheldAsText || server.hasProvenItself || programRefusesText { environment["PGPASSWORD"] = try endpoint.resolvePassword() }
        if isWithheldAsText { environment["PGREQUIREAUTH"] = "!password" }
        environment["PGSSLROOTCERT"] = endpoint.rootCertificate
        environment["PGOPTIONS"] = "-c statement_timeout=0 -c lock_timeout=0"
        return environment
    }
}
