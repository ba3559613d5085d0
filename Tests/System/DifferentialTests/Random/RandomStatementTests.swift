import ClusterTestKit
import Foundation
import NIOPosix
import PGChannel
import PGWire
import ShardModel
import TestKit
import Testing

/// Statements made at random: each gives what one PostgreSQL gives, or is refused; and neither leaves other rows behind.
///
/// About ten seconds; `PGMOSAIC_FUZZ_SECONDS` runs it longer, `PGMOSAIC_SEED` runs one seed again.
@Suite struct RandomStatementTests {
    static let statementsOfRound = 120

    @Test func aRandomStatementGivesTheSameAnswerOrIsRefused() async throws {
        let environment = ProcessInfo.processInfo.environment
        let seconds = environment["PGMOSAIC_FUZZ_SECONDS"].flatMap { Double($0) } ?? 10
        let given = environment["PGMOSAIC_SEED"].flatMap { UInt64($0) }
        let first = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
        try await TestCluster.with(.init(shards: 4, tables: RandomSchema.placements)) { cluster in
            let arena = try await RandomArena.make(cluster)
            var seed = first
            let end = ContinuousClock.now + .seconds(seconds)
            var total = RandomArena.Round()
            repeat {
                let round = try await arena.round(seed: seed, statements: Self.statementsOfRound)
                total.add(round)
                if let failure = round.failure {
                    Issue.record("\(failure)\nreplay: PGMOSAIC_SEED=\(seed) swift test --filter aRandomStatementGivesTheSameAnswerOrIsRefused")
                    if given != nil || seconds <= 60 { break }
                }
                seed &+= 1
            } while given == nil && ContinuousClock.now < end
            await arena.close()
            print("random statements: \(total); last seed \(seed)")
            #expect(given != nil || total.telling > total.refused / 4, "most statements are refused: the generator has drifted from what is routed")
        }
    }
}
