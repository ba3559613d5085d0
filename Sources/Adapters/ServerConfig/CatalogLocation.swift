/// Where the catalog is: the setting `catalog`, read.
package enum CatalogLocation: Hashable, Sendable {
    case sqlite(path: String)

    package init(_ text: String) throws(ConfigError) {
        guard let colon = text.firstIndex(of: ":") else {
            throw ConfigError("catalog", .invalid(expected: "sqlite:PATH"))
        }
        let path = String(text[text.index(after: colon)...])
        guard text[..<colon] == "sqlite", !path.isEmpty else {
            throw ConfigError("catalog", .invalid(expected: "sqlite:PATH; etcd and PostgreSQL come in a later version"))
        }
        self = .sqlite(path: path)
    }
}
