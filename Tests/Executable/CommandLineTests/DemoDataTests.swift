import Foundation
import Testing

@testable import pgmosaic

@Suite struct DemoDataTests {
    private static func text(_ table: DemoTable) throws -> (rows: Int, text: String) {
        var (rows, bytes) = (0, [UInt8]())
        for piece in try table.rows() {
            rows += piece.rows
            bytes += piece.bytes
        }
        return (rows, String(decoding: bytes, as: UTF8.self))
    }

    @Test(arguments: ShopData.tables.map(\.name)) func theShopIsTheSameEveryTime(name: String) throws {
        let table = try #require(ShopData.tables.first { $0.name == name })
        let (first, second) = (try Self.text(table), try Self.text(table))
        #expect(first == second && first.rows > 0)
        let lines = first.text.split(separator: "\n")
        #expect(lines.count == first.rows)
        #expect(lines.allSatisfy { $0.split(separator: "\t", omittingEmptySubsequences: false).count == table.columns.count })
    }

    @Test func everyItemAndPaymentHasItsOrderAndEveryOrderItsCustomer() throws {
        func keys(_ name: String, _ count: Int) throws -> [[Substring]] {
            let table = try #require(ShopData.tables.first { $0.name == name })
            return try Self.text(table).text.split(separator: "\n").map { Array($0.split(separator: "\t").prefix(count)) }
        }
        let customers = Set(try keys("customers", 1))
        let orders = Set(try keys("orders", 2))
        #expect(customers.count == ShopData.customerCount)
        #expect(orders.allSatisfy { customers.contains([$0[0]]) })
        let (items, payments) = (try keys("items", 2), try keys("payments", 2))
        #expect(items.allSatisfy(orders.contains) && payments.allSatisfy(orders.contains))
    }

    @Test func everyTableOfTheShopSaysWhereItLives() {
        #expect(ShopData.tables.filter { $0.placement == .reference }.map(\.name) == ["countries", "products"])
        #expect(ShopData.tables.filter { $0.placement == .sharded(by: "customer_id") }.count == 4)
    }

    @Test func timesAreReadableByPostgreSQLAcrossLeapYears() {
        #expect(ShopData.timestamp(0) == "2024-01-01 00:00:00+00")
        #expect(ShopData.timestamp(59 * 86_400 + 3_661) == "2024-02-29 01:01:01+00")
        #expect(ShopData.timestamp(366 * 86_400) == "2025-01-01 00:00:00+00")
    }

    @Test func aFileIsCutIntoWholeLinesWithItsNullsFilledAndCounted() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/t.csv"
            // No newline at the end, and NA elsewhere stays.
            try "a,b,c\n1,NA,NA\n2,x,NAB\nNA,NA,3".write(toFile: path, atomically: true, encoding: .utf8)
            let file = try CSVFile(path: path, header: ["a", "b", "c"])
            var (text, rows, filled) = ("", 0, 0)
            for piece in file.pieces(filling: .init(column: 1, null: "NA", value: "UNKNOWN")) {
                text += String(decoding: piece.bytes, as: UTF8.self)
                rows += piece.rows
                filled += piece.filled
            }
            #expect(text == "1,UNKNOWN,NA\n2,x,NAB\nNA,UNKNOWN,3\n")
            #expect(rows == 3 && filled == 2)
            #expect(throws: DemoError.self) { try CSVFile(path: path, header: ["a", "b"]) }
        }
    }
}
