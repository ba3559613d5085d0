package import NIOCore
package import RoutePlanning

/// Tells whose row comes next, where several shards give theirs in one order: k sorted streams made one, cut by LIMIT and OFFSET.
///
/// Of each lane only the first row that has not been passed on is known, by its keys: the caller keeps the rows. Among equals any order is PostgreSQL's, too; here
/// it is that of the lanes. A row costs about 2 log2(lanes) comparisons.
package struct RowMerge {
    package enum Step: Hashable, Sendable {
        /// The lane's first row is the answer's next one; it is to be taken away, and `arrived` or `ended` told of what stands behind it.
        case give(Int)
        /// The same of a row that OFFSET passes over.
        case skip(Int)
        /// For a lane of which it is not known what comes next.
        case wait
        /// There are no more, or none is wanted.
        case over
    }

    private let keys: [GatherMerge.Key]
    /// Whether each key's column comes in the binary form.
    private let isBinary: [Bool]
    private var first: [SortKey]
    /// Lanes whose first row is known, the least at the root; the one that was given last stays there until it is known what stands behind it.
    private var heap: [Int] = []
    private var hasVacantRoot = false
    /// Lanes of which that is not known.
    private var unknown: Int
    private var isUnknown: [Bool]
    private var limit: Int64?
    private var offset: Int64
    /// Where the columns of the row that is read begin, and how long they are.
    private var fields: [(start: Int, length: Int)]

    /// - limit: nil: all rows.
    package init(lanes: Int, keys: [GatherMerge.Key], isBinary: [Bool], limit: Int64? = nil, offset: Int64 = 0) {
        (self.keys, self.isBinary, self.limit, self.offset) = (keys, isBinary, limit, offset)
        first = Array(repeating: SortKey(), count: lanes)
        unknown = lanes
        isUnknown = Array(repeating: true, count: lanes)
        fields = Array(repeating: (0, 0), count: (keys.map(\.place).max() ?? -1) + 1)
    }

    /// Whether it must hear of the lane's next row, or end, before it goes on.
    package func waits(for lane: Int) -> Bool { isUnknown[lane] }

    // MARK: What is known

    /// The lane's first row. Answers false for a row that has not the columns that it should.
    package mutating func arrived(_ lane: Int, row body: ByteBuffer) -> Bool {
        guard isUnknown[lane], read(body.readableBytesSpan, of: lane) else { return false }
        isUnknown[lane] = false
        unknown -= 1
        if hasVacantRoot, heap[0] == lane {
            hasVacantRoot = false
            siftDown()
        } else {
            heap.append(lane)
            siftUp()
        }
        return true
    }

    /// The lane has no more rows.
    package mutating func ended(_ lane: Int) {
        guard isUnknown[lane] else { return }
        isUnknown[lane] = false
        unknown -= 1
        guard hasVacantRoot, heap[0] == lane else { return }
        hasVacantRoot = false
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        siftDown()
    }

    // MARK: What comes next

    package mutating func next() -> Step {
        if limit == 0 { return .over }
        guard unknown == 0 else { return .wait }
        guard let lane = heap.first else { return .over }
        (hasVacantRoot, isUnknown[lane], unknown) = (true, true, 1)
        guard offset == 0 else {
            offset -= 1
            return .skip(lane)
        }
        if let limit { self.limit = limit - 1 }
        return .give(lane)
    }

    // MARK: Keys

    /// Of a DataRow's body.
    private mutating func read(_ row: RawSpan, of lane: Int) -> Bool {
        first[lane].clear()
        guard row.byteCount >= 2, row.length16(at: 0) >= fields.count else { return false }
        var place = 2
        for column in fields.indices {
            guard place + 4 <= row.byteCount else { return false }
            let length = row.length32(at: place)
            place += 4
            fields[column] = (place, length)
            if length > 0 { place += length }
            guard length >= -1, place <= row.byteCount else { return false }
        }
        for (number, key) in keys.enumerated() {
            let (start, length) = fields[key.place]
            guard first[lane].append(length < 0 ? nil : row.extracting(start..<(start + length)), key, isBinary: isBinary[number]) else { return false }
        }
        return true
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        let (one, other) = (first[a].bytes, first[b].bytes)
        let count = min(one.count, other.count)
        for index in 0..<count where one[index] != other[index] { return one[index] < other[index] }
        return one.count == other.count ? a < b : one.count < other.count
    }

    // MARK: The heap

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0, isBefore(heap[child], heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(heap[child], heap[least]) { least = child }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

extension RawSpan {
    fileprivate func length16(at place: Int) -> Int { Int(UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: place, as: UInt16.self))) }
    fileprivate func length32(at place: Int) -> Int { Int(Int32(bigEndian: unsafeLoadUnaligned(fromByteOffset: place, as: Int32.self))) }
}
