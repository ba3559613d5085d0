internal import Foundation

extension PostgresEndpoint.PasswordSource {
    /// What the reader of the endpoint finds in its own files or environment.
    package var isReference: Bool {
        switch self {
        case .none, .literal: false
        case .environment, .file: true
        }
    }

    /// The password now; read each time, so that a rotated one is found. nil for `none`.
    package func resolve() throws(EndpointError) -> String? {
        switch self {
        case .none: return nil
        case .literal(let password): return password
        case .environment(let name):
            guard let password = ProcessInfo.processInfo.environment[name] else { throw EndpointError(.passwordUnavailable, name: name) }
            return password
        case .file(let path):
            guard let data = FileManager.default.contents(atPath: path), let text = String(validating: data, as: UTF8.self) else {
                throw EndpointError(.passwordUnavailable, name: path)
            }
            return String(text.prefix { !$0.isNewline })
        }
    }
}

extension PostgresEndpoint.PasswordSource: CustomStringConvertible, CustomReflectable {
    package var description: String {
        switch self {
        case .none: "none"
        case .literal: "redacted"
        case .environment(let name): "env:\(name)"
        case .file(let path): "file:\(path)"
        }
    }

    package var customMirror: Mirror { Mirror(self, children: ["source": description]) }
}

extension PostgresEndpoint {
    package func resolvePassword() throws(EndpointError) -> String? { try password.resolve() }
}
