/// The shop: customers with their orders, items and payments, all sharded by customer; countries and products on every shard.
///
/// Every customer's rows come from a generator seeded by the customer's number, so each table can be made on its own, in
/// one pass, and still fits the others: the same orders appear in `orders`, `items` and `payments`.
enum ShopData {
    static let customerCount = 5_000
    static let productCount = 300

    static var tables: [DemoTable] { [countries, products, customers, orders, items, payments] }

    struct Product {
        var name: String
        var category: String
        var cents: Int
    }

    struct Item {
        var product: Int
        var quantity: Int
        var cents: Int
    }

    struct Order {
        var number: Int
        /// Seconds since 2024-01-01 00:00 UTC.
        var placed: Int
        var state: String
        var items: [Item]
        var method: String

        var cents: Int { items.reduce(0) { $0 + $1.quantity * $1.cents } }
        /// A cancelled order was never paid; one paid by invoice may be in two parts.
        var payments: [Int] {
            if state == "cancelled" { return [] }
            return method == "invoice" && cents > 20_000 ? [cents / 2, cents - cents / 2] : [cents]
        }
    }

    static let productList: [Product] = {
        var random = SplitMix(seed: 2)
        return (0..<productCount).map { _ in
            let group = random.pick(ShopWords.catalogue)
            let name = "\(random.pick(ShopWords.adjectives)) \(random.pick(group.nouns))"
            // Prices end in 0 or 9 cents.
            return Product(name: name, category: group.category, cents: random.int(group.cents) / 10 * 10 + (random.chance(50) ? 9 : 0))
        }
    }()

    /// Most customers order a few times, some often, some never.
    static func orders(of customer: Int) -> [Order] {
        var random = SplitMix(seed: UInt64(customer) &* 1_000_003)
        let count = random.chance(15) ? 0 : random.chance(8) ? random.int(10...30) : random.int(1...6)
        var placed = random.int(0...(200 * 86_400))
        return (0..<count).map { number in
            placed += random.int(600...(40 * 86_400))
            let items = (0..<random.int(1...5)).map { _ in
                let product = random.int(1...productCount)
                return Item(product: product, quantity: random.chance(80) ? 1 : random.int(2...6), cents: productList[product - 1].cents)
            }
            return Order(
                number: number + 1, placed: placed, state: random.pick(ShopWords.orderStates), items: items,
                method: random.pick(ShopWords.paymentMethods))
        }
    }
}
