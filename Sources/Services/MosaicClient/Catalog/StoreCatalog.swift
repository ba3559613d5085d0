internal import CatalogEtcd
internal import CatalogPostgres
internal import CatalogSQLite
internal import CatalogStore
internal import NIOPosix
internal import PGChannel
internal import ServerConfig
internal import ShardModel

/// The catalog from its store, as routers read it. Opened when it is first asked, and again after a failure to open.
actor StoreCatalog: CatalogReading {
    private static let waitMax = Duration.seconds(20)

    private let location: CatalogLocation
    private var store: (any CatalogStore)?

    init(_ text: String) throws(MosaicError) {
        do throws(ConfigError) {
            location = try CatalogLocation(text)
        } catch {
            throw MosaicError(.configuration, "\(error)")
        }
    }

    /// For a store that is open already.
    init(_ store: any CatalogStore) {
        location = .sqlite(path: "")
        self.store = store
    }

    func close() async {
        switch store {
        case let store as PostgresCatalogStore: await store.close()
        case let store as EtcdCatalogStore: await store.close()
        default: break
        }
        store = nil
    }

    func next(after epoch: Epoch?) async throws(MosaicError) -> CatalogSnapshot? {
        do throws(CatalogError) {
            let store = try await opened()
            guard let epoch else { return try await store.load() }
            return await Self.first(in: store.watch(after: epoch), within: Self.waitMax)
        } catch {
            throw MosaicError(.catalogUnavailable, "\(error)")
        }
    }

    private static func first(in stream: AsyncStream<CatalogSnapshot>, within limit: Duration) async -> CatalogSnapshot? {
        await withTaskGroup(of: CatalogSnapshot?.self) { group in
            group.addTask {
                for await snapshot in stream { return snapshot }
                return nil
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private func opened() async throws(CatalogError) -> any CatalogStore {
        if let store { return store }
        let opened = try await open()
        store = opened
        return opened
    }

    private func open() async throws(CatalogError) -> any CatalogStore {
        switch location {
        case .sqlite(let path): return try await SQLiteCatalogStore(path: path, createIfMissing: false)
        case .postgres(let url):
            var endpoint: PostgresEndpoint
            do throws(EndpointError) { endpoint = try PostgresEndpoint.parse(url) } catch { throw .unavailable("\(error)") }
            endpoint.sendsReferenceAsText = true
            return try await PostgresCatalogStore(endpoint, isManager: false, on: MultiThreadedEventLoopGroup.singleton)
        case .etcd(let url):
            let parsed: EtcdLocation
            do throws(EtcdLocationError) { parsed = try EtcdLocation.parse(url) } catch { throw .unavailable("\(error)") }
            return try await EtcdCatalogStore(parsed, isManager: false, on: MultiThreadedEventLoopGroup.singleton)
        }
    }
}
