import CatalogEtcd
import CatalogPostgres
import CatalogSQLite
import CatalogStore
import Foundation
import Logging
import NIOPosix
import PGChannel
import ServerConfig

/// From the setting `catalog` to the store.
enum CatalogOpening {
    /// For a manager: makes an empty catalog where there is none.
    static func forManager(_ setting: String) async throws -> any CatalogStore {
        try await open(try CatalogSource(try CatalogLocation(setting)), createIfMissing: true)
    }

    /// For a router: one without a catalog would serve nothing, so a missing one is an error, unless there is a saved copy to serve from.
    static func forRouter(_ settings: RouterSettings, logger: Logger) async throws -> any CatalogStore {
        let source = try CatalogSource(try CatalogLocation(settings.catalog))
        do {
            return try await open(source, createIfMissing: false)
        } catch CatalogError.unavailable(let reason) {
            guard let saved = settings.snapshotFile, FileManager.default.fileExists(atPath: saved) else { throw CatalogError.unavailable(reason) }
            logger.warning("The catalog store cannot be opened; trying again while serving from the saved copy", metadata: ["reason": "\(reason)"])
            return LateCatalogStore(after: .unavailable(reason)) { () throws(CatalogError) in try await open(source, createIfMissing: false) }
        }
    }

    static func open(_ source: CatalogSource, createIfMissing: Bool) async throws(CatalogError) -> any CatalogStore {
        switch source {
        case .sqlite(let path): try await SQLiteCatalogStore(path: path, createIfMissing: createIfMissing)
        case .postgres(let endpoint): try await PostgresCatalogStore(endpoint, isManager: createIfMissing, on: MultiThreadedEventLoopGroup.singleton)
        case .etcd(let location): try await EtcdCatalogStore(location, isManager: createIfMissing, on: MultiThreadedEventLoopGroup.singleton)
        }
    }
}

/// A catalog's location that makes sense.
enum CatalogSource: CustomStringConvertible {
    case sqlite(path: String)
    case postgres(PostgresEndpoint)
    case etcd(EtcdLocation)

    init(_ location: CatalogLocation, at place: String = "catalog") throws(ConfigError) {
        switch location {
        case .sqlite(let path): self = .sqlite(path: path)
        case .postgres(let url):
            var endpoint: PostgresEndpoint
            do throws(EndpointError) {
                endpoint = try PostgresEndpoint.parse(url)
                endpoint.sendsReferenceAsText = true
            } catch {
                throw ConfigError(place, .inconsistent("\(error)"))
            }
            // Nothing is guessed: the wrong database would be given a schema.
            guard endpoint.user != nil, endpoint.database != nil else {
                throw ConfigError(place, .inconsistent("the URL must name a user and a database"))
            }
            self = .postgres(endpoint)
        case .etcd(let url):
            do throws(EtcdLocationError) {
                self = .etcd(try EtcdLocation.parse(url))
            } catch {
                throw ConfigError(place, .inconsistent("\(error)"))
            }
        }
    }

    /// Without the password.
    var description: String {
        switch self {
        case .sqlite(let path): "sqlite:\(path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path)"
        case .postgres(let endpoint): "\(endpoint)"
        case .etcd(let location): "\(location)"
        }
    }
}
