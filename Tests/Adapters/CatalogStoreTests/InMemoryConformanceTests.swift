import CatalogConformance
import CatalogStore
import Testing

/// The catalog is one object, however often it is opened.
private struct InMemoryCatalog: CatalogUnderTest {
    let store = InMemoryCatalogStore()
    func open() async throws -> any CatalogStore { store }
    func close(_ store: any CatalogStore) async throws {}
}

@Suite struct InMemoryConformanceTests {
    @Test(arguments: CatalogConformance.checks)
    func memoryConforms(to check: CatalogConformance.Check) async throws {
        try await check.run(InMemoryCatalog())
    }
}
