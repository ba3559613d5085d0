import CatalogSQLite
import CatalogStore
import Foundation
import GRDB
import ShardModel
import Testing

/// Files that are not catalogs, or not whole ones.
@Suite struct OddFileTests {
    enum Kind { case foreign, invalid, unavailable }

    private func expectRefusal(_ kind: Kind, _ path: String, createIfMissing: Bool = true, sourceLocation: SourceLocation = #_sourceLocation) async {
        do throws(CatalogError) {
            let store = try await SQLiteCatalogStore(path: path, createIfMissing: createIfMissing, busyTimeout: .milliseconds(200))
            await store.close()
            Issue.record("it was opened", sourceLocation: sourceLocation)
        } catch {
            switch (error, kind) {
            case (.foreign, .foreign), (.invalid, .invalid), (.unavailable, .unavailable): break
            default: Issue.record("\(error)", sourceLocation: sourceLocation)
            }
        }
    }

    /// A closed catalog of some tens of pages.
    private func makeCatalog(_ folder: TemporaryFolder) async throws {
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let settings = (0..<20).map { CatalogChange.Operation.setSetting(name: "s\($0)", value: String(repeating: "v", count: 5000)) }
        _ = try await store.commit(CatalogChange(settings, author: "test"), expecting: .zero)
        await store.close()
    }

    @Test func foreignDatabaseIsRefusedWithItsLogUntouched() async throws {
        let (folder, source) = (try TemporaryFolder(), try TemporaryFolder())
        defer {
            folder.remove()
            source.remove()
        }
        let queue = try DatabaseQueue(path: source.catalog)
        try await queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
        }
        // As after a crash of theirs: the data is in the log only.
        for suffix in ["", "-wal"] { try FileManager.default.copyItem(atPath: source.catalog + suffix, toPath: folder.catalog + suffix) }
        let before = try folder.contents()
        #expect(before["catalog.sqlite-wal"]?.isEmpty == false)
        await expectRefusal(.foreign, folder.catalog)
        #expect(try folder.contents() == before)
    }

    @Test(arguments: ["", "not a database", String(repeating: "text ", count: 1000), "SQLite format 3\0"])
    func otherFileIsRefusedUntouched(_ text: String) async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.catalog))
        await expectRefusal(.foreign, folder.catalog)
        #expect(try folder.contents() == ["catalog.sqlite": Data(text.utf8)])
    }

    @Test func newerFormatIsRefusedUntouched() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try await makeCatalog(folder)
        let queue = try DatabaseQueue(path: folder.catalog)
        try await queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 2") }
        try queue.close()
        let before = try folder.contents()
        await expectRefusal(.foreign, folder.catalog)
        #expect(try folder.contents() == before)
    }

    @Test(arguments: [50, 99, 100, 4096, 20_000, -4096, -1])
    func truncatedCatalogIsRefused(_ length: Int) async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try await makeCatalog(folder)
        let whole = try #require(FileManager.default.contents(atPath: folder.catalog))
        let cut = length < 0 ? whole.dropLast(-length) : whole.prefix(length)
        try Data(cut).write(to: URL(fileURLWithPath: folder.catalog))
        await expectRefusal(length < 100 && length > 0 ? .foreign : .invalid, folder.catalog)
        #expect(try folder.contents()["catalog.sqlite"] == Data(cut))
    }

    @Test func damagedPageIsRefused() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try await makeCatalog(folder)
        var bytes = try #require(FileManager.default.contents(atPath: folder.catalog))
        for page in 1..<6 { bytes.replaceSubrange(page * 4096..<page * 4096 + 64, with: Data(repeating: 0xA5, count: 64)) }
        try bytes.write(to: URL(fileURLWithPath: folder.catalog))
        await expectRefusal(.invalid, folder.catalog)
    }

    @Test func damagedRecordIsRefused() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let user = UserRecord(name: "ada", verifier: "v", roles: [])
        _ = try await store.commit(CatalogChange([.putUser(user)], author: "test"), expecting: .zero)
        await store.close()
        for damage in ["body = '{}'", "version = 9", "version = -1", "key = 'bob'", "kind = 'x'"] {
            let copy = folder.path + "/copy.sqlite"
            try? FileManager.default.removeItem(atPath: copy)
            try FileManager.default.copyItem(atPath: folder.catalog, toPath: copy)
            let queue = try DatabaseQueue(path: copy)
            try await queue.writeWithoutTransaction { try $0.execute(sql: "UPDATE record SET \(damage)") }
            try queue.close()
            await expectRefusal(.invalid, copy)
        }
    }

    @Test func logWithoutItsCatalogIsRefused() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Data([1]).write(to: URL(fileURLWithPath: folder.catalog + "-wal"))
        await expectRefusal(.foreign, folder.catalog)
        #expect(try folder.contents().count == 1)
    }

    @Test func folderInPlaceOfFileIsRefused() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        await expectRefusal(.foreign, folder.path)
    }

    @Test func missingFolderIsUnavailableAndNotMade() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        await expectRefusal(.unavailable, folder.path + "/none/catalog.sqlite")
        #expect(try folder.contents().isEmpty)
    }

    @Test func missingFileIsNotMadeUnlessAsked() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        await expectRefusal(.unavailable, folder.catalog, createIfMissing: false)
        #expect(try folder.contents().isEmpty)
    }
}
