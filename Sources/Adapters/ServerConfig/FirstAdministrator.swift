internal import Foundation

/// The administrator that a manager makes at its start while there is no user: for installations that nobody logs in to first.
///
/// From `PGMOSAIC_ADMIN_USER` and either `PGMOSAIC_ADMIN_PASSWORD` or `PGMOSAIC_ADMIN_PASSWORD_FILE`, whose first line it is.
package struct FirstAdministrator: Sendable {
    package let name: String
    package let password: String

    package static let userVariable = "PGMOSAIC_ADMIN_USER"
    package static let passwordVariable = "PGMOSAIC_ADMIN_PASSWORD"
    package static let fileVariable = "PGMOSAIC_ADMIN_PASSWORD_FILE"
    private static let fileBytesMax = 64 << 10

    package init(name: String, password: String) {
        self.name = name
        self.password = password
    }

    /// nil: none is asked for. Errors never show the password.
    package init?(environment: [String: String]) throws(ConfigError) {
        let (user, password, file) = (environment[Self.userVariable], environment[Self.passwordVariable], environment[Self.fileVariable])
        guard let user else {
            guard password == nil, file == nil else { throw Self.error(password == nil ? Self.fileVariable : Self.passwordVariable, "needs \(Self.userVariable)") }
            return nil
        }
        guard !user.isEmpty else { throw Self.error(Self.userVariable, "must not be empty") }
        switch (password, file) {
        case (let password?, nil): self.init(name: user, password: password)
        case (nil, let file?): self.init(name: user, password: try Self.firstLine(of: file))
        case (nil, nil): throw Self.error(Self.userVariable, "needs \(Self.passwordVariable) or \(Self.fileVariable)")
        case (_?, _?): throw Self.error(Self.passwordVariable, "and \(Self.fileVariable) are given; one of them is enough")
        }
    }

    private static func error(_ variable: String, _ reason: String) -> ConfigError { ConfigError("variable \(variable)", .inconsistent(reason)) }

    private static func firstLine(of path: String) throws(ConfigError) -> String {
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.read(upToCount: fileBytesMax) ?? Data(),
            let text = String(data: data, encoding: .utf8)
        else { throw error(fileVariable, "the file cannot be read") }
        return String(text.prefix { !$0.isNewline })
    }
}

extension FirstAdministrator: CustomStringConvertible, CustomReflectable {
    /// Without the password.
    package var description: String { name }
    package var customMirror: Mirror { Mirror(self, children: ["name": name]) }
}
