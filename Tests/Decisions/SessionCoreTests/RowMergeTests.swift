import Foundation
import NIOCore
import RoutePlanning
import SessionCore
import Testing

/// Rows of several lanes in one order.
@Suite struct RowMergeTests {
    private static let int = [GatherMerge.Key(place: 0, type: .int4)]

    /// Merges lanes that are sorted already. What is not known is told one row at a time.
    private static func merged(_ lanes: [[[String?]]], _ keys: [GatherMerge.Key], limit: Int64? = nil, offset: Int64 = 0) -> [[String?]] {
        var merge = RowMerge(lanes: lanes.count, keys: keys, isBinary: keys.map { _ in false }, limit: limit, offset: offset)
        var places = lanes.map { _ in 0 }, rows: [[String?]] = []
        let tell = { (merge: inout RowMerge, lane: Int, place: Int) -> Void in
            guard place < lanes[lane].count else { return merge.ended(lane) }
            let isRead = merge.arrived(lane, row: row(lanes[lane][place]))
            #expect(isRead)
        }
        for lane in lanes.indices.reversed() {
            #expect(merge.waits(for: lane))
            let step = merge.next()
            #expect(step == (limit == 0 ? .over : .wait))
            tell(&merge, lane, 0)
        }
        while true {
            switch merge.next() {
            case .give(let lane):
                rows.append(lanes[lane][places[lane]])
                places[lane] += 1
                #expect(merge.waits(for: lane))
                tell(&merge, lane, places[lane])
            case .skip(let lane):
                places[lane] += 1
                tell(&merge, lane, places[lane])
            case .wait:
                Issue.record("nothing is unknown")
                return rows
            case .over:
                let again = merge.next()
                #expect(again == .over)
                return rows
            }
        }
    }

    static func row(_ values: [String?]) -> ByteBuffer { row(values.map { $0.map { Array($0.utf8) } }) }

    static func row(_ values: [[UInt8]?]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt16(values.count))
        for value in values {
            buffer.writeInteger(Int32(value?.count ?? -1))
            if let value { buffer.writeBytes(value) }
        }
        return buffer
    }

    @Test func rowsOfSeveralLanesComeInTheirOrder() {
        let lanes: [[[String?]]] = [[["1"], ["4"], ["7"]], [], [["-2"], ["4"], [nil]], [["10"]]]
        #expect(Self.merged(lanes, Self.int).map { $0[0] } == ["-2", "1", "4", "4", "7", "10", nil])
        #expect(Self.merged([], Self.int).isEmpty && Self.merged([[], []], Self.int).isEmpty)
    }

    @Test func limitAndOffsetCutThem() {
        let lanes: [[[String?]]] = [[["1"], ["3"], ["5"]], [["2"], ["4"], ["6"]]]
        for (limit, offset, expected) in [(2, 0, ["1", "2"]), (2, 3, ["4", "5"]), (0, 0, []), (9, 5, ["6"]), (1, 6, [])] as [(Int64, Int64, [String?])] {
            #expect(Self.merged(lanes, Self.int, limit: limit, offset: offset).map { $0[0] } == expected)
        }
        #expect(Self.merged(lanes, Self.int, offset: 4).map { $0[0] } == ["5", "6"])
    }

    @Test func nothingIsGivenBeforeEveryLaneIsKnown() {
        var merge = RowMerge(lanes: 2, keys: Self.int, isBinary: [false], limit: 1)
        let isRead = merge.arrived(0, row: Self.row(["1"])), before = merge.next()
        #expect(isRead && before == .wait && !merge.waits(for: 0) && merge.waits(for: 1))
        let isReadTwice = merge.arrived(0, row: Self.row(["2"]))
        #expect(!isReadTwice, "a row that was not asked for")
        merge.ended(1)
        let steps = [merge.next(), merge.next()]
        #expect(steps == [.give(0), .over])
    }

    @Test func withoutKeysTheLanesComeOneByOne() {
        let lanes: [[[String?]]] = [[["b"], ["a"]], [["d"], ["c"]]]
        #expect(Self.merged(lanes, [], limit: 3).map { $0[0] } == ["b", "a", "d"])
    }

    @Test func severalKeysCountInTheirOrder() {
        let keys = [GatherMerge.Key(place: 1, type: .text, isDescending: true), GatherMerge.Key(place: 0, type: .int8), GatherMerge.Key(place: 2, type: .bool, nullsFirst: true)]
        var random = SystemRandomNumberGenerator()
        let texts = [nil, "", "a", "aa", "ab", "b", "ä", "\u{1}", "Z"]
        let rows = (0..<400).map { _ in [["-1", "2", nil, "10"].randomElement(using: &random)!, texts.randomElement(using: &random)!, ["t", "f", nil].randomElement(using: &random)!] }
        let sorted = rows.sorted { a, b in
            if a[1] != b[1] {
                guard let one = a[1], let other = b[1] else { return a[1] == nil }
                return Array(other.utf8).lexicographicallyPrecedes(Array(one.utf8))
            }
            if a[0] != b[0] {
                guard let one = a[0], let other = b[0] else { return b[0] == nil }
                return Int(one)! < Int(other)!
            }
            guard a[2] != b[2], let one = a[2], let other = b[2] else { return a[2] == nil && b[2] != nil }
            return one < other
        }
        let lanes = (0..<7).map { lane in sorted.enumerated().filter { ($0.offset * 31 + $0.offset / 5) % 7 == lane }.map(\.element) }
        #expect(Self.merged(lanes, keys) == sorted)
    }

    @Test func whatIsNoRowIsRefused() {
        for bytes in [[], [0], [0, 0], [0, 1], [0, 1, 0, 0, 0, 9, 0x31], [0, 1, 0xff, 0xff, 0xff, 0xf0]] as [[UInt8]] {
            var merge = RowMerge(lanes: 1, keys: Self.int, isBinary: [false])
            let isRead = merge.arrived(0, row: ByteBuffer(bytes: bytes))
            #expect(!isRead, "\(bytes)")
        }
        for (type, text) in [(.int4, "x"), (.int8, ""), (.int8, "9223372036854775808"), (.bool, "true"), (.numeric, "1.2.3"), (.numeric, "-"), (.numeric, "1e5"), (.float8, "1"), (.uuid, "0"), (.timestamp, "2026-01-01")]
            as [(MergedType, String)]
        {
            var merge = RowMerge(lanes: 1, keys: [GatherMerge.Key(place: 0, type: type)], isBinary: [false])
            let isRead = merge.arrived(0, row: Self.row([text]))
            #expect(!isRead, "\(text)")
        }
    }
}
