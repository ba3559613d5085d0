import CatalogSQLite
import CatalogStore
import ServerConfig

/// From the setting `catalog` to the store.
enum CatalogOpening {
    static func open(_ setting: String) async throws -> any CatalogStore {
        switch try CatalogLocation(setting) {
        case .sqlite(let path): try await SQLiteCatalogStore.open(path: path)
        }
    }
}
