extension ShopData {
    static let countries = table(
        "countries", .reference, ["code", "name", "currency"],
        create: "CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL, currency text NOT NULL)"
    ) {
        var rest = ShopWords.countries[...]
        return AnyIterator(lines: { line in
            guard let country = rest.popFirst() else { return false }
            append([country.code, country.name, country.currency], to: &line)
            return true
        })
    }

    static let products = table(
        "products", .reference, ["product_id", "name", "category", "price"],
        create: """
            CREATE TABLE products (product_id integer PRIMARY KEY, name text NOT NULL, category text NOT NULL, \
            price numeric(10, 2) NOT NULL CHECK (price > 0))
            """
    ) {
        var number = 0
        return AnyIterator(lines: { line in
            guard number < productCount else { return false }
            let product = productList[number]
            number += 1
            append([String(number), product.name, product.category, money(product.cents)], to: &line)
            return true
        })
    }

    static let customers = table(
        "customers", .sharded(by: "customer_id"),
        ["customer_id", "name", "email", "country_code", "newsletter", "created_at"],
        create: """
            CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, \
            country_code text NOT NULL REFERENCES countries, newsletter boolean NOT NULL DEFAULT false, \
            created_at timestamptz NOT NULL)
            """
    ) {
        eachCustomer { customer, emit in
            var random = SplitMix(seed: UInt64(customer) &* 7_919 &+ 5)
            let first = random.pick(ShopWords.firstNames)
            let last = random.pick(ShopWords.lastNames)
            let country = random.pick(ShopWords.countries).code
            emit([
                String(customer), "\(first) \(last)", "customer\(customer)@example.com", country,
                random.chance(40) ? "t" : "f", timestamp(random.int(0...86_399)),
            ])
        }
    }

    static let orders = table(
        "orders", .sharded(by: "customer_id"), ["customer_id", "order_id", "status", "total", "placed_at"],
        create: """
            CREATE TABLE orders (customer_id bigint NOT NULL REFERENCES customers, order_id bigint NOT NULL, status text NOT NULL, \
            total numeric(12, 2) NOT NULL, placed_at timestamptz NOT NULL, PRIMARY KEY (customer_id, order_id))
            """
    ) {
        eachCustomer { customer, emit in
            for order in orders(of: customer) {
                emit([String(customer), String(order.number), order.state, money(order.cents), timestamp(order.placed)])
            }
        }
    }

    static let items = table(
        "items", .sharded(by: "customer_id"),
        ["customer_id", "order_id", "line", "product_id", "quantity", "unit_price"],
        create: """
            CREATE TABLE items (customer_id bigint NOT NULL, order_id bigint NOT NULL, line integer NOT NULL, \
            product_id integer NOT NULL REFERENCES products, quantity integer NOT NULL CHECK (quantity > 0), \
            unit_price numeric(10, 2) NOT NULL, PRIMARY KEY (customer_id, order_id, line), \
            FOREIGN KEY (customer_id, order_id) REFERENCES orders)
            """
    ) {
        eachCustomer { customer, emit in
            for order in orders(of: customer) {
                for (line, item) in order.items.enumerated() {
                    emit([
                        String(customer), String(order.number), String(line + 1), String(item.product), String(item.quantity),
                        money(item.cents),
                    ])
                }
            }
        }
    }

    static let payments = table(
        "payments", .sharded(by: "customer_id"),
        ["customer_id", "order_id", "payment_no", "method", "amount", "note", "paid_at"],
        create: """
            CREATE TABLE payments (customer_id bigint NOT NULL, order_id bigint NOT NULL, payment_no integer NOT NULL, \
            method text NOT NULL, amount numeric(12, 2) NOT NULL, note text, paid_at timestamptz NOT NULL, \
            PRIMARY KEY (customer_id, order_id, payment_no), FOREIGN KEY (customer_id, order_id) REFERENCES orders)
            """
    ) {
        eachCustomer { customer, emit in
            for order in orders(of: customer) {
                let parts = order.payments
                for (index, cents) in parts.enumerated() {
                    let note = parts.count > 1 ? "part \(index + 1) of \(parts.count)" : nil
                    emit([
                        String(customer), String(order.number), String(index + 1), order.method, money(cents), note,
                        timestamp(order.placed + 3_600 * (1 + index * 24)),
                    ])
                }
            }
        }
    }
}

extension ShopData {
    private static func table(
        _ name: String, _ placement: DemoTable.Placement, _ columns: [String], create: String,
        rows: @escaping @Sendable () -> AnyIterator<CopyPiece>
    ) -> DemoTable {
        DemoTable(name: name, placement: placement, create: [create], columns: columns, copyOptions: "FORMAT text", rows: rows)
    }

    /// The rows of one customer after the other. `body` emits any number of rows.
    private static func eachCustomer(
        _ body: @escaping (_ customer: Int, _ emit: ([String?]) -> Void) -> Void
    ) -> AnyIterator<CopyPiece> {
        var customer = 0
        return AnyIterator {
            var piece = CopyPiece(bytes: [], rows: 0)
            while customer < customerCount, piece.bytes.count < CopyPiece.sizeTarget {
                customer += 1
                body(customer) { fields in
                    append(fields, to: &piece.bytes)
                    piece.rows += 1
                }
            }
            return piece.rows == 0 ? nil : piece
        }
    }

    /// One line of COPY's text format. No value of the shop has a tab, newline or backslash, which would need escaping.
    private static func append(_ fields: [String?], to line: inout [UInt8]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { line.append(UInt8(ascii: "\t")) }
            line += (field ?? "\\N").utf8
        }
        line.append(UInt8(ascii: "\n"))
    }

    static func money(_ cents: Int) -> String {
        "\(cents / 100).\(cents % 100 < 10 ? "0" : "")\(cents % 100)"
    }

    /// A time after 2024-01-01 00:00 UTC as PostgreSQL reads it.
    static func timestamp(_ seconds: Int) -> String {
        let (year, month, day) = date(daysAfter2024: seconds / 86_400)
        let second = seconds % 86_400
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year)-\(two(month))-\(two(day)) \(two(second / 3_600)):\(two(second / 60 % 60)):\(two(second % 60))+00"
    }

    private static func date(daysAfter2024 days: Int) -> (year: Int, month: Int, day: Int) {
        var rest = days
        var year = 2024
        while true {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            for (index, length) in lengths.enumerated() {
                if rest < length { return (year, index + 1, rest + 1) }
                rest -= length
            }
            year += 1
        }
    }
}
