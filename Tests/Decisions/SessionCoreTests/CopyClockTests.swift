import PGTypes
import PGWire
import RoutePlanning
import SessionCore
import ShardModel
import Testing

/// COPY into a reference table: words that each shard would read as another moment.
@Suite struct CopyClockTests {
    private static func plan(csv: Bool, null: String, forceNotNull: Bool = false) -> SplitCopy {
        var plan = SplitCopy(
            table: QualifiedName(schema: "public", name: "fares"), format: csv ? .csv : .text, keyColumn: 1, columnCount: 2, keyType: .text,
            delimiter: csv ? 0x2c : 0x09, null: Array(null.utf8), forceNotNullKey: forceNotNull, columns: ["name", "since"])
        plan.purpose = .clock
        return plan
    }

    /// The error's SQLSTATE, fed as a whole and byte by byte.
    private static func refusals(_ plan: SplitCopy, _ data: String) -> [String?] {
        [data.utf8.count, 1].map { size in
            var splitter = CopySplitter(plan, rowMax: 1 << 20)
            let bytes = Array(data.utf8)
            do throws(ServerError) {
                for start in stride(from: 0, to: bytes.count, by: max(1, size)) {
                    let part = Array(bytes[start..<min(start + max(1, size), bytes.count)])
                    try splitter.consume(part.span.bytes) { _, _ in }
                }
                try splitter.finish { _, _ in }
                return nil
            } catch {
                return error[.detail]
            }
        }
    }

    private static let refused: [String?] = ["PGM-REFERENCE-VOLATILE", "PGM-REFERENCE-VOLATILE"]
    private static let taken: [String?] = [nil, nil]

    @Test(arguments: ["a\tnow\n", "a\t Today\n", "a\ttomorrow 10:00\n", "a\tYESTERDAY", "a\t\\x6eow\n", "a\t\\156ow\n", "x\t2024-01-01\na\tn\\ow\n"])
    func aWordForThePresentInTheColumnIsRefused(_ data: String) {
        #expect(Self.refusals(Self.plan(csv: false, null: "\\N"), data) == Self.refused)
    }

    @Test(arguments: ["now\t2024-01-01\n", "a\t\\N\n", "a\tinfinity\n", "a\tepoch\n", "", "a\t2024-01-01\n\\.\nb\tnow\n"])
    func elsewhereItIsData(_ data: String) {
        #expect(Self.refusals(Self.plan(csv: false, null: "\\N"), data) == Self.taken)
    }

    @Test func inCSVItIsReadAsPostgreSQLReadsIt() {
        let plain = Self.plan(csv: true, null: "")
        #expect(Self.refusals(plain, "a,\"now\"\n") == Self.refused)
        #expect(Self.refusals(plain, "a,n\"o\"w\n") == Self.refused)
        #expect(Self.refusals(plain, "\"x,\nnow\",2024-01-01\n") == Self.taken)
        #expect(Self.refusals(plain, "a,\n") == Self.taken)
        // The null marker itself can be the word, and is a value only where it is quoted or forced to be one.
        #expect(Self.refusals(Self.plan(csv: true, null: "now"), "a,now\n") == Self.taken)
        #expect(Self.refusals(Self.plan(csv: true, null: "now"), "a,\"now\"\n") == Self.refused)
        #expect(Self.refusals(Self.plan(csv: true, null: "now", forceNotNull: true), "a,now\n") == Self.refused)
    }
}
