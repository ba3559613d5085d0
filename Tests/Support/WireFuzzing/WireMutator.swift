internal import Foundation
package import NIOCore

/// Spoils messages in the ways that break parsers, by a seed: the same seed gives the same inputs.
package struct WireMutator {
    private var random: SplitMix64
    private let seeds: [[UInt8]]

    package init(seed: UInt64, seeds: [ByteBuffer]) {
        random = SplitMix64(state: seed)
        self.seeds = seeds.map { Array($0.readableBytesView) }
    }

    /// A new seed for a run, or the one in the environment's PGMOSAIC_FUZZ_SEED, to repeat one.
    package static func seed() -> UInt64 {
        ProcessInfo.processInfo.environment["PGMOSAIC_FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
    }

    /// The next input: one to three messages, spoiled up to eight times.
    package mutating func next() -> ByteBuffer {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) { bytes += seeds.randomElement(using: &random) ?? [] }
        if Bool.random(using: &random) { bytes.removeFirst(min(5, bytes.count)) }
        for _ in 0..<Int.random(in: 0...8, using: &random) { spoil(&bytes) }
        return ByteBuffer(bytes: bytes)
    }

    /// `input`, spoiled in one to four ways.
    package mutating func spoiled(_ input: ByteBuffer) -> ByteBuffer {
        var bytes = Array(input.readableBytesView)
        for _ in 0..<Int.random(in: 1...4, using: &random) { spoil(&bytes) }
        return ByteBuffer(bytes: bytes)
    }

    /// One of the messages as it is.
    package mutating func seed() -> ByteBuffer { ByteBuffer(bytes: seeds.randomElement(using: &random) ?? []) }

    private static let hostileLengths: [Int32] = [0, 1, 3, 4, 5, -1, -2, .min, .max, .max - 4, 0x7FFF, 0x10000]

    private mutating func spoil(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
        case 2: bytes[place] = 0
        case 3: bytes.removeSubrange(place...)
        case 4: bytes.remove(at: place)
        case 5: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: place)
        case 6:
            let length = UInt32(bitPattern: Self.hostileLengths.randomElement(using: &random) ?? 0)
            for offset in 0..<4 where place + offset < bytes.count {
                bytes[place + offset] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * offset))
            }
        default:
            let end = min(bytes.count, place + Int.random(in: 1...16, using: &random))
            bytes.insert(contentsOf: bytes[place..<end], at: place)
        }
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
package struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    package init(state: UInt64) { self.state = state }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
