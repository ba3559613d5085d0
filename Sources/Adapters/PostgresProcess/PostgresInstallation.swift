import Foundation

/// A folder with PostgreSQL's server and client programs.
package struct PostgresInstallation: Equatable, Sendable {
    package var binDirectory: String

    package init(binDirectory: String) {
        self.binDirectory = binDirectory
    }

    /// The absolute path of one program, for example `psql`.
    package func path(of program: String) -> String { binDirectory + "/" + program }

    /// The programs without which a folder does not count.
    static let required = ["initdb", "postgres", "pg_basebackup", "psql", "createdb"]

    /// The newest installation under `roots` (Debian's layout: `<root>/<version>/bin`), else the first on PATH.
    ///
    /// Debian keeps the server programs off PATH and puts wrappers of the client programs there; that is why
    /// the versioned folders come first.
    package static func find(
        roots: [String] = ["/usr/lib/postgresql"],
        path: String? = ProcessInfo.processInfo.environment["PATH"]
    ) throws(PostgresProcessError) -> PostgresInstallation {
        var candidates: [String] = []
        for root in roots {
            let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
            let newestFirst = versions.sorted { (Double($0) ?? 0) > (Double($1) ?? 0) }
            candidates += newestFirst.map { "\(root)/\($0)/bin" }
        }
        candidates += (path ?? "").split(separator: ":").map(String.init)
        for folder in candidates where isComplete(folder) { return PostgresInstallation(binDirectory: folder) }
        throw .binariesMissing(looked: roots.map { $0 + "/*/bin" } + ["PATH"])
    }

    private static func isComplete(_ folder: String) -> Bool {
        required.allSatisfy { access(folder + "/" + $0, X_OK) == 0 }
    }
}
