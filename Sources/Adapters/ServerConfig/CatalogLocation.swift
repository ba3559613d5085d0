/// Where the catalog is: the setting `catalog`, read.
package enum CatalogLocation: Hashable, Sendable {
    case sqlite(path: String)
    /// A database of a PostgreSQL server; the URL may hold a password.
    case postgres(url: String)
    /// An etcd cluster; the URL may hold a password.
    case etcd(url: String)

    package static let forms = "sqlite:PATH, postgres://USER@HOST:PORT/DATABASE?... or etcd://HOST:PORT,HOST:PORT?..."

    /// `place`: where the text stands, for the error. The text itself is never in one: it may hold a password.
    package init(_ text: String, at place: String = "catalog") throws(ConfigError) {
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgres(url: text)
            return
        }
        if text.hasPrefix("etcd://") || text.hasPrefix("etcds://") {
            self = .etcd(url: text)
            return
        }
        guard let colon = text.firstIndex(of: ":") else { throw ConfigError(place, .invalid(expected: Self.forms)) }
        let path = String(text[text.index(after: colon)...])
        guard text[..<colon] == "sqlite", !path.isEmpty else {
            throw ConfigError(place, .invalid(expected: Self.forms))
        }
        self = .sqlite(path: path)
    }
}

extension CatalogLocation {
    /// The setting for a log: of a URL only its kind. Where in it the password is may be just what its writer got wrong.
    package static func redacted(_ setting: String) -> String {
        if setting.isEmpty || setting.hasPrefix("sqlite:") || setting.hasPrefix("memory:") { return setting }
        return ["postgres://", "postgresql://", "etcd://", "etcds://"].first(where: setting.hasPrefix).map { $0 + "***" } ?? "***"
    }
}

extension CatalogLocation: CustomStringConvertible, CustomReflectable {
    package var description: String {
        switch self {
        case .sqlite(let path): "sqlite:\(path)"
        case .postgres: "postgres://***"
        case .etcd: "etcd://***"
        }
    }

    package var customMirror: Mirror { Mirror(self, children: ["location": description]) }
}
