internal import CPGQuery
internal import SQLSyntax

/// The statement's text as the shards get it: with another LIMIT and OFFSET, so that a shard gives every row that may be in the answer, and with more columns before
/// those of the select list.
///
/// Of a limit only the number, or the parameter, is replaced: what stands around it stays, and so does every parameter's type.
struct PartText {
    let text: [UInt8]
    /// Where the select list begins.
    private let list: Int?
    private var edits: [(Range<Int>, String)] = []
    private(set) var columns: [String] = []

    init(_ text: some Sequence<UInt8>, list: Int?) {
        self.text = Array(text)
        self.list = list
    }

    /// nil: nothing is to be changed.
    var edited: [UInt8]? {
        guard !edits.isEmpty || !columns.isEmpty else { return nil }
        var (result, edits) = (text, edits)
        if let list, !columns.isEmpty { edits.append((list..<list, columns.enumerated().map { "\($1) AS pgmosaic_\($0 + 1), " }.joined())) }
        // What is put in before a word comes before what replaces the word.
        for (range, replacement) in edits.sorted(by: { ($0.0.lowerBound, $0.0.upperBound) > ($1.0.lowerBound, $1.0.upperBound) }) { result.replaceSubrange(range, with: Array(replacement.utf8)) }
        return result
    }

    /// A plain number or parameter, and its place in the text; nil: anything else.
    func bound(_ node: SQLNode) -> (bound: GatherCombination.Bound, place: Range<Int>)? {
        switch node.kind {
        case PG_QUERY__NODE__NODE_PARAM_REF:
            let start = Int(node.pointee.param_ref.pointee.location), number = Int(node.pointee.param_ref.pointee.number)
            guard text.indices.contains(start), text[start] == 0x24, let (value, end) = digits(from: start + 1), value == Int64(number) else { return nil }
            return (.parameter(number), start..<end)
        case PG_QUERY__NODE__NODE_A_CONST:
            let constant = node.pointee.a_const.pointee
            guard constant.isnull == 0, constant.val_case == PG_QUERY__A__CONST__VAL_IVAL, let (value, end) = digits(from: Int(constant.location)),
                value == Int64(constant.ival.pointee.ival)
            else { return nil }
            return (.rows(value), Int(constant.location)..<end)
        default: return nil
        }
    }

    /// Not 0x10, 1_000 or 5e0, whose first digits are another number.
    private func digits(from start: Int) -> (Int64, Int)? {
        guard text.indices.contains(start) else { return nil }
        let digits = text[start...].prefix { (0x30...0x39).contains($0) }
        let next = digits.endIndex < text.endIndex ? text[digits.endIndex] : 0x20
        guard let value = Int64(String(decoding: digits, as: UTF8.self)), next != 0x2e, next != 0x5f, next < 0x80, !(0x41...0x5a).contains(next & 0xdf) else { return nil }
        return (value, digits.endIndex)
    }

    /// The call's text with another name of the function; nil: it is not UTF-8.
    func call(_ call: CallText, named name: String) -> String? {
        String(validating: text[call.name.upperBound..<call.whole.upperBound], as: UTF8.self).map { name + $0 }
    }

    // MARK: Replacing

    /// Asks for one more column. Answers its place among them; nil: it cannot be put in.
    mutating func add(column: String) -> Int? {
        guard list != nil else { return nil }
        columns.append(column)
        return columns.count - 1
    }

    mutating func replace(_ place: Range<Int>, by replacement: String) { edits.append((place, replacement)) }

    /// A limit that leaves out no row.
    static func unlimited(_ bound: GatherCombination.Bound) -> String {
        switch bound {
        case .rows: "(NULL)"
        case .parameter(let number): "(CASE WHEN $\(number)::pg_catalog.int8 IS NULL THEN NULL::pg_catalog.int8 END)"
        }
    }

    /// An offset that leaves out no row.
    static func none(_ bound: GatherCombination.Bound) -> String {
        switch bound {
        case .rows: "0"
        case .parameter(let number): "(0 OPERATOR(pg_catalog.*) $\(number)::pg_catalog.int8)"
        }
    }

    /// The rows of a limit and those passed over before them.
    static func sum(_ limit: GatherCombination.Bound, _ offset: GatherCombination.Bound) -> String {
        if case (.rows(let limit), .rows(let offset)) = (limit, offset) { return String(limit + offset) }
        // OPERATOR() has one precedence for all. What is too large for bigint is no limit; a negative offset is an error of the statement that combines.
        let (a, b) = (limit.expression, "GREATEST(\(offset.expression), 0)")
        return "(CASE WHEN \(a) OPERATOR(pg_catalog.<=) (9223372036854775807 OPERATOR(pg_catalog.-) \(b)) THEN \(a) OPERATOR(pg_catalog.+) \(b) END)"
    }
}

extension GatherCombination.Bound {
    fileprivate var expression: String {
        switch self {
        case .rows(let count): "\(count)::pg_catalog.int8"
        case .parameter(let number): "$\(number)::pg_catalog.int8"
        }
    }
}
