/// Where the catalog is: the setting `catalog`, read.
package enum CatalogLocation: Hashable, Sendable {
    case sqlite(path: String)
    /// A database of a PostgreSQL server; the URL may hold a password.
    case postgres(url: String)

    package static let forms = "sqlite:PATH or postgres://USER@HOST:PORT/DATABASE?..."

    /// `place`: where the text stands, for the error. The text itself is never in one: it may hold a password.
    package init(_ text: String, at place: String = "catalog") throws(ConfigError) {
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgres(url: text)
            return
        }
        guard let colon = text.firstIndex(of: ":") else { throw ConfigError(place, .invalid(expected: Self.forms)) }
        let path = String(text[text.index(after: colon)...])
        guard text[..<colon] == "sqlite", !path.isEmpty else {
            throw ConfigError(place, .invalid(expected: Self.forms + "; etcd comes in a later version"))
        }
        self = .sqlite(path: path)
    }
}
