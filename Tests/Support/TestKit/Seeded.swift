internal import Foundation

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same numbers everywhere for one seed.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    package mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) } }
}

/// Checks a property on random input. The seed is a new one each time, or `PGMOSAIC_SEED`; it is printed with the command that repeats the run.
package func withSeed(_ test: String = #function, _ property: (inout SeededGenerator) throws -> Void) rethrows {
    let given = ProcessInfo.processInfo.environment["PGMOSAIC_SEED"].flatMap { UInt64($0) }
    var generator = SeededGenerator(seed: given ?? UInt64.random(in: 0...UInt64(UInt32.max)))
    print("replay: PGMOSAIC_SEED=\(generator.seed) swift test --filter '\(test.prefix { $0 != "(" })'")
    try property(&generator)
}
