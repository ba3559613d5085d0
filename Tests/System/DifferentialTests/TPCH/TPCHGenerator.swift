import NIOCore
import TestKit

/// The rows of TPC-H's tables, as COPY takes them: of one seed always the same.
///
/// Counts, keys, the relations between them, and the distributions that the queries look at are dbgen's; texts that no query reads are shorter. At small scales some queries would have no row, as what they
/// look for is rare: so one order of 500 is large, and two parts of a hundred are of the brands and containers that two queries name (`isLarge`, `part`).
struct TPCHGenerator {
    private var generator: SeededGenerator
    private let suppliers: Int, parts: Int, customers: Int, orders: Int
    private(set) var rows: [String: ByteBuffer] = [:]
    /// Of each part, in cents; and of the order at hand.
    private var prices: [Int] = []

    /// - scale: 1 has 6 million rows in lineitem.
    init(scale: Double, seed: UInt64 = 19_920_101) {
        generator = SeededGenerator(seed: seed)
        suppliers = max(50, Int(10_000 * scale))
        parts = max(200, Int(200_000 * scale))
        customers = max(150, Int(150_000 * scale))
        orders = customers * 10
        makeRegions()
        makeSuppliers()
        makeParts()
        makeCustomers()
        makeOrders()
    }

    // MARK: Tables

    private mutating func makeRegions() {
        for (number, name) in TPCHWords.regions.enumerated() { add("region", ["\(number)", name, comment()]) }
        for (number, nation) in TPCHWords.nations.enumerated() { add("nation", ["\(number)", nation.name, "\(nation.region)", comment()]) }
    }

    private mutating func makeSuppliers() {
        for key in 1...suppliers {
            // Every nation has as many: there may be no more than two of each.
            let nation = key * 7 % 25
            let complaint = key % 25 == 6 ? "Customer " + comment() + " Complaints" : comment()
            add("supplier", ["\(key)", "Supplier#\(padded(key, 9))", "street \(int(999))", "\(nation)", phone(nation), money(int(1_099_999) - 99_999), complaint])
        }
    }

    private mutating func makeParts() {
        prices = [0]
        for key in 1...parts {
            prices.append(90_000 + key / 10 % 20_001 + 100 * (key % 1000))
            let maker = 1 + int(5)
            var brand = "Brand#\(maker)\(1 + int(5))", container = TPCHWords.containers.map { pick($0) }.joined(separator: " "), size = 1 + int(50)
            // What the queries 19 and 17 look for.
            if key % 100 == 3 { (brand, container, size) = ("Brand#12", "SM BOX", 1 + int(5)) }
            if key % 100 == 17 { (brand, container) = ("Brand#23", "MED BOX") }
            let name = (0..<5).map { _ in pick(TPCHWords.colours) }.joined(separator: " ")
            let type = TPCHWords.types.map { pick($0) }.joined(separator: " ")
            add("part", ["\(key)", name, "Manufacturer#\(maker)", brand, type, "\(size)", container, money(prices[key]), pick(TPCHWords.comment)])
            for number in 0..<4 { add("partsupp", ["\(key)", "\(supplier(number, of: key))", "\(1 + int(9999))", money(100 + int(99_901)), comment()]) }
        }
    }

    /// Each part has four, between a quarter and a third of all suppliers apart.
    private func supplier(_ number: Int, of part: Int) -> Int {
        (part + number * (suppliers / 4 + (part - 1) / suppliers % (suppliers / 3 - suppliers / 4))) % suppliers + 1
    }

    private mutating func makeCustomers() {
        for key in 1...customers {
            let nation = int(25)
            add(
                "customer",
                ["\(key)", "Customer#\(padded(key, 9))", "street \(int(999))", "\(nation)", phone(nation), money(int(1_099_999) - 99_999), pick(TPCHWords.segments), comment()])
        }
    }

    private mutating func makeOrders() {
        for number in 0..<orders {
            // Eight keys of each 32 are in use; a third of the customers has no order.
            let key = number / 8 * 32 + number % 8 + 1
            var customer = 1 + int(customers)
            while customer % 3 == 0 { customer = 1 + int(customers) }
            let date = int(Self.lastOrder + 1)
            let isLarge = number % 500 == 7
            var total = 0, open = 0
            let lines = isLarge ? 7 : 1 + int(7)
            for line in 1...lines { (total, open) = makeLine(line, of: key, date, isLarge, total, open) }
            let status = open == lines ? "O" : open == 0 ? "F" : "P"
            add(
                "orders",
                ["\(key)", "\(customer)", status, money(total), Self.days[date], pick(TPCHWords.priorities), "Clerk#\(padded(1 + int(max(1, orders / 1500)), 9))", "0", comment()])
        }
    }

    /// Answers the order's total and the number of its open lines, with this one.
    private mutating func makeLine(_ line: Int, of order: Int, _ date: Int, _ isLarge: Bool, _ total: Int, _ open: Int) -> (Int, Int) {
        let part = 1 + int(parts), quantity = isLarge ? 44 + int(7) : 1 + int(50)
        let price = quantity * prices[part], discount = int(11), tax = int(9)
        let shipped = date + 1 + int(121), committed = date + 30 + int(61), received = shipped + 1 + int(30)
        let isOpen = shipped > Self.today
        add(
            "lineitem",
            [
                "\(order)", "\(part)", "\(supplier(int(4), of: part))", "\(line)", "\(quantity)", money(price), money(discount), money(tax),
                received <= Self.today ? pick(["R", "A"]) : "N", isOpen ? "O" : "F", Self.days[shipped], Self.days[committed], Self.days[received], pick(TPCHWords.instructions),
                pick(TPCHWords.modes), pick(TPCHWords.comment),
            ])
        return (total + price * (100 + tax) * (100 - discount) / 10_000, open + (isOpen ? 1 : 0))
    }

    // MARK: Values

    /// From 1992-01-01 to 1998-12-31.
    private static let days: [String] = (1992...1998).flatMap { year in
        zip(1..., [31, year % 4 == 0 ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]).flatMap { month, length in (1...length).map { "\(year)-\(month)-\($0)" } }
    }
    /// 151 days before the end.
    private static let lastOrder = days.count - 1 - 151
    private static let today = days.firstIndex(of: "1995-6-17")!

    private mutating func add(_ table: String, _ values: [String]) {
        rows[table, default: ByteBuffer()].writeString(values.joined(separator: "\t") + "\n")
    }

    private func money(_ cents: Int) -> String { "\(cents < 0 ? "-" : "")\(abs(cents) / 100).\(padded(abs(cents) % 100, 2))" }

    private func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private mutating func phone(_ nation: Int) -> String { "\(nation + 10)-\(100 + int(900))-\(100 + int(900))-\(1000 + int(9000))" }

    private mutating func comment() -> String { (0..<6).map { _ in pick(TPCHWords.comment) }.joined(separator: " ") }

    private mutating func int(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    private mutating func pick(_ list: [String]) -> String { list[int(list.count)] }
}
