internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// LIMIT and OFFSET of one run of a statement, as the router itself can apply them.
struct RowBounds {
    /// nil: all rows.
    var limit: Int64?
    var offset: Int64 = 0

    /// nil: they are for PostgreSQL to read: it knows more forms of a number, and refuses a negative one.
    init?(_ combination: GatherCombination, _ origin: GatherOrigin) {
        for (bound, isLimit) in [(combination.limit, true), (combination.offset, false)] {
            let rows: Int64?
            switch bound {
            case nil: continue
            case .rows(let count): rows = count
            case .parameter(let number):
                guard case .execution(let statement, let bind) = origin, number <= bind.parameterCount else { return nil }
                guard let value = bind.parameter(at: number - 1) else { continue }
                let type = number <= statement.parameterTypes.count ? statement.parameterTypes[number - 1] : 0
                rows = Self.rows(value, bind.format(ofParameter: number - 1), type)
            }
            guard let rows, rows >= 0 else { return nil }
            if isLimit { limit = rows } else { offset = rows }
        }
    }

    private static func rows(_ value: ByteBuffer, _ format: WireFormat, _ type: UInt32) -> Int64? {
        guard format == .binary else {
            let digits = String(buffer: value)
            guard (1...18).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return Int64(digits)
        }
        // One that is not declared is the bigint of LIMIT.
        return switch (type, value.readableBytes) {
        case (0, 8), (20, 8): value.getInteger(at: value.readerIndex)
        case (23, 4): value.getInteger(at: value.readerIndex, as: Int32.self).map { Int64($0) }
        default: nil
        }
    }
}
