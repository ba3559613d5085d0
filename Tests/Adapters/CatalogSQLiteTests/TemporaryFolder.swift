import Foundation

/// A folder for one test, which removes it at its end.
struct TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/pgmosaic-catalog-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    func remove() {
        // A test that failed may have left its small disk mounted.
        umount2(path, Int32(MNT_DETACH))
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The bytes of every file in it. Only while this process has no catalog in it open: reading a file by hand drops SQLite's locks.
    func contents() throws -> [String: Data] {
        try FileManager.default.contentsOfDirectory(atPath: path).reduce(into: [:]) { contents, name in
            contents[name] = FileManager.default.contents(atPath: path + "/" + name) ?? Data()
        }
    }

    var catalog: String { path + "/catalog.sqlite" }
}
