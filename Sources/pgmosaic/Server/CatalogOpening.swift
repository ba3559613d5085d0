import CatalogSQLite
import CatalogStore
import Foundation
import Logging
import ServerConfig

/// From the setting `catalog` to the store.
enum CatalogOpening {
    /// For a manager: makes an empty catalog where there is none.
    static func forManager(_ setting: String) async throws -> any CatalogStore {
        try await open(try CatalogLocation(setting), createIfMissing: true)
    }

    /// For a router: one without a catalog would serve nothing, so a missing one is an error, unless there is a saved copy to serve from.
    static func forRouter(_ settings: RouterSettings, logger: Logger) async throws -> any CatalogStore {
        let location = try CatalogLocation(settings.catalog)
        do {
            return try await open(location, createIfMissing: false)
        } catch CatalogError.unavailable(let reason) {
            guard let saved = settings.snapshotFile, FileManager.default.fileExists(atPath: saved) else { throw CatalogError.unavailable(reason) }
            logger.warning("The catalog store cannot be opened; trying again while serving from the saved copy", metadata: ["reason": "\(reason)"])
            return LateCatalogStore { () throws(CatalogError) in try await open(location, createIfMissing: false) }
        }
    }

    private static func open(_ location: CatalogLocation, createIfMissing: Bool) async throws(CatalogError) -> any CatalogStore {
        switch location {
        case .sqlite(let path): try await SQLiteCatalogStore(path: path, createIfMissing: createIfMissing)
        }
    }
}
