import Foundation
import LocalCluster
import PostgresProcess

/// The demo's folder and the files in it.
struct DemoFolder {
    let path: String

    var description: String { path + "/demo.json" }
    var plan: String { path + "/plan.json" }
    var lock: String { path + "/demo.lock" }
    /// What a detached demo prints.
    var log: String { path + "/demo.log" }
    var cluster: ClusterFolder { ClusterFolder(path: path) }

    /// Relative paths are taken from the working directory.
    init(_ path: String) {
        let whole = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        self.path = (whole as NSString).standardizingPath
    }

    /// Makes the folder, and refuses one that belongs to something else.
    func claim() throws {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
            guard isFolder.boolValue else { throw DemoError("\(path) is a file; --dir needs a folder") }
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
                throw DemoError("the folder \(path) cannot be read; choose another --dir")
            }
            guard names.isEmpty || names.contains("demo.lock") else {
                throw DemoError("\(path) holds other files than a demo's; choose an empty or new folder for --dir")
            }
        }
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw DemoError("the folder \(path) cannot be made; choose another --dir")
        }
        guard access(path, W_OK | X_OK) == 0 else { throw DemoError("the folder \(path) cannot be written; choose another --dir") }
        // Marks the folder as a demo's; its contents are the lock's business.
        close(open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
    }

    /// Where the servers' data goes: in the folder, unless PostgreSQL's account cannot get there (a clone under /root),
    /// and then under /var/lib/pgmosaic.
    func dataRoot() throws -> String {
        let inside = path + "/shards"
        guard let account = try UnprivilegedAccount.needed(), account.barrier(to: inside + "/x") != nil else { return inside }
        return "/var/lib/pgmosaic" + path
    }

    /// Removes what an unfinished run left. The lock is held and stays.
    func wipe() throws {
        for item in [plan, cluster.catalog, cluster.config, cluster.logs, try dataRoot()] {
            try? FileManager.default.removeItem(atPath: item)
        }
    }

    func readPlan() throws -> DemoPlan? {
        guard let data = FileManager.default.contents(atPath: plan) else { return nil }
        guard let saved = try? JSONDecoder().decode(DemoPlan.self, from: data) else {
            throw DemoError("\(plan) is damaged; remove the folder \(path) to start anew")
        }
        return saved
    }

    func readDescription() -> DemoDescription? {
        FileManager.default.contents(atPath: description).flatMap { try? JSONDecoder().decode(DemoDescription.self, from: $0) }
    }

    func write(_ value: some Encodable, to file: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try ClusterFolder.write(encoder.encode(value) + Data("\n".utf8), to: file)
    }
}
