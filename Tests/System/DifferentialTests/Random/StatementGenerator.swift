import NIOCore
import PGChannel
import TestKit

/// A statement, and how it is sent.
struct RandomStatement {
    var sql: String
    var parameters: [PGParameter] = []
    var protocolKind: Kind

    enum Kind { case simple, extendedText, extendedBinary }
}

/// Makes statements from a grammar that lies around what the router routes, on both sides of its border.
///
/// Two seeds: one for the shape and one for the values in it, so that one shape can be had with several values; the router keeps plans by shape.
struct StatementGenerator {
    typealias Column = RandomSchema.Column
    typealias ColumnType = RandomSchema.ColumnType

    /// A table, or something like one, that a query can name columns of.
    struct Source {
        let alias: String
        let columns: [Column]
        let key: Column?
    }

    var shape: SeededGenerator
    var values: SeededGenerator
    /// The key that most conditions ask for.
    private(set) var focus = 1
    private(set) var word = "a"
    private var parameters: [PGParameter] = []
    private var usesParameters = false
    /// The keys of a write are any, so that it is for several shards.
    private var isScattered = false
    private var names = 0
    /// The tables that the statement is about: mostly of one kind of key, for others could not be on one shard.
    var tables: [RandomSchema.Table] = []
    /// Whether the joins of the query being made hold keys in their ON.
    var holdsKeysInJoins = false
    /// Common table expressions in sight.
    var expressions: [Source] = []

    init(shape: UInt64, values: UInt64) {
        self.shape = SeededGenerator(seed: shape)
        self.values = SeededGenerator(seed: values)
    }

    mutating func next() -> RandomStatement {
        let kind = pick([RandomStatement.Kind.simple, .simple, .extendedText, .extendedBinary])
        usesParameters = kind != .simple && chance(70)
        focus = RandomSchema.keys.randomElement(using: &values)!
        word = RandomSchema.words.randomElement(using: &values)!
        tables = pick(Self.worlds).map { RandomSchema.tables[$0] }
        let isQuery = chance(60)
        isScattered = !isQuery && chance(40)
        let sql = isQuery ? query(depth: 3) : write()
        return RandomStatement(sql: sql, parameters: parameters, protocolKind: kind)
    }

    /// By the tables' places in the schema; the more often one is named, the more often it is taken.
    private static let worlds = [[0, 1, 0, 1, 3], [0, 1], [0, 0, 1, 1, 1, 3], [0, 1, 1], [2, 2, 3], [2], [3, 4, 4], [3], [0, 1, 2, 3, 4]]

    // MARK: Choices

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &shape) < percent }

    mutating func pick<Element>(_ choices: [Element]) -> Element { choices.randomElement(using: &shape)! }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &shape) }

    mutating func newName(_ prefix: String) -> String {
        names += 1
        return "\(prefix)\(names)"
    }

    // MARK: Values

    /// A literal or parameter for a key, as programs write it; mostly the statement's own key.
    mutating func keyValue(_ type: ColumnType) -> String {
        let isFocus = !isScattered && chance(93)
        switch type {
        case .integer: return integerKey(isFocus ? focus : Int.random(in: 0...9, using: &values))
        case .text: return textKey(isFocus ? word : RandomSchema.words.randomElement(using: &values)!)
        }
    }

    private mutating func integerKey(_ key: Int) -> String {
        if usesParameters, parameters.count < 9, chance(50) {
            // The same type at each place, or the server would have to guess between two.
            switch number(0...3) {
            case 0: parameters.append(.text(String(key), typeOID: 20))
            case 1: parameters.append(.binary(ByteBuffer(integer: Int64(key)), typeOID: 20))
            case 2: parameters.append(.binary(ByteBuffer(integer: Int32(key)), typeOID: 23))
            default:
                parameters.append(.text(String(key)))
                return "$\(parameters.count)"
            }
            return "$\(parameters.count)"
        }
        switch number(0...49) {
        case 0: return "'\(key)'"
        case 1: return "\(key)::bigint"
        case 2: return "'\(key)'::int"
        case 3: return "CAST(\(key) AS integer)"
        case 4: return "\(key).0"
        case 5: return "(\(key) + 0)"
        case 6: return "(SELECT \(key))"
        case 7: return chance(30) ? "NULL" : "+\(key)"
        case 8: return "-\(key)"
        case 9: return "\(key)::smallint"
        case 10...14: return "'\(key)'"
        case 15...18: return "\(key)::bigint"
        default: return String(key)
        }
    }

    private mutating func textKey(_ key: String) -> String {
        if usesParameters, parameters.count < 6, chance(50) {
            parameters.append(chance(50) ? .text(key) : .binary(ByteBuffer(string: key), typeOID: 25))
            return "$\(parameters.count)"
        }
        switch number(0...19) {
        case 0: return "'\(key)'::text"
        case 1: return "E'\(key)'"
        case 2: return "'\(key)'::varchar(5)"
        case 3: return "('\(key)' || '')"
        case 4: return "$$\(key)$$"
        case 5: return chance(30) ? "NULL" : "U&'\(key)'"
        default: return "'\(key)'"
        }
    }

    mutating func value(_ type: ColumnType) -> String {
        if chance(6) { return "NULL" }
        switch type {
        case .integer: return String(Int.random(in: 0...12, using: &values))
        case .text: return "'\(["a", "b", "p1", "p2", "red", "o1", "it''s", ""].randomElement(using: &values)!)'"
        }
    }
}
