import Foundation

/// The seeds of a random test's rounds: one, or as many as `PGMOSAIC_FUZZ_SECONDS` have time for; with `PGMOSAIC_SEED` that one. Each is printed with the command that repeats its round.
struct RandomRounds: Sequence, IteratorProtocol {
    private let test: String
    private var seed: UInt64
    private let isGiven: Bool
    private let end: ContinuousClock.Instant
    private var count = 0

    init(_ test: String = #function) {
        let environment = ProcessInfo.processInfo.environment
        let given = environment["PGMOSAIC_SEED"].flatMap { UInt64($0) }
        self.test = String(test.prefix { $0 != "(" })
        seed = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
        isGiven = given != nil
        end = .now + .seconds(environment["PGMOSAIC_FUZZ_SECONDS"].flatMap { Double($0) } ?? 0)
    }

    mutating func next() -> UInt64? {
        guard count == 0 || !isGiven && .now < end else { return nil }
        if count > 0 { seed &+= 1 }
        count += 1
        print("replay: PGMOSAIC_SEED=\(seed) swift test --filter '\(test)'")
        return seed
    }
}
