import Foundation
import Synchronization

extension PostgresServer {
    /// The file in the data folder that holds our settings; postgresql.conf includes it.
    static let settingsFile = "pgmosaic.conf"

    /// True when the data folder already holds a server.
    package nonisolated var isPrepared: Bool {
        FileManager.default.fileExists(atPath: dataDirectory + "/" + Self.settingsFile)
    }

    /// Makes the data folder with initdb. Does nothing when it is there already; a folder left half made is made anew.
    package func prepare() async throws(PostgresProcessError) {
        if isPrepared { return }
        try makeEmptyFolder()
        let template = InitdbTemplate(options, installation)
        if try await template?.copy(to: dataDirectory) != true {
            try await runInitdb()
            try await template?.keep(dataDirectory)
        }
        try includeSettingsFile()
        // Written last: its presence is what tells a finished folder from one that a crash left.
        try writeSettings()
    }

    private func runInitdb() async throws(PostgresProcessError) {
        var arguments = [
            "-D", dataDirectory, "-U", options.superuser, "--encoding=UTF8", "--locale=\(options.locale)",
            "--auth=\(options.authentication.rawValue)",
        ]
        if options.durability == .none { arguments.append("--no-sync") }
        var passwordInput = ""
        if let password = options.password {
            arguments.append("--pwfile=/dev/stdin")
            passwordInput = password + "\n"
        }
        let command = SupervisedProcess.Command(
            installation.path(of: "initdb"), arguments, environment: ["PATH": "/usr/bin:/bin", "LC_ALL": options.locale],
            workingDirectory: "/", account: account)
        try await SupervisedProcess.runChecked(command, input: passwordInput)
    }

    private func makeEmptyFolder() throws(PostgresProcessError) {
        let manager = FileManager.default
        var isFolder: ObjCBool = false
        if manager.fileExists(atPath: dataDirectory, isDirectory: &isFolder) {
            let names = try? manager.contentsOfDirectory(atPath: dataDirectory)
            guard isFolder.boolValue, let names else {
                throw .folderUnusable(path: dataDirectory, reason: "it is not a folder that can be read")
            }
            guard names.isEmpty || names.contains("PG_VERSION") || names.contains("base") else {
                throw .folderUnusable(path: dataDirectory, reason: "it holds something else than a PostgreSQL server")
            }
            try? manager.removeItem(atPath: dataDirectory)
        }
        try DataFolder.make(dataDirectory)
        if let account {
            try account.own(dataDirectory)
            if let barrier = account.barrier(to: dataDirectory + "/x") {
                throw .folderUnusable(
                    path: dataDirectory, reason: "the account \(account.name), which PostgreSQL runs under, may not enter \(barrier)")
            }
        }
    }

    private func includeSettingsFile() throws(PostgresProcessError) {
        let path = dataDirectory + "/postgresql.conf"
        guard let handle = FileHandle(forWritingAtPath: path) else {
            throw .folderUnusable(path: path, reason: "it cannot be written")
        }
        defer { try? handle.close() }
        do {
            try handle.seekToEnd()
            try handle.write(contentsOf: Data("\ninclude_if_exists = '\(Self.settingsFile)'\n".utf8))
        } catch {
            throw .folderUnusable(path: path, reason: "it cannot be written")
        }
    }

    func writeSettings() throws(PostgresProcessError) {
        let path = dataDirectory + "/" + Self.settingsFile
        do {
            try options.configuration(port: port).write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw .folderUnusable(path: path, reason: "it cannot be written")
        }
        if let account { try account.own(path) }
    }
}

/// Folders for servers' data.
enum DataFolder {
    /// Makes `path` for its owner only, and the folders above it that are missing so that another account may pass through them.
    ///
    /// One at a time in this process: between the making of a folder above and its opening to others, a second server would find it closed.
    static func make(_ path: String) throws(PostgresProcessError) {
        try lock.withLock { (_) throws(PostgresProcessError) in try makeUnlocked(path) }
    }

    private static let lock = Mutex(())

    private static func makeUnlocked(_ path: String) throws(PostgresProcessError) {
        let parent = (path as NSString).deletingLastPathComponent
        if !FileManager.default.fileExists(atPath: parent) {
            try makeUnlocked(parent)
            // mkdir's mode is cut by the umask, which may keep everybody else out.
            chmod(parent, 0o755)
        }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw .folderUnusable(path: path, reason: "it cannot be made (errno \(errno))")
        }
    }
}
