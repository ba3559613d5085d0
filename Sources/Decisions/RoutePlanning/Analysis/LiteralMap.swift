internal import CPGQuery
internal import PGTypes
internal import SQLSyntax

/// Finds the literal of the text behind a constant of the tree.
struct LiteralMap {
    private let ranges: LiteralRanges?
    let text: ArraySlice<UInt8>

    init(ranges: LiteralRanges?, text: ArraySlice<UInt8>) {
        self.ranges = ranges
        self.text = text
    }

    var isEmpty: Bool { ranges == nil }
    /// There is no string among them, which PostgreSQL might read as anything.
    var hasOnlyNumbers: Bool {
        ranges?.allSatisfy { range in
            switch range.kind {
            case .integer, .longInteger, .decimal: true
            case .string, .quotedString: false
            }
        } ?? false
    }

    /// The key source of a constant with this value that stands at `location`: by its ordinal, so that the plan fits other literals, or by
    /// its value where the scan and the parser do not plainly agree on the place.
    func source(value: String, isString: Bool, location: Int, type: KeyType) -> KeySource {
        byOrdinal(isString: isString, location: location, type: type)
            ?? .constant(Array(value.utf8), type: type)
    }

    private func byOrdinal(isString: Bool, location: Int, type: KeyType) -> KeySource? {
        guard let ranges, location >= 0, location < text.count else { return nil }
        // A negated number is located at its minus sign.
        let isNegated = text[text.startIndex + location] == 0x2d
        guard let ordinal = ranges.firstIndex(where: { $0.start >= location }) else { return nil }
        let range = ranges[ordinal]
        switch range.kind {
        case .string, .quotedString: guard isString, !isNegated else { return nil }
        case .integer, .longInteger: guard !isString else { return nil }
        case .decimal: return nil
        }
        if isNegated {
            let between = text[(text.startIndex + location + 1)..<(text.startIndex + range.start)]
            guard between.allSatisfy({ $0 == 0x20 || (0x09...0x0d).contains($0) }) else { return nil }
        } else {
            guard range.start == location else { return nil }
        }
        return .literal(ordinal: ordinal, negated: isNegated, type: type)
    }
}
