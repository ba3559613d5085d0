import Foundation
import PostgresProcess

/// Where a cluster's processes keep their files. The data of the servers is elsewhere: its owner may be another account.
package struct ClusterFolder: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    package var logs: String { path + "/logs" }
    package var config: String { path + "/config" }
    package var catalog: String { path + "/catalog" }
    package var catalogFile: String { catalog + "/catalog.sqlite" }
    /// The key that seals the shards' passwords in the catalog; the manager makes it.
    package var secretsKeyFile: String { config + "/secrets.key" }

    package func log(of process: String) -> String { "\(logs)/\(process).log" }
    package func configFile(of process: String) -> String { "\(config)/\(process).yaml" }

    package func make() throws(PostgresProcessError) {
        for folder in [logs, config, catalog] {
            do {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch {
                throw .folderUnusable(path: folder, reason: "it cannot be made")
            }
        }
    }

    /// Replaces a file as a whole, so that a reader and a crash see the old or the new one. Mode 0600: passwords are in some.
    package static func write(_ data: Data, to file: String) throws(PostgresProcessError) {
        let temporary = file + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .folderUnusable(path: file, reason: "it cannot be written (errno \(errno))") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: data)
            try handle.synchronize()
            try handle.close()
        } catch {
            throw .folderUnusable(path: file, reason: "it cannot be written; is the disk full?")
        }
        guard rename(temporary, file) == 0 else {
            throw .folderUnusable(path: file, reason: "it cannot be replaced (errno \(errno))")
        }
    }
}
