import Foundation
import PGTypes
import PGWire
import RoutePlanning
import SessionCore
import ShardModel
import Testing

/// What a splitter made of some data.
struct SplitOutcome: Equatable {
    var rows: [[UInt8]] = []
    var keys: [CopyKey] = []
    var error: ServerError?

    /// Feeds the data in pieces of `size` bytes.
    init(_ plan: SplitCopy, _ data: [UInt8], pieces size: Int = .max, rowMax: Int = 1 << 20) {
        var splitter = CopySplitter(plan, rowMax: rowMax)
        var (rows, keys): ([[UInt8]], [CopyKey]) = ([], [])
        do throws(ServerError) {
            var start = 0
            while start < data.count {
                let end = data.count - start <= size ? data.count : start + size
                let piece = Array(data[start..<end])
                try splitter.consume(piece.span.bytes) { (row, key) throws(ServerError) in
                    rows.append(row.withUnsafeBytes { Array($0) })
                    keys.append(key)
                }
                start = end
            }
            try splitter.finish { (row, key) throws(ServerError) in
                rows.append(row.withUnsafeBytes { Array($0) })
                keys.append(key)
            }
        } catch {
            self.error = error
        }
        self.rows = rows
        self.keys = keys
    }

    init(_ plan: SplitCopy, _ text: String, pieces size: Int = .max, rowMax: Int = 1 << 20) {
        self.init(plan, Array(text.utf8), pieces: size, rowMax: rowMax)
    }

    var texts: [String] { rows.map { String(decoding: $0, as: UTF8.self) } }
}

func key(_ text: String) -> CopyKey { .token(Token(hashing: Array(text.utf8).span.bytes)) }

@Suite struct CopySplitterTests {
    static func plan(
        _ format: SplitCopy.Format = .text, keyColumn: Int = 0, columns: Int = 2, type: KeyType = .text, header: Bool = false,
        keyLengthMax: Int? = nil
    ) -> SplitCopy {
        SplitCopy(
            table: QualifiedName(schema: "public", name: "t"), format: format, keyColumn: keyColumn, columnCount: columns, keyType: type,
            delimiter: format == .text ? 0x09 : 0x2c, null: format == .text ? Array("\\N".utf8) : [], header: header,
            keyLengthMax: keyLengthMax, columns: (1...columns).map { "c\($0)" })
    }

    // MARK: Against PostgreSQL

    struct Case {
        let plan: SplitCopy
        let data: [UInt8]
        /// nil in place of a row: its key is NULL.
        let keys: [[UInt8]?]?
        let error: (sqlState: String, message: String, context: String)?
    }

    static func bytes(_ hex: Substring) -> [UInt8] {
        var (result, digits) = ([UInt8](), hex.utf8[...])
        while digits.count >= 2 {
            result.append(UInt8(String(Substring(digits.prefix(2))), radix: 16)!)
            digits = digits.dropFirst(2)
        }
        return result
    }

    static func text(_ hex: Substring) -> String { String(decoding: bytes(hex), as: UTF8.self) }

    /// See `Resources/copy_cases.py`.
    static func cases() throws -> [Case] {
        let file = try #require(Bundle.module.url(forResource: "Resources/copy-cases", withExtension: "tsv"))
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
            let f = line.split(separator: "\t", omittingEmptySubsequences: false)
            let count = Int(f[9])!
            let plan = SplitCopy(
                table: QualifiedName(schema: "public", name: "t"), format: f[0] == "text" ? .text : .csv, keyColumn: Int(f[8])!,
                columnCount: count, keyType: .text, delimiter: bytes(f[1])[0], null: bytes(f[2]), quote: bytes(f[3])[0],
                escape: bytes(f[4])[0], header: f[5] == "1", forceNotNullKey: f[6] == "1", forceNullKey: f[7] == "1",
                columns: (1...count).map { "c\($0)" })
            guard f[11] == "ok" else {
                return Case(plan: plan, data: bytes(f[10]), keys: nil, error: (String(f[12]), text(f[13]), text(f[14])))
            }
            let keys = f[12].split(separator: " ").map { $0 == "-" ? nil : bytes($0) }
            return Case(plan: plan, data: bytes(f[10]), keys: keys, error: nil)
        }
    }

    @Test func readsWhatPostgreSQLReads() throws {
        for known in try Self.cases() {
            let outcome = SplitOutcome(known.plan, known.data)
            let shown = "\(String(decoding: known.data, as: UTF8.self).debugDescription) \(known.plan) -> \(outcome)"
            let keys = outcome.keys.filter { $0 != .none }
            if let expected = known.keys {
                let tokens = expected.prefix { $0 != nil }.map { CopyKey.token(Token(hashing: $0!.span.bytes)) }
                #expect(keys == tokens, "\(shown)")
                #expect(outcome.error?.sqlState == (expected.contains(nil) ? .notNullViolation : nil), "\(shown)")
            } else if let error = known.error {
                let found = try #require(outcome.error, "\(shown) instead of \(error)")
                // A NULL key on an earlier line, or in the same one, is refused before what PostgreSQL complains of.
                if found.sqlState == .notNullViolation { continue }
                #expect(found.sqlState.code == error.sqlState, "\(shown)")
                #expect(found.message == error.message, "\(shown)")
                #expect(found[.context] == error.context, "\(shown)")
            }
        }
    }

    @Test func piecesOfAnySizeGiveTheSame() throws {
        for known in try Self.cases() {
            let whole = SplitOutcome(known.plan, known.data)
            for size in [1, 2, 3, 7] {
                #expect(SplitOutcome(known.plan, known.data, pieces: size) == whole, "\(known.data) in pieces of \(size)")
            }
        }
    }

    @Test func rowsPutTogetherAreTheDataUpToTheEndMarker() throws {
        for known in try Self.cases() {
            let outcome = SplitOutcome(known.plan, known.data)
            guard outcome.error == nil else { continue }
            let passed = Array(outcome.rows.joined())
            #expect(known.data.starts(with: passed))
            if passed.count < known.data.count { #expect(known.data[passed.count...].starts(with: Array("\\.".utf8))) }
        }
    }

    // MARK: Keys

    @Test func aKeyHashesAsTheValueThatIsStored() {
        let plan = Self.plan(type: .integer)
        let one: [CopyKey] = [key("1")]
        for text in ["1\tx\n", " 1 \tx\n", "+1\tx\n", "01\tx\n", "\\x31\tx\n", "\\61\tx\n", "\\1\tx\n"] {
            let outcome = SplitOutcome(plan, text)
            if text.hasPrefix("\\1") { #expect(outcome.error?.sqlState.code == "22P02") } else { #expect(outcome.keys == one, "\(text)") }
        }
        let uuid = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"
        #expect(SplitOutcome(Self.plan(.csv, type: .uuid), "\"\(uuid)\",x").keys == [key(uuid.lowercased())])
    }

    @Test func aKeyThatChoosesNoShardIsRefusedWithItsLine() {
        let malformed = SplitOutcome(Self.plan(type: .integer), "1\ta\n2\tb\nx'y\tc\n")
        #expect(malformed.keys.count == 2)
        #expect(malformed.error?.sqlState.code == "22P02")
        #expect(malformed.error?[.context] == "COPY t, line 3, column c1: \"x'y\"")
        let large = SplitOutcome(Self.plan(type: .integer), "99999999999999999999\ta\n")
        #expect(large.error?.sqlState == .numericValueOutOfRange)
        let null = SplitOutcome(Self.plan(keyColumn: 1), "a\tb\nc\t\\N\n")
        #expect(null.error?.sqlState == .notNullViolation)
        #expect(null.error?.detail == "PGM-KEY-NULL")
        #expect(null.error?[.context] == "COPY t, line 2: \"c\t\\N\"")
    }

    @Test func aKeyAboveTheColumnsLengthIsRefusedEvenInBlanks() {
        let plan = Self.plan(keyLengthMax: 3)
        #expect(SplitOutcome(plan, "äöü\tx\n").keys == [key("äöü")])
        for text in ["äöüß\tx\n", "abc \tx\n"] { #expect(SplitOutcome(plan, text).error?.sqlState.code == "22001") }
    }

    @Test func aQuotedNullMarkerIsAValueUnlessForced() {
        var plan = Self.plan(.csv)
        plan.null = Array("NULL".utf8)
        #expect(SplitOutcome(plan, "\"NULL\",x\n").keys == [key("NULL")])
        #expect(SplitOutcome(plan, "NULL,x\n").error?.sqlState == .notNullViolation)
        plan.forceNotNullKey = true
        #expect(SplitOutcome(plan, "NULL,x\n").keys == [key("NULL")])
        plan.forceNullKey = true
        #expect(SplitOutcome(plan, "\"NULL\",x\n").error?.sqlState == .notNullViolation)
    }

    // MARK: Lines

    @Test func theHeaderIsForEveryShard() {
        let outcome = SplitOutcome(Self.plan(.csv, header: true), "\"a\nb\",c\r\n1,2\r\n")
        #expect(outcome.texts == ["\"a\nb\",c\r\n", "1,2\r\n"])
        #expect(outcome.keys == [.none, key("1")])
        #expect(SplitOutcome(Self.plan(header: true), "").rows.isEmpty)
    }

    @Test func linesInsideOfQuotesAreCounted() {
        let outcome = SplitOutcome(Self.plan(.csv), "a,b\n\"x\ny\nz\",1\nonly\n")
        #expect(outcome.keys.count == 2)
        #expect(outcome.error?.message == "missing data for column \"c2\"")
        #expect(outcome.error?[.context] == "COPY t, line 5: \"only\"")
    }

    @Test func whatFollowsTheEndMarkerIsPassedOver() {
        for size in [1, 3, 100] {
            let outcome = SplitOutcome(Self.plan(), "a\tb\n\\.\nthis is no row\n", pieces: size)
            #expect(outcome.texts == ["a\tb\n"])
            #expect(outcome.error == nil)
        }
    }

    @Test(arguments: [1, 5, 1000]) func aRowAboveTheLimitIsRefusedAndOneAtItIsNot(_ size: Int) {
        let row = String(repeating: "k", count: 98) + "\tv"
        for end in ["\n", "\r\n", ""] {
            #expect(SplitOutcome(Self.plan(), row + end, pieces: size, rowMax: 100).keys.count == 1)
            let error = SplitOutcome(Self.plan(), "k" + row + end, pieces: size, rowMax: 100).error
            #expect(error?.sqlState == .programLimitExceeded)
            #expect(error?[.context] == "COPY t, line 1")
        }
    }

    @Test func anEndlessRowIsRefusedBeforeItsEnd() {
        var splitter = CopySplitter(Self.plan(), rowMax: 1000)
        let piece = [UInt8](repeating: 0x61, count: 100)
        var pieces = 0
        #expect(throws: ServerError.self) {
            while pieces < 100 {
                pieces += 1
                try splitter.consume(piece.span.bytes) { (_, _) throws(ServerError) in }
            }
        }
        #expect(pieces == 11)
    }

    @Test func longValuesAreCutInContext() {
        let outcome = SplitOutcome(Self.plan(type: .integer), String(repeating: "é", count: 80) + "\tx\n")
        #expect(outcome.error?[.context] == "COPY t, line 1, column c1: \"" + String(repeating: "é", count: 50) + "...\"")
    }

    @Test func anErrorOfTheSinkStopsTheReading() {
        var splitter = CopySplitter(Self.plan(), rowMax: 1000)
        var rows = 0
        #expect(throws: ServerError.self) {
            try splitter.consume(Array("a\tb\nc\td\n".utf8).span.bytes) { (_, _) throws(ServerError) in
                rows += 1
                throw ServerError(sqlState: .internalError, message: "no")
            }
        }
        #expect(rows == 1)
    }
}
