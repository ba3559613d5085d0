import CatalogStore
import Foundation
import ShardModel
import Testing

@testable import CatalogSQLite

/// When the file system alone tells that there is nothing new.
@Suite struct CommitTracesTests {
    private func change(_ number: Int) -> CatalogChange { CatalogChange([.setSetting(name: "n", value: "\(number)")], author: "test") }

    @Test func everyCommitShowsHoweverSoonItFollowsAQuestion() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        var traces = CommitTraces(folder.catalog)
        var epoch = Epoch.zero
        var stillness = 0
        for number in 0..<300 {
            // Now and then long enough for the file to count as still.
            if number % 20 == 0 { try await Task.sleep(for: .milliseconds(150)) }
            _ = traces.mayHaveChanged()
            if !traces.mayHaveChanged() { stillness += 1 }
            epoch = try await store.commit(change(number), expecting: epoch).epoch
            let shows = traces.mayHaveChanged()
            #expect(shows, "commit \(number)")
        }
        #expect(stillness > 0)
        await store.close()
    }

    @Test func aStillFileIsLookedAtNowAndThen() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        try await Task.sleep(for: .milliseconds(150))
        var traces = CommitTraces(folder.catalog)
        let looks = (0..<410).count { _ in traces.mayHaveChanged() }
        #expect(looks == 10)
        await store.close()
        try FileManager.default.removeItem(atPath: folder.catalog)
        for _ in 0..<2 {
            let isMissed = traces.mayHaveChanged()
            #expect(isMissed)
        }
    }
}
