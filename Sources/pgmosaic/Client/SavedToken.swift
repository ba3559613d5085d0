import Foundation

/// The token that the commands show to servers: of the variable `PGMOSAIC_TOKEN`, or of a file of the user's own, where `pgmosaic login` puts it. Never of the
/// command line, and never printed.
enum SavedToken {
    static let variable = "PGMOSAIC_TOKEN"
    static let fileVariable = "PGMOSAIC_TOKEN_FILE"
    private static let lengthMax = 64 << 10

    /// `PGMOSAIC_TOKEN_FILE`, else `pgmosaic/token` in the user's configuration.
    static func path(environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        if let path = environment[fileVariable], !path.isEmpty { return path }
        let folder = environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(environment["HOME"] ?? ".")/.config"
        return folder + "/pgmosaic/token"
    }

    /// nil: there is none.
    static func current(environment: [String: String] = ProcessInfo.processInfo.environment) throws(ClientError) -> String? {
        if let token = environment[variable], !token.isEmpty { return try checked(token, variable) }
        let path = path(environment: environment)
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path), let mode = attributes[.posixPermissions] as? NSNumber else { return nil }
        guard mode.intValue & 0o077 == 0 else { throw .usage("\(path) can be read by others; its mode must be 0600") }
        guard let data = FileManager.default.contents(atPath: path) else { throw .usage("\(path) cannot be read") }
        return try checked(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines), path)
    }

    /// What goes into a header must not end it.
    private static func checked(_ token: String, _ place: String) throws(ClientError) -> String {
        let isPlain = token.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        guard !token.isEmpty, token.utf8.count <= lengthMax, isPlain else { throw .usage("\(place) does not hold a token") }
        return token
    }

    /// Complete and with mode 0600, or not at all.
    static func save(_ token: String) throws(ClientError) -> String {
        let path = path()
        let folder = (path as NSString).deletingLastPathComponent
        let draft = path + ".\(UUID().uuidString).new"
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { unlink(draft) }
        guard FileManager.default.createFile(atPath: draft, contents: Data((token + "\n").utf8), attributes: [.posixPermissions: 0o600]),
            rename(draft, path) == 0
        else { throw .usage("\(path) cannot be written; \(fileVariable) names another file") }
        return path
    }

    static func remove() { unlink(path()) }

    /// A token that is sent in the clear is everybody's: only over TLS, or to this machine.
    static func checkMayGo(to url: String) throws(ClientError) {
        guard let components = URLComponents(string: url), components.scheme?.lowercased() == "http" else { return }
        let host = components.host?.trimmingCharacters(in: CharacterSet(charactersIn: "[]")) ?? ""
        guard host != "localhost", host != "::1", !host.hasPrefix("127.") else { return }
        throw .usage("a token or a password is not sent to \(host) over http, where others could read it; use https://")
    }
}
