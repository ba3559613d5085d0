internal import CPGQuery
internal import SQLSyntax

/// Where a statement's text asks for the moment: now(), CURRENT_DATE and their like.
///
/// Each shard has a moment of its own, so a statement for several gets one that the router has asked a shard for, written into its text
/// (docs/decisions/0081-one-moment.md).
package struct MomentUse: Hashable, Sendable {
    /// One place, and what PostgreSQL makes of the moment there.
    struct Place: Hashable, Sendable {
        var range: Range<Int>
        /// statement_timestamp(): of the statement, and not of the transaction.
        var isOfStatement: Bool
        /// A cast behind the moment: CURRENT_DATE is the moment's day.
        var cast: String
        /// Of a column of RETURNING, which keeps the name that PostgreSQL gives it.
        var name: String?
    }

    /// In the text's order.
    let places: [Place]
    /// Parameters (from 1) that may be read as a moment: a text such as 'now' in one of them is another moment on each shard.
    package let clockParameters: [Int]

    /// The text need not be changed.
    package var isEmpty: Bool { places.isEmpty }

    /// Asks a shard for both moments: the transaction's and the statement's, as `text(_:…)` takes them.
    package static let question = """
        SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), 'YYYY-MM-DD HH24:MI:SS.US'), \
        pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.statement_timestamp()), 'YYYY-MM-DD HH24:MI:SS.US')
        """

    /// The text with the moments in it; exact to the microsecond, which is all that PostgreSQL has.
    package func text(_ text: [UInt8], transaction: String, statement: String) -> [UInt8] {
        var result = text
        for place in places.reversed() {
            let value = "('\(place.isOfStatement ? statement : transaction)+00'::pg_catalog.timestamptz\(place.cast))"
            result.replaceSubrange(place.range, with: Array((place.name.map { "\(value) AS \($0)" } ?? value).utf8))
        }
        return result
    }

    /// Whether a text may use the moment, or name it: a quick look before `StatementPlanner.moment` reads it. True for want of certainty.
    package static func isPossible(in text: some Collection<UInt8>) -> Bool {
        if let answer = text.withContiguousStorageIfAvailable({ isPossible(inBytes: $0) }) { return answer }
        return Array(text).withUnsafeBufferPointer { isPossible(inBytes: $0) }
    }

    private static let words = ["now", "current_", "localtime", "_timestamp", "today", "tomorrow", "yesterday", "age"].map { Array($0.utf8) }
    private static let firsts: [Bool] = {
        var firsts = [Bool](repeating: false, count: 256)
        for word in words { firsts[Int(word[0])] = true }
        return firsts
    }()

    /// One look at each byte, without a copy: the text may be long for its rows.
    private static func isPossible(inBytes bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let (words, firsts) = (words, firsts)
        for start in bytes.indices {
            let first = lower(bytes[start])
            guard firsts[Int(first)] else { continue }
            for word in words where word[0] == first && word.count <= bytes.count - start {
                if word.indices.allSatisfy({ lower(bytes[start + $0]) == word[$0] }) { return true }
            }
        }
        return false
    }

    /// Of ASCII's letters.
    private static func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
}

/// A call in the parse tree that gives the moment.
struct MomentCall {
    enum Form { case function, keyword(hasPrecision: Bool) }
    var location: Int
    var form: Form
    /// As `MomentUse.Place.cast`.
    var cast: String
    var isOfStatement = false

    init(function location: Int, isOfStatement: Bool) {
        (self.location, form, cast, self.isOfStatement) = (location, .function, "", isOfStatement)
    }

    /// nil: CURRENT_USER and its like.
    init?(_ value: UnsafeMutablePointer<PgQuery__SQLValueFunction>) {
        location = Int(value.pointee.location)
        let precision = "(\(value.pointee.typmod))"
        switch value.pointee.op {
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: (form, cast) = (.keyword(hasPrecision: false), "::pg_catalog.date")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME: (form, cast) = (.keyword(hasPrecision: false), "::pg_catalog.timetz")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N: (form, cast) = (.keyword(hasPrecision: true), "::pg_catalog.timetz\(precision)")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP: (form, cast) = (.keyword(hasPrecision: false), "")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N: (form, cast) = (.keyword(hasPrecision: true), "::pg_catalog.timestamptz\(precision)")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME: (form, cast) = (.keyword(hasPrecision: false), "::pg_catalog.time")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N: (form, cast) = (.keyword(hasPrecision: true), "::pg_catalog.time\(precision)")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: (form, cast) = (.keyword(hasPrecision: false), "::pg_catalog.timestamp")
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N: (form, cast) = (.keyword(hasPrecision: true), "::pg_catalog.timestamp\(precision)")
        default: return nil
        }
    }

    /// nil: where it stands in the text is not certain.
    func place(in text: [UInt8], name: String?) -> MomentUse.Place? {
        let range: Range<Int>?
        switch form {
        case .function: range = CallText(in: text, at: location)?.whole
        case .keyword(let hasPrecision): range = KeywordText.place(in: text, at: location, hasPrecision: hasPrecision)
        }
        return range.map { MomentUse.Place(range: $0, isOfStatement: isOfStatement, cast: cast, name: name) }
    }
}
