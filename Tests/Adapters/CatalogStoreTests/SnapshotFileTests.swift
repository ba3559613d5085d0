@testable import CatalogStore
import Foundation
import ShardModel
import Testing

@Suite struct SnapshotFileTests {
    private struct Folder {
        let path = FileManager.default.temporaryDirectory.path + "/pgmosaic-copy-\(UUID().uuidString)"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }
        func remove() { try? FileManager.default.removeItem(atPath: path) }
        var copy: String { path + "/copy" }
        var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
    }

    private func sample(setting: String = "välue") throws -> CatalogSnapshot {
        let half = UInt64.max / 2
        let shards = [
            ShardRecord(
                id: ShardID("a"), name: "a", database: "app", primaryEndpoint: "postgres://a@b/c", replicas: ["postgres://a@d/c"],
                vnodes: [VNode(id: 7, range: TokenRange(0...half))], createdAt: 1_700_000_000.123456, updatedAt: 0.1, version: 3),
            ShardRecord(
                id: ShardID("b"), name: "b", database: "app", primaryEndpoint: "postgres://a@b/d", vnodes: [VNode(id: .max, range: TokenRange(half + 1 ... .max))],
                version: 1),
            ShardRecord(id: ShardID("c"), name: "c", database: "app", primaryEndpoint: "postgres://a@b/e", version: 1),
        ]
        let table = TableRecord(database: "app", name: QualifiedName(schema: "public", name: "t"), placement: .sharded(key: "k"), version: 1)
        let snapshot = CatalogSnapshot(
            epoch: Epoch(42), clusterID: "cluster", databases: ["app": DatabaseRecord(name: "app", homeShard: ShardID("a"), version: 9)],
            shards: Dictionary(uniqueKeysWithValues: shards.map { ($0.id, $0) }), tables: [.init(database: "app", table: table.name): table],
            users: ["ada": UserRecord(name: "ada", verifier: "v", roles: ["admin"], version: 1)], settings: ["s": setting])
        try snapshot.checkInvariants()
        return snapshot
    }

    /// Stands for a key: a code that differs with it, and with each byte.
    private func seal(_ key: UInt8) -> SnapshotSeal {
        let code = { @Sendable (bytes: Data) in
            let sum = withUnsafeBytes(of: CRC64.checksum(Data([key]) + bytes)) { Data($0) }
            return sum + sum + sum + sum
        }
        return SnapshotSeal(code: code) { $0 == code($1) }
    }

    private func reason(_ path: String, seal: SnapshotSeal? = nil) -> SnapshotFileError.Reason? {
        do throws(SnapshotFileError) {
            _ = try SnapshotFile.load(from: path, seal: seal)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func whatIsSavedIsLoaded() throws {
        let folder = try Folder()
        defer { folder.remove() }
        for snapshot in [CatalogSnapshot(clusterID: "empty"), try sample()] {
            try SnapshotFile.save(snapshot, to: folder.copy)
            #expect(try SnapshotFile.load(from: folder.copy) == snapshot)
        }
        #expect(try folder.names == ["copy"])
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.copy)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    }

    @Test func everyTruncationIsRefused() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try SnapshotFile.save(try sample(), to: folder.copy)
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder.copy))
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: folder.copy))
            let reason = reason(folder.copy)
            #expect(length == 0 ? reason == .notACopy : reason == .truncated, "\(length) bytes: \(String(describing: reason))")
        }
    }

    @Test func everyFlippedByteIsRefused() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try SnapshotFile.save(try sample(), to: folder.copy)
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder.copy))
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 1 << UInt8(index % 8)
            try damaged.write(to: URL(fileURLWithPath: folder.copy))
            #expect(reason(folder.copy) != nil, "byte \(index)")
        }
        try (whole + Data([0])).write(to: URL(fileURLWithPath: folder.copy))
        #expect(reason(folder.copy) == .damaged)
    }

    /// A checksum is found by anybody: with a key only what its holders wrote is served.
    @Test func aCopyThatSomebodyWithoutTheKeyHasWrittenIsRefused() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try SnapshotFile.save(try sample(), to: folder.copy, seal: seal(1))
        #expect(try SnapshotFile.load(from: folder.copy, seal: seal(1)) == sample())
        #expect(reason(folder.copy, seal: seal(2)) == .sealedElsewhere)
        // Where nobody has a key nobody asks.
        #expect(try SnapshotFile.load(from: folder.copy) == sample())
        // Another catalog with a right checksum: without a seal, and with the one of the copy that was there.
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder.copy))
        try SnapshotFile.save(try sample(setting: "other"), to: folder.copy)
        #expect(reason(folder.copy, seal: seal(1)) == .unsealed)
        try SnapshotFile.save(try sample(setting: "other"), to: folder.copy, seal: seal(2))
        let other = try Data(contentsOf: URL(fileURLWithPath: folder.copy))
        try (other.dropLast(SnapshotSeal.length) + whole.suffix(SnapshotSeal.length)).write(to: URL(fileURLWithPath: folder.copy))
        #expect(reason(folder.copy, seal: seal(1)) == .sealedElsewhere)
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: folder.copy))
            #expect(reason(folder.copy, seal: seal(1)) != nil && reason(folder.copy) != nil, "\(length) bytes")
        }
    }

    @Test func otherFilesAreToldApart() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try Data("something else entirely".utf8).write(to: URL(fileURLWithPath: folder.copy))
        #expect(reason(folder.copy) == .notACopy)
        try (SnapshotFileFormat.magic + Data([0, 0, 0, 3])).write(to: URL(fileURLWithPath: folder.copy))
        #expect(reason(folder.copy) == .format(3))
        guard case .system = reason(folder.path + "/none") else { return #expect(Bool(false), "a missing file") }
        guard case .system = reason(folder.path) else { return #expect(Bool(false), "a folder") }
    }

    /// The checksum is right, but the contents are not a catalog that could be served.
    @Test func brokenRingIsRefused() throws {
        let folder = try Folder()
        defer { folder.remove() }
        var snapshot = try sample()
        snapshot.shards[ShardID("a")]?.vnodes = []
        try SnapshotFile.save(snapshot, to: folder.copy)
        #expect(reason(folder.copy) == .damaged)
    }

    @Test func tooLargeFileIsNotRead() throws {
        let folder = try Folder()
        defer { folder.remove() }
        #expect(FileManager.default.createFile(atPath: folder.copy, contents: nil))
        truncate(folder.copy, SnapshotFile.sizeMax + 1)
        #expect(reason(folder.copy) == .tooLarge)
    }

    @Test func failedSaveKeepsTheOldCopy() throws {
        let folder = try Folder()
        defer { folder.remove() }
        try SnapshotFile.save(try sample(), to: folder.copy)
        // Something in the way of the draft's move: a folder with something in it.
        let blocked = folder.path + "/blocked"
        try FileManager.default.createDirectory(atPath: blocked + "/x", withIntermediateDirectories: true)
        #expect(throws: SnapshotFileError.self) { try SnapshotFile.save(try sample(), to: blocked) }
        #expect(throws: SnapshotFileError.self) { try SnapshotFile.save(try sample(), to: folder.path + "/none/copy") }
        #expect(try folder.names == ["blocked", "copy"], "no draft is left")
        #expect(try SnapshotFile.load(from: folder.copy) == sample())
    }

    @Test func draftsOfDeadProcessesAreRemoved() throws {
        let folder = try Folder()
        defer { folder.remove() }
        let dead = folder.copy + ".new.\(Int32.max).1"
        let alive = folder.copy + ".new.\(getppid()).1"
        for path in [dead, alive] { try Data([1]).write(to: URL(fileURLWithPath: path)) }
        try SnapshotFile.save(try sample(), to: folder.copy)
        #expect(!FileManager.default.fileExists(atPath: dead))
        #expect(FileManager.default.fileExists(atPath: alive))
    }

    @Test func savesAtOnceLeaveAWholeCopy() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let path = folder.copy
        let samples = try (0..<16).map { try sample(setting: String(repeating: "\($0)", count: 10_000)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for snapshot in samples { group.addTask { try SnapshotFile.save(snapshot, to: path) } }
            try await group.waitForAll()
        }
        #expect(samples.contains(try SnapshotFile.load(from: path)))
        #expect(try folder.names == ["copy"])
    }

    /// The check value of the algorithm's catalogue entry.
    @Test func checksumIsTheKnownOne() {
        #expect(CRC64.checksum(Data("123456789".utf8)) == 0x995D_C9BB_DF19_39FA)
    }

    @Test func vnodeBytesAreReadBackOrRefused() {
        let vnodes = [VNode(id: .max, range: .whole), VNode(id: 0, range: TokenRange(5...5))]
        #expect(VNodeBytes.decode(VNodeBytes.encode(vnodes)) == vnodes)
        #expect(VNodeBytes.decode(Data(count: 19)) == nil)
        #expect(VNodeBytes.decode(Data([0, 0, 0, 1] + [0, 0, 0, 0, 0, 0, 0, 9] + [0, 0, 0, 0, 0, 0, 0, 8])) == nil)
    }
}
