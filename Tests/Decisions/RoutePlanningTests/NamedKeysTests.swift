import PGTypes
import RoutePlanning
import Testing

/// The keys that a statement names which only a hint places.
@Suite struct NamedKeysTests {
    private func keys(_ sql: String, _ types: [UInt32] = []) -> String {
        StatementPlanner.namedKeys(bytes: Array(sql.utf8), parameterTypes: types, context: Fixture.context()).map { source in
            switch source {
            case .constant(let text, _): String(decoding: text, as: UTF8.self)
            case .parameter(let number, _): "$\(number)"
            case .parameterArray(let number, _): "$\(number)[]"
            case .literal, .token: "?"
            }
        }.joined(separator: " ")
    }

    @Test(arguments: [
        ("SELECT my_function() FROM orders WHERE customer_id = 7", "7"),
        ("SELECT my_function() FROM orders o WHERE o.customer_id = $1 AND id = 3", "$1"),
        ("SELECT my_function() FROM orders WHERE '7'::bigint = customer_id", "7"),
        ("SELECT my_function() FROM orders WHERE customer_id IN (7, $2)", "7 $2"),
        ("SELECT my_function() FROM orders WHERE customer_id = ANY ('{7,8}')", "7 8"),
        ("SELECT my_function() FROM orders WHERE customer_id = ANY ($1)", "$1[]"),
        ("SELECT my_function() FROM items WHERE (customer_id, order_id) = (7, 1)", "7"),
        ("SELECT my_function() FROM items WHERE (order_id, customer_id) IN ((1, 7), (2, 8))", "7 8"),
        // Wherever it stands.
        ("SELECT (SELECT my_function() FROM orders WHERE customer_id = 7) FROM countries", "7"),
        ("WITH o AS (SELECT * FROM orders WHERE customer_id = 7) SELECT my_function() FROM o", "7"),
        ("SELECT my_function() FROM orders JOIN customers c ON c.id = customer_id AND c.id = 7", "7"),
        ("SELECT my_function() FROM order_view WHERE customer_id = 7", "7"),
        ("SELECT my_function() FROM wild_view w WHERE w.customer_id = 7", "7"),
        ("SELECT my_function() FROM events WHERE tenant = '6f9619ff-8b86-d011-b42d-00cf4fc964ff'", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        // What is no key, or no value.
        ("SELECT my_function()", ""), ("SELECT my_function() FROM orders WHERE id = 7", ""), ("SELECT my_function() FROM products WHERE id = 7", ""),
        ("SELECT my_function() FROM products p, orders o WHERE p.id = 7", ""), ("SELECT my_function() FROM orders WHERE customer_id = 3 + 4", ""),
        ("SELECT my_function() FROM orders WHERE customer_id > 7", ""), ("SELECT my_function() FROM orders WHERE customer_id = NULL", ""),
        ("SELECT my_function() FROM customers WHERE", ""),
    ])
    func areFoundWhereverTheyStand(_ sql: String, _ expected: String) {
        #expect(keys(sql) == expected, "\(sql)")
    }
}
