import RoutePlanning
import SQLSyntax
import ShardModel
import Testing

/// Names that are equal to Swift, and not to PostgreSQL, are let in nowhere.
@Suite struct NameFormTests {
    private static let odd = "e\u{301}", plain = "é"

    @Test(arguments: [
        "SELECT o.\(odd) FROM orders o WHERE customer_id = 1", "INSERT INTO orders (customer_id, \"\(odd)\") VALUES (1, 2)", "SAVEPOINT \(odd)", "PREPARE \(odd) AS SELECT 1",
        "EXECUTE \(odd)", "DEALLOCATE \(odd)", "DECLARE \(odd) CURSOR FOR SELECT 1", "LISTEN \(odd)", "SET app.\(odd) = '1'", "SHOW app.\(odd)", "SET search_path = \(odd)", "SET ROLE \(odd)",
        "WITH \(odd) AS (SELECT 1) SELECT * FROM customers WHERE id = 1", "CREATE TABLE t (\(odd) bigint)", "SELECT U&\"e\\0301\" FROM customers WHERE id = 1", "SELECT 1 AS \(odd)",
        "SELECT set_config('app.\(odd)', '1', false)", "SELECT 1; SELECT 2 AS \(odd)", "ALTER TABLE orders RENAME note TO \(odd)",
    ])
    func suchANameIsRefused(_ sql: String) {
        for shards in [1, 4] {
            var context = Fixture.context()
            context.shardCount = shards
            #expect(throws: StatementPlanner.TextError.self, "\(sql)") { try Fixture.plan(sql, several: true, in: context) }
            do { _ = try Fixture.plan(sql, several: true, in: context) } catch {
                guard case .refused(let refusal)? = error as? StatementPlanner.TextError else { Issue.record("\(error)"); continue }
                #expect(refusal.code == .nameForm, "\(sql)")
            }
        }
    }

    @Test(arguments: [
        "SELECT 'e\u{301}' FROM customers WHERE id = 1", "SELECT note AS é FROM orders WHERE customer_id = 1", "SAVEPOINT é", "SET app.x = 'e\u{301}'", "SELECT 1 /* e\u{301} */",
    ])
    func valuesAndOtherNamesAreNot(_ sql: String) throws {
        _ = try Fixture.plan(sql, several: true)
    }

    /// A path that names such a schema does not find another one.
    @Test func aSchemaOfAnotherFormIsNotOnThePath() {
        let schema = SchemaSnapshot(schemas: ["public", Self.plain], currentUser: Self.odd)
        #expect(schema.resolve(searchPath: [Self.odd, "$user", "public"], roles: [Self.odd, Self.plain]).map { Array($0.utf8) } == [Array(Self.plain.utf8), Array("public".utf8)])
        #expect(SearchPathText.schemas("É, \"\(Self.odd)\", \"a\"\"b\", X ") == ["É", Self.odd, "a\"b", "x"])
        #expect(IdentifierText.split("\"q\u{301}\".É") == ["q\u{301}", "É"] && IdentifierText.split("\"\u{301}x\"") == ["\u{301}x"])
    }
}
