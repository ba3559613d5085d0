import CatalogConformance
import CatalogSQLite
import CatalogStore
import Testing

/// Each opening is a store of its own on the same file, with connections of its own, as another process would have.
private struct SQLiteCatalog: CatalogUnderTest {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }
    func open() async throws -> any CatalogStore {
        try await SQLiteCatalogStore(path: folder.catalog, busyTimeout: .seconds(60))
    }
    func close(_ store: any CatalogStore) async throws { await (store as? SQLiteCatalogStore)?.close() }
}

@Suite struct SQLiteConformanceTests {
    @Test(arguments: CatalogConformance.checks)
    func sqliteConforms(to check: CatalogConformance.Check) async throws {
        let catalog = try SQLiteCatalog()
        defer { catalog.folder.remove() }
        try await check.run(catalog)
    }
}
