import Foundation

/// The repository's files, without what the build and the demo leave in it.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Names that `.gitignore` keeps out; hidden folders are left out altogether, but for the one of continuous integration.
    private static let ignored: Set<String> = ["node_modules", "__pycache__", "Package.resolved"]

    /// Paths relative to the root, sorted.
    static let paths: [String] = {
        var paths: [String] = []
        func walk(_ folder: String) {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)) ?? []
            for name in names.sorted() where !ignored.contains(name) && (!name.hasPrefix(".") || name == ".ci") {
                let path = folder.isEmpty ? name : "\(folder)/\(name)"
                if path == "demo" { continue }
                var isFolder: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: root.appending(path: path).path, isDirectory: &isFolder)
                if isFolder.boolValue { walk(path) } else { paths.append(path) }
            }
        }
        walk("")
        return paths
    }()

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root.appending(path: path).path) }

    static func bytes(_ path: String) -> Data? { try? Data(contentsOf: root.appending(path: path)) }

    /// nil for a file that is not text.
    static func text(_ path: String) -> String? { bytes(path).flatMap { String(data: $0, encoding: .utf8) } }

    static func paths(under folder: String, ending: String) -> [String] {
        paths.filter { $0.hasPrefix(folder) && $0.hasSuffix(ending) }
    }

    /// Each Swift file, taken apart.
    static let swiftFiles: [(path: String, code: SwiftCode)] = paths(under: "", ending: ".swift").compactMap { path in
        text(path).map { (path, SwiftCode($0)) }
    }

    static let sources = swiftFiles.filter { $0.path.hasPrefix("Sources/") }
}
