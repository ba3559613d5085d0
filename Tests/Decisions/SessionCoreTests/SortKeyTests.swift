import Foundation
import NIOCore
import RoutePlanning
import SessionCore
import Testing

/// Values in the order in which PostgreSQL has them, each less than the next one; those of one line are equal.
@Suite struct SortKeyTests {
    enum Order { case before, equal, behind }

    /// By which of the two comes first, whichever lane it is of.
    private static func order(_ a: [UInt8]?, _ b: [UInt8]?, _ key: GatherMerge.Key, isBinary: Bool) throws -> Order {
        func isFirst(_ lanes: [[UInt8]?]) throws -> Bool {
            var merge = RowMerge(lanes: 2, keys: [key], isBinary: [isBinary])
            for (lane, value) in lanes.enumerated() {
                let isRead = merge.arrived(lane, row: RowMergeTests.row([value]))
                try #require(isRead, "\(lanes)")
            }
            return merge.next() == .give(0)
        }
        let (one, other) = (try isFirst([a, b]), try isFirst([b, a]))
        // Equal ones come in the order of their lanes.
        return one && other ? .equal : one ? .before : .behind
    }

    private static func expectOrder(_ lines: [[[UInt8]?]], _ type: MergedType, isBinary: Bool) throws {
        for (number, line) in lines.enumerated() {
            for (next, other) in lines.enumerated() {
                for a in line {
                    for b in other {
                        let expected = number == next ? Order.equal : number < next ? .before : .behind
                        #expect(try order(a, b, GatherMerge.Key(place: 0, type: type), isBinary: isBinary) == expected, "\(type): \(String(describing: a)), \(String(describing: b))")
                        let turned = number == next ? Order.equal : number < next ? .behind : .before
                        #expect(try order(a, b, GatherMerge.Key(place: 0, type: type, isDescending: true), isBinary: isBinary) == turned, "\(type) DESC: \(String(describing: a)), \(String(describing: b))")
                    }
                }
            }
        }
    }

    private static func big<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

    @Test func integers() throws {
        try Self.expectOrder([Int16.min, -256, -1, 0, 1, 255, 256, .max].map { [Self.big($0)] } + [[nil]], .int2, isBinary: true)
        for type in [MergedType.int4, .date] { try Self.expectOrder([Int32.min, -70000, -1, 0, 1, 65536, .max].map { [Self.big($0)] } + [[nil]], type, isBinary: true) }
        for type in [MergedType.int8, .time, .timestamp, .timestamptz] { try Self.expectOrder([Int64.min, -1 << 40, -1, 0, 1, 1 << 40, .max].map { [Self.big($0)] } + [[nil]], type, isBinary: true) }
        try Self.expectOrder([UInt32.min, 1, 1 << 31, .max].map { [Self.big($0)] }, .oid, isBinary: true)
        let texts = ["-9223372036854775808", "-10", "-9", "-1", "0", "1", "9", "10", "9223372036854775807"]
        try Self.expectOrder(texts.map { [Array($0.utf8)] } + [[nil]], .int8, isBinary: false)
        try Self.expectOrder(["0", "9", "10", "4294967295"].map { [Array($0.utf8)] }, .oid, isBinary: false)
    }

    @Test func floatingPointNumbers() throws {
        let doubles: [[Double]] = [[-.infinity], [-1e300], [-1.5], [-1], [-.leastNonzeroMagnitude], [0, -0.0], [.leastNonzeroMagnitude], [1], [1.5], [1e300], [.infinity], [.nan, -.nan, .signalingNaN]]
        try Self.expectOrder(doubles.map { $0.map { Self.big($0.bitPattern) } } + [[nil]], .float8, isBinary: true)
        let floats: [[Float]] = [[-.infinity], [-1e30], [-1], [-.leastNonzeroMagnitude], [0, -0.0], [.leastNonzeroMagnitude], [0.1], [0.2], [.infinity], [.nan, -.nan]]
        try Self.expectOrder(floats.map { $0.map { Self.big($0.bitPattern) } } + [[nil]], .float4, isBinary: true)
    }

    /// Digits of base 10,000.
    private static func numeric(_ digits: [Int16], weight: Int16 = 0, sign: UInt16 = 0, scale: Int16 = 0) -> [UInt8] {
        big(Int16(digits.count)) + big(weight) + big(sign) + big(scale) + digits.flatMap { big($0) }
    }

    @Test func numericValues() throws {
        let numeric = { (digits: [Int16], weight: Int16, sign: UInt16, scale: Int16) in Self.numeric(digits, weight: weight, sign: sign, scale: scale) }
        try Self.expectOrder(
            [
                [numeric([], 0, 0xf000, 0)], [numeric([1, 1], 1, 0x4000, 0)], [numeric([1], 1, 0x4000, 0), numeric([1, 0], 1, 0x4000, 2), numeric([0, 1], 2, 0x4000, 0)], [numeric([9999], 0, 0x4000, 0)],
                [numeric([1, 5000], 0, 0x4000, 1)], [numeric([1], 0, 0x4000, 0)], [numeric([1], -3, 0x4000, 12)], [numeric([], 0, 0, 0), numeric([], 0, 0, 4), numeric([0], 0, 0, 0)], [numeric([1], -3, 0, 12)],
                [numeric([5000], -1, 0, 1)], [numeric([1], 0, 0, 0), numeric([1], 0, 0, 3), numeric([1, 0, 0], 0, 0, 8)], [numeric([1, 1], 0, 0, 4)], [numeric([1, 5000], 0, 0, 1)], [numeric([9999], 0, 0, 0)], [numeric([1], 1, 0, 0)],
                [numeric([2], 30, 0, 0)], [numeric([], 0, 0xd000, 0)], [numeric([], 0, 0xc000, 0)], [nil],
            ], .numeric, isBinary: true)
        let texts = [
            ["-Infinity"], ["-10000000000000000000000"], ["-10.01"], ["-10", "-10.0", "-10.000"], ["-9.99"], ["-1"], ["-0.5"], ["-0.05"], ["-0.0001"], ["0", "0.00"], ["0.0001"], ["0.05", "0.0500"], ["0.5"], ["0.55"], ["1", "1.000"],
            ["1.05"], ["1.5"], ["9.99"], ["10", "10.0"], ["10.01"], ["99"], ["100"], ["1000000000000000000000000000"], ["Infinity"], ["NaN"],
        ]
        try Self.expectOrder(texts.map { $0.map { Array($0.utf8) } } + [[nil]], .numeric, isBinary: false)
    }

    @Test func bytesAndTexts() throws {
        let texts = ["", "\u{1}", " ", "A", "Z", "a", "a\u{1}", "ab", "b", "ä", "\u{ffff}", "\u{10000}"].map { Array($0.utf8) }
        for (type, isBinary) in [(.text, true), (.text, false), (.varchar, true), (.varchar, false)] as [(MergedType, Bool)] { try Self.expectOrder(texts.map { [$0] } + [[nil]], type, isBinary: isBinary) }
        let bytes: [[UInt8]] = [[], [0], [0, 0], [0, 1], [0, 0xff], [1], [1, 0], [1, 0, 5], [1, 1], [0xff], [0xff, 0], [0xff, 0xff]]
        try Self.expectOrder(bytes.map { [$0] } + [[nil]], .bytea, isBinary: true)
        let uuids = ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-0000000000a0", "0a000000-0000-0000-0000-000000000000", "a0000000-0000-0000-0000-000000000000"]
        try Self.expectOrder(uuids.map { [Array($0.utf8)] } + [[nil]], .uuid, isBinary: false)
        try Self.expectOrder([[Array(repeating: 0, count: 16)], [Array(repeating: 1, count: 16)], [Array(repeating: 0x80, count: 16)]], .uuid, isBinary: true)
        try Self.expectOrder([[[0]], [[1]], [nil]], .bool, isBinary: true)
        try Self.expectOrder([[Array("f".utf8)], [Array("t".utf8)], [nil]], .bool, isBinary: false)
    }

    @Test func nullsComeWhereTheyAreAskedFor() throws {
        for isDescending in [false, true] {
            let first = GatherMerge.Key(place: 0, type: .int2, isDescending: isDescending, nullsFirst: true)
            let last = GatherMerge.Key(place: 0, type: .int2, isDescending: isDescending, nullsFirst: false)
            #expect(try Self.order(nil, Self.big(Int16.min), first, isBinary: true) == .before && Self.order(nil, Self.big(Int16.max), first, isBinary: true) == .before)
            #expect(try Self.order(nil, Self.big(Int16.min), last, isBinary: true) == .behind && Self.order(nil, Self.big(Int16.max), last, isBinary: true) == .behind)
            #expect(try Self.order(nil, nil, last, isBinary: true) == .equal)
        }
    }
}
