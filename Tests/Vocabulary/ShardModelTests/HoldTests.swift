import Foundation
import ShardModel
import Testing

@Suite struct TokenRangesTests {
    @Test func aTokenIsFoundInItsRangeAndNowhereElse() {
        for ranges in [[], [0...0], [5...9], [0...3, 4...4, 7...8, 10...12], [2...2, 15...15]] as [[ClosedRange<UInt64>]] {
            let searched = TokenRanges(ranges.map { TokenRange($0) })
            for value in UInt64(0)...16 {
                #expect(searched.position(of: Token(value)) == ranges.firstIndex { $0.contains(value) }, "\(value) in \(ranges)")
                #expect(searched.contains(Token(value)) == ranges.contains { $0.contains(value) })
                #expect(searched.firstPosition(endingFrom: value) == ranges.firstIndex { $0.upperBound >= value } ?? ranges.count)
            }
        }
        #expect(TokenRanges([.whole]).contains(Token(.max)) && TokenRanges([.whole]).position(of: Token(0)) == 0)
    }
}

@Suite struct HoldTests {
    /// Shards a and b with two vnodes each in turn, and a job that moves vnodes of a.
    private static func sample() throws -> CatalogSnapshot {
        let quarter = UInt64.max / 4 + 1
        let vnodes = (0..<4).map { VNode(id: UInt32($0), range: TokenRange(UInt64($0) * quarter...UInt64($0) * quarter + (quarter - 1))) }
        func shard(_ id: String, _ vnodes: [VNode]) -> CatalogChange.Operation {
            .putShard(ShardRecord(id: ShardID(id), name: id, database: "app", primaryEndpoint: "postgres://a@b/c", vnodes: vnodes))
        }
        return try CatalogSnapshot(clusterID: "c").applying(
            CatalogChange(
                [
                    .putDatabase(DatabaseRecord(name: "app", homeShard: ShardID("a"))), .putDatabase(DatabaseRecord(name: "other")),
                    shard("a", [vnodes[0], vnodes[2]]), shard("b", [vnodes[1], vnodes[3]]), .putJob(job("j")),
                ], author: "test"))
    }

    private static func job(_ id: String, in database: String = "app", shards: [String] = ["a", "b"], isOver: Bool = false) -> ReshardJobRecord {
        ReshardJobRecord(id: id, database: database, shards: shards.map { ShardID($0) }, isOver: isOver, body: "")
    }

    private static func hold(
        _ ranges: [ClosedRange<UInt64>], job: String = "j", in database: String = "app", owners: [String] = ["a"]
    ) -> CatalogChange.Operation {
        .putHold(
            HoldRecord(
                job: job, database: database, ranges: ranges.map { TokenRange($0) }, owners: owners.map { ShardID($0) }, attempt: 1, epoch: Epoch(2)))
    }

    private static func refusal(_ operations: CatalogChange.Operation..., of snapshot: CatalogSnapshot) -> CatalogChangeError? {
        do throws(CatalogChangeError) {
            _ = try snapshot.applying(CatalogChange(operations, author: "test"))
            return nil
        } catch {
            return error
        }
    }

    @Test func aHoldIsOfTokensThatItsOwnersOwn() throws {
        let catalog = try Self.sample()
        let (quarter, half) = (UInt64.max / 4 + 1, UInt64.max / 2 + 1)
        let right: [CatalogChange.Operation] = [
            Self.hold([0...0]), Self.hold([0...quarter - 1]), Self.hold([5...6, 8...9, half...half + quarter - 1]),
            Self.hold([0...UInt64.max], owners: ["a", "b"]), Self.hold([7...half + 1], owners: ["a", "b"]),
        ]
        for hold in right { #expect(Self.refusal(hold, of: catalog) == nil, "\(hold)") }
        let wrong: [CatalogChange.Operation] = [
            Self.hold([]), Self.hold([0...quarter]), Self.hold([quarter...quarter]), Self.hold([quarter - 1...half]), Self.hold([0...UInt64.max]),
            Self.hold([8...9, 5...6]), Self.hold([5...8, 8...9]), Self.hold([0...1], owners: []), Self.hold([0...1], owners: ["none"]),
            Self.hold([0...1], job: "none"), Self.hold([0...1], in: "other"),
        ]
        for hold in wrong { #expect(Self.refusal(hold, of: catalog) != nil, "\(hold)") }
        // Of a job that is over.
        var over = Self.job("j", isOver: true)
        over.version = 1
        #expect(Self.refusal(Self.hold([0...1]), .putJob(over), of: catalog) != nil)
    }

    @Test func twoJobsHoldDifferentTokens() throws {
        let catalog = try Self.sample().applying(CatalogChange([.putJob(Self.job("k")), Self.hold([10...20, 30...40])], author: "test"))
        for range in [10...10 as ClosedRange<UInt64>, 0...10, 40...50, 35...36, 0...100] {
            #expect(Self.refusal(Self.hold([range], job: "k"), of: catalog) != nil, "\(range)")
        }
        #expect(Self.refusal(Self.hold([0...9, 21...29, 41...50], job: "k"), of: catalog) == nil)
    }

    @Test func anUnfinishedJobKeepsItsDatabaseAndShards() throws {
        let catalog = try Self.sample()
        #expect(Self.refusal(.putJob(Self.job("k", in: "none")), of: catalog) != nil)
        #expect(Self.refusal(.putJob(Self.job("k", shards: ["a", "c"])), of: catalog) != nil)
        #expect(Self.refusal(.putJob(Self.job("k", in: "other")), of: catalog) != nil, "shards of another database")
        #expect(Self.refusal(.putJob(Self.job("k", in: "none", shards: ["c"], isOver: true)), of: catalog) == nil, "what is over may outlive them")
        let lone = try catalog.applying(CatalogChange([.putJob(Self.job("k", in: "other", shards: []))], author: "test"))
        #expect(Self.refusal(.deleteDatabase(name: "other", version: 1), of: lone) == .databaseInUse("other", by: "job \"k\""))
        #expect(Self.refusal(.putJob(Self.job("")), of: catalog) != nil)
    }

    @Test func aTopologyKnowsWhatIsHeld() throws {
        let ranges = [10...20, 30...40, 100...UInt64.max / 4] as [ClosedRange<UInt64>]
        let catalog = try Self.sample().applying(CatalogChange([Self.hold(ranges)], author: "test"))
        let topology = try Topology(database: "app", in: catalog)
        #expect(topology.jobs == ["j"] && topology.holds.map(\.job) == ["j"])
        for token in [0, 9, 10, 15, 20, 21, 29, 30, 40, 41, 99, 100, 1_000, .max / 4, .max / 4 + 1, .max] as [UInt64] {
            #expect((topology.hold(of: Token(token)) != nil) == ranges.contains { $0.contains(token) }, "\(token)")
        }
        #expect(try Topology(database: "app", in: Self.sample()).hold(of: Token(10)) == nil)
    }

    @Test func aCopyFromBeforeThereWereJobsIsRead() throws {
        let catalog = try Self.sample()
        var object = try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode(catalog)) as? [String: Any])
        object["jobs"] = nil
        object["holds"] = nil
        let old = try JSONDecoder().decode(CatalogSnapshot.self, from: JSONSerialization.data(withJSONObject: object))
        #expect(old.jobs.isEmpty && old.holds.isEmpty && old.shards == catalog.shards)
        #expect(try JSONDecoder().decode(CatalogSnapshot.self, from: JSONEncoder().encode(catalog)) == catalog)
    }
}
