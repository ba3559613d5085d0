internal import Crypto
internal import Foundation

extension SecretBox {
    private static let header = "pgmosaic-key-1 "

    /// The key in `path`, for servers that only read. Refuses a file that others may read.
    package static func load(path: String) throws(SecretError) -> SecretBox {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? NSNumber
        else { throw SecretError(.keyFileMissing, path: path) }
        guard mode.intValue & 0o077 == 0 else { throw SecretError(.keyFileOpenToOthers, path: path) }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8), text.hasPrefix(header),
            let key = Base64URL.decode(text.dropFirst(header.count).trimmingCharacters(in: .whitespacesAndNewlines)), key.count == 32
        else { throw SecretError(.keyFileDamaged, path: path) }
        return SecretBox(key: Array(key))
    }

    /// The key in the first file, and after it those that open as well.
    package static func load(paths: [String]) throws(SecretError) -> SecretBox? {
        var boxes: [SecretBox] = []
        for path in paths { boxes.append(try load(path: path)) }
        return boxes.first?.accepting(Array(boxes.dropFirst()))
    }

    /// A key in a file that there was not before.
    package static func make(path: String) throws(SecretError) {
        guard !FileManager.default.fileExists(atPath: path) else { throw SecretError(.keyFileExists, path: path) }
        _ = try loadOrCreate(path: path)
    }

    /// The key in `path`, made when there is none.
    ///
    /// The file appears complete and with mode 0600, or not at all: it is written beside its place and linked into it; when two processes do so at
    /// once, one file wins and both read that.
    package static func loadOrCreate(path: String) throws(SecretError) -> SecretBox {
        if FileManager.default.fileExists(atPath: path) { return try load(path: path) }
        let key = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        let draft = path + ".\(UUID().uuidString).new"
        defer { try? FileManager.default.removeItem(atPath: draft) }
        let made = FileManager.default.createFile(
            atPath: draft, contents: Data((header + Base64URL.encode(key) + "\n").utf8), attributes: [.posixPermissions: 0o600])
        guard made else { throw SecretError(.keyFileUnwritable, path: path) }
        do {
            try FileManager.default.linkItem(atPath: draft, toPath: path)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else { throw SecretError(.keyFileUnwritable, path: path) }
        }
        return try load(path: path)
    }
}
