import CatalogSQLite
import CatalogStore
import Foundation
import ShardModel
import Testing

@Suite(.serialized) struct CrashTests {
    @Test func acknowledgedCommitsSurviveKills() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var reached: UInt64 = 0
        for round in 0..<24 {
            let delay = UInt32.random(in: 0...60_000)
            // In every third round this process has the file open too, so that the kill does not leave it alone.
            let witness = round.isMultiple(of: 3) ? try await SQLiteCatalogStore(path: folder.catalog) : nil
            let crasher = try Crasher("commit", folder.catalog)
            crasher.waitForLine("opened")
            // In every second round something has been acknowledged for certain.
            if round.isMultiple(of: 2) { crasher.waitForLine("\(reached + 1)") }
            usleep(delay)
            crasher.kill9()
            let epochs = Crasher.epochs(crasher.finish())
            #expect(epochs == Array(reached + 1..<reached + 1 + UInt64(epochs.count)), "round \(round)")
            reached += UInt64(epochs.count)
            let afterwards = witness == nil ? try await SQLiteCatalogStore(path: folder.catalog) : nil
            for store in [witness, afterwards].compactMap(\.self) {
                reached = try await check(store, acknowledged: epochs, last: reached, "round \(round), killed after \(delay) µs")
                await store.close()
            }
        }
        #expect(reached >= 12, "the crasher commits between kills")
    }

    /// Nothing acknowledged is missing, nothing is half there. The commit that was under way may have been stored. Returns the epoch.
    private func check(_ store: SQLiteCatalogStore, acknowledged: [UInt64], last: UInt64, _ when: String) async throws -> UInt64 {
        let now = try await store.load()
        #expect(now.epoch.number == last || now.epoch.number == last + 1, "\(when)")
        #expect(now.settings["n"] == (now.epoch == .zero ? nil : String(now.epoch.number)), "\(when)")
        let history = try await store.history(limit: .max)
        #expect(Set(acknowledged.suffix(CatalogHistoryEntry.keptMin)).isSubset(of: history.map(\.epoch.number)), "\(when)")
        return now.epoch.number
    }

    @Test func othersGoOnWhenOneIsKilled() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let survivor = try Crasher("commit", folder.catalog, "150")
        var victims: [String] = []
        for _ in 0..<5 {
            let victim = try Crasher("commit", folder.catalog)
            victim.waitForLine("opened")
            usleep(UInt32.random(in: 0...40_000))
            victim.kill9()
            victims += victim.finish()
        }
        let kept = Crasher.epochs(survivor.finish())
        #expect(kept.count == 150, "the survivor makes all of its commits")
        let acknowledged = kept + Crasher.epochs(victims)
        #expect(Set(acknowledged).count == acknowledged.count, "no epoch is acknowledged to two writers")
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let epochs = Set(try await store.history(limit: .max).map(\.epoch.number))
        #expect(epochs.isSuperset(of: acknowledged.sorted().suffix(CatalogHistoryEntry.keptMin)))
        await store.close()
    }

    @Test func commitsOfAnotherProcessReachTheWatch() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let stream = store.watch(after: .zero)
        let crasher = try Crasher("commit", folder.catalog, "30")
        var last: UInt64 = 0
        for await snapshot in stream {
            #expect(snapshot.epoch.number > last)
            #expect(snapshot.settings["n"] == String(snapshot.epoch.number))
            last = snapshot.epoch.number
            if last == 30 { break }
        }
        #expect(last == 30)
        #expect(Crasher.epochs(crasher.finish()) == Array(1...30))
        await store.close()
    }
}
