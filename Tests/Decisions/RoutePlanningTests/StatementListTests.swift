import RoutePlanning
import Testing

/// Several statements in one simple query.
@Suite struct StatementListTests {
    private func plan(_ sql: String) throws -> StatementPlan { try Fixture.plan(sql, several: true) }

    @Test func theKeysOfAllStatementsChooseTheShard() throws {
        let plan = try plan("UPDATE orders SET total = 1 WHERE customer_id = 7; SELECT * FROM orders WHERE customer_id = 8;")
        guard case .keyed(let sources) = plan.route else { return #expect(Bool(false), "\(plan.route)") }
        #expect(sources.count == 2)
        #expect(plan.kind == .update && plan.writes)
        #expect(plan.reuse == .shape || plan.reuse == .text)
    }

    @Test(arguments: [
        ("SELECT 1; SELECT 2", Route.currentShard),
        ("SELECT 1; SELECT * FROM countries", .anyShard),
        ("SELECT * FROM countries; UPDATE settings SET value = 'x'", .homeShard),
    ])
    func theStatementThatNeedsMostDecides(sql: String, route: Route) throws {
        #expect(try plan(sql).route == route)
    }

    @Test func aKeyedStatementAmongReadsOfReferenceTablesDecides() throws {
        let plan = try plan("SELECT * FROM countries; SELECT * FROM orders WHERE customer_id = 7; SELECT 1")
        guard case .keyed(let sources) = plan.route else { return #expect(Bool(false), "\(plan.route)") }
        #expect(sources.count == 1)
        #expect(!plan.writes)
    }

    @Test(arguments: [
        "BEGIN; SELECT 1", "SELECT 1; COMMIT", "SELECT 1; SET search_path = x", "SELECT 1; DROP TABLE orders",
        "SELECT 1; DELETE FROM countries", "SELECT 1; COPY countries FROM STDIN", "SELECT 1; SHOW search_path",
        "SELECT 1; SELECT pgmosaic.reference_table('x')", "SELECT * FROM settings; SELECT * FROM orders WHERE customer_id = 7",
        "SELECT 1; EXPLAIN SELECT 1", "SELECT 1; VACUUM orders",
        // What is refused may be fine after what comes before it, and says why when it runs.
        "SELECT 1; SELECT * FROM orders", "CREATE TABLE new (id int); SELECT * FROM new",
    ])
    func everythingElseRunsStatementByStatement(sql: String) throws {
        let plan = try plan(sql)
        #expect(plan.route == .statements && plan.isList && plan.writes && plan.reuse != .shape)
    }
}
