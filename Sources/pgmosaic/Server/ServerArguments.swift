import ArgumentParser
import Foundation
import ServerConfig

/// `--config`, and any setting as a flag. The flags are the settings catalogue's, so they are read by `ConfigLoader` and not declared here.
struct ServerArguments: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("YAML file with settings.", valueName: "file")) var config: String?
    @Argument(parsing: .allUnrecognized, help: .hidden) var flags: [String] = []

    /// A configuration file is a page of text; a longer one is some other file.
    static let fileBytesMax = 1 << 20

    /// Flags win over the environment, which wins over the file, which wins over the defaults.
    func load(as role: ServerRole, environment: [String: String] = ProcessInfo.processInfo.environment) throws(ConfigError) -> ResolvedSettings {
        let file = try config.map { (path) throws(ConfigError) in (text: try Self.text(of: path), name: path) }
        return try ConfigLoader(role: role).load(file: file, environment: environment, flags: flags)
    }

    private static func text(of path: String) throws(ConfigError) -> String {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ConfigError("flag --config", .inconsistent("there is no file \(path)"))
        }
        guard !isFolder.boolValue else { throw ConfigError("flag --config", .inconsistent("\(path) is a folder")) }
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.read(upToCount: fileBytesMax + 1) ?? Data() else {
            throw ConfigError("flag --config", .inconsistent("\(path) cannot be read"))
        }
        guard data.count <= fileBytesMax, let text = String(data: data, encoding: .utf8) else {
            throw ConfigError("flag --config", .inconsistent("\(path) is not a YAML file"))
        }
        return text
    }
}
