import CatalogSQLite
import CatalogStore
import Foundation
import ShardModel
import Testing

/// Disks that are full, files and folders that may not be written.
@Suite(.serialized) struct DiskTests {
    @Test func fullDiskLosesNothing() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        guard let disk = SmallDisk(at: folder.path, megabytes: 1) else {
            // Without the right to mount, a limit on the file's size is what can be had: the write fails in the same place.
            return try await limitedFileLosesNothing()
        }
        var store = try await SQLiteCatalogStore(path: folder.catalog)
        let (reached, error) = await fill(store, from: 0)
        #expect(reached > 5)
        guard case .unavailable(let reason) = error else { return #expect(error == nil, "a full disk is not told apart") }
        #expect(reason.contains("full"))
        try await expect(store, at: reached)
        await store.close()

        // Opening may work or not while the disk is full; afterwards everything is as it was.
        if let opened = try? await SQLiteCatalogStore(path: folder.catalog) {
            try await expect(opened, at: reached)
            await opened.close()
        }
        #expect(disk.grow(toMegabytes: 16))
        store = try await SQLiteCatalogStore(path: folder.catalog)
        try await expect(store, at: reached)
        _ = try await store.commit(padding(reached + 1), expecting: Epoch(reached))
        try await expect(store, at: reached + 1)
        await store.close()
        disk.remove()
    }

    @Test func storeGoesOnWhenThereIsRoomAgain() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        guard let disk = SmallDisk(at: folder.path, megabytes: 1) else { return try await limitedFileLosesNothing() }
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let (reached, _) = await fill(store, from: 0)
        #expect(disk.grow(toMegabytes: 16))
        _ = try await store.commit(padding(reached + 1), expecting: Epoch(reached))
        try await expect(store, at: reached + 1)
        await store.close()
        disk.remove()
    }

    @Test func limitedFileLosesNothing() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let said = try Crasher("limited", folder.catalog, "300000").finish()
        let epochs = Crasher.epochs(said)
        #expect(epochs.count > 5)
        #expect(said.last?.hasPrefix("error outcome unknown") == true || said.last?.hasPrefix("error unavailable") == true, "\(said.last ?? "")")
        let store = try await SQLiteCatalogStore(path: folder.catalog)
        let now = try await store.load().epoch.number
        #expect(now == epochs.last || now == (epochs.last ?? 0) + 1)
        try await expect(store, at: now)
        await store.close()
    }

    /// Each changes a folder with a catalog in it, which then may not be written.
    @Test(arguments: ["read-only file", "read-only folder", "unreadable file", "read-only folder without a file"])
    func forbiddenFileIsUnavailableAndUntouched(_ situation: String) async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        if situation.hasSuffix("without a file") {
            try setMode(0o555, folder.path)
        } else {
            let store = try await SQLiteCatalogStore(path: folder.catalog)
            _ = try await store.commit(padding(1), expecting: .zero)
            await store.close()
            try setMode(situation == "read-only folder" ? 0o666 : situation == "read-only file" ? 0o444 : 0o000, folder.catalog)
            try setMode(situation == "read-only folder" ? 0o555 : 0o777, folder.path)
        }
        let before = try folder.contents()
        let said = try Crasher("humble", folder.catalog, "1").finish()
        #expect(said.count == 1 && said[0].hasPrefix("error unavailable: "), "\(said)")
        let after = try folder.contents()
        #expect(after.filter { !$0.key.hasSuffix("-shm") && !($0.key.hasSuffix("-wal") && $0.value.isEmpty) } == before)
        try setMode(0o700, folder.path)
    }

    // MARK: parts

    /// Commits until the first error.
    private func fill(_ store: SQLiteCatalogStore, from first: UInt64) async -> (UInt64, CatalogError?) {
        for number in first..<10_000 {
            do throws(CatalogError) {
                _ = try await store.commit(padding(number + 1), expecting: Epoch(number))
            } catch {
                return (number, error)
            }
        }
        return (10_000, nil)
    }

    private func padding(_ number: UInt64) -> CatalogChange {
        CatalogChange(
            [.setSetting(name: "n", value: String(number)), .setSetting(name: "padding \(number % 9)", value: String(repeating: "x", count: 20_000))],
            author: "test")
    }

    private func expect(_ store: SQLiteCatalogStore, at epoch: UInt64) async throws {
        let now = try await store.load()
        #expect(now.epoch.number == epoch)
        #expect(now.settings["n"] == String(epoch))
        #expect(try await store.history(limit: .max).map(\.epoch.number) == Array((1...epoch).reversed()))
    }

    private func setMode(_ mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
}

/// A file system in memory of a few megabytes, mounted for a test.
struct SmallDisk {
    private let path: String

    /// nil when this account may not mount.
    init?(at path: String, megabytes: Int) {
        guard geteuid() == 0, mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else { return nil }
        self.path = path
    }

    func grow(toMegabytes size: Int) -> Bool { mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(size)m") == 0 }
    func remove() { umount2(path, Int32(MNT_DETACH)) }
}
