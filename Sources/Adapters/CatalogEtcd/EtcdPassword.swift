internal import Foundation

/// Where the password of the etcd user comes from. Read with each login, so that a changed one is found.
package enum EtcdPassword: Hashable, Sendable {
    case literal(String)
    /// A variable of the environment.
    case environment(String)
    /// The first line of a file.
    case file(String)

    init(_ text: String) {
        if text.hasPrefix("env:") {
            self = .environment(String(text.dropFirst(4)))
        } else if text.hasPrefix("file:") {
            self = .file(String(text.dropFirst(5)))
        } else {
            self = .literal(text)
        }
    }

    func resolve() throws(EtcdLocationError) -> String {
        switch self {
        case .literal(let password): return password
        case .environment(let name):
            guard let password = ProcessInfo.processInfo.environment[name] else { throw EtcdLocationError(.passwordUnavailable, name: name) }
            return password
        case .file(let path):
            guard let data = FileManager.default.contents(atPath: path), let text = String(validating: data, as: UTF8.self) else {
                throw EtcdLocationError(.passwordUnavailable, name: path)
            }
            return String(text.prefix { !$0.isNewline })
        }
    }
}

extension EtcdPassword: CustomStringConvertible, CustomReflectable {
    package var description: String {
        switch self {
        case .literal: "redacted"
        case .environment(let name): "env:\(name)"
        case .file(let path): "file:\(path)"
        }
    }

    package var customMirror: Mirror { Mirror(self, children: ["source": description]) }
}
