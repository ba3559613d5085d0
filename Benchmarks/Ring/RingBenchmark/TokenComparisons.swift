import CMurmur3
import ShardModel

/// The token of keys of one length: ours against C.
struct TokenComparisons {
    private static let keys = 1024
    private static let passes = 256
    private let bytes: [UInt8]

    init(_ generator: inout some RandomNumberGenerator) {
        bytes = (0..<(Self.keys * 64)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    var all: [Comparison] {
        [
            comparison("token of a 16-byte key / C -O2", goal: 1.25, length: 16),
            comparison("token of a 7-byte key / C -O2", length: 7),
            comparison("token of a 36-byte key (uuid) / C -O2", length: 36),
        ]
    }

    private func comparison(_ name: String, goal: Double? = nil, length: Int) -> Comparison {
        Comparison(
            name: name, goal: goal, count: Self.keys * Self.passes, baseline: { inC(length) }, subject: { inSwift(length) })
    }

    @inline(never)
    private func inSwift(_ length: Int) -> Int {
        var sum: UInt64 = 0
        let span = bytes.span.bytes
        for _ in 0..<Self.passes {
            for key in 0..<Self.keys { sum &+= Token(hashing: span.extracting((key * length)..<(key * length + length))).value }
        }
        return Int(truncatingIfNeeded: sum)
    }

    @inline(never)
    private func inC(_ length: Int) -> Int {
        bytes.withUnsafeBytes { bytes in
            var sum: UInt64 = 0
            for _ in 0..<Self.passes {
                for key in 0..<Self.keys { sum &+= cmurmur3_h1(bytes.baseAddress! + key * length, length) }
            }
            return Int(truncatingIfNeeded: sum)
        }
    }
}
