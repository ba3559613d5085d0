import RoutePlanning
import SQLSyntax
import ShardModel
import Testing

/// Views that are planned by what they stand for.
@Suite struct ViewRoutingTests {
    private static let schema: SchemaSnapshot = {
        var schema = Fixture.schema
        let views: [(String, String, String, [String])] = [
            ("wild_view", "customer_id bigint,total numeric", "SELECT orders.customer_id, orders.total FROM orders", ["orders"]),
            ("by_note", "note text,n bigint", "SELECT orders.note, count(*) AS n FROM orders GROUP BY orders.note", ["orders"]),
            ("outer_view", "customer_id bigint,name text", "SELECT v.customer_id, p.name FROM wild_view v JOIN products p ON p.id = 1", ["orders", "products", "wild_view"]),
            ("names", "name text", "SELECT products.name FROM products UNION SELECT countries.name FROM countries", ["products", "countries"]),
            ("clock_view", "customer_id bigint,at timestamptz", "SELECT orders.customer_id, now() AS at FROM orders", ["orders"]),
            ("mixed_view", "total numeric,value text", "SELECT orders.total, settings.value FROM orders, settings", ["orders", "settings"]),
        ]
        for (name, columns, text, sources) in views {
            var view = Fixture.table(name, columns, kind: .view)
            view.definition = text
            view.viewSources = sources.map(Fixture.name)
            schema.relations[view.name] = view
        }
        schema.definitionPath = ["public"]
        return schema
    }()
    private static let context = Fixture.context(schema: schema)

    @Test(arguments: [
        Routing("SELECT * FROM wild_view WHERE customer_id = 5", "keyed 5"), Routing("SELECT v.total FROM public.wild_view AS v WHERE v.customer_id = $1", "keyed $1", types: [20]),
        Routing("SELECT * FROM wild_view", "rows rows-of-anchor"), Routing("SELECT count(*) FROM wild_view", "rows aggregates-combined"),
        Routing("SELECT total FROM wild_view v (c, total) ORDER BY 1 LIMIT 3", "rows rows-of-anchor, merge-ordered"), Routing("SELECT note FROM by_note WHERE n > 2", "rows finished"),
        Routing("SELECT v.total, o.id FROM wild_view v JOIN orders o USING (customer_id)", "rows rows-of-anchor"), Routing("SELECT * FROM outer_view", "rows rows-of-anchor"),
        Routing("SELECT * FROM outer_view JOIN orders ON outer_view.name = orders.note", "rows finished"), Routing("SELECT * FROM names", "any"), Routing("SELECT * FROM clock_view", "rows finished"),
        Routing("SELECT * FROM wild_view a, wild_view b WHERE a.customer_id = 5 AND b.customer_id = 5", "keyed 5"), Routing("SELECT (SELECT max(total) FROM wild_view)", "rows finished"),
        Routing("EXPLAIN SELECT * FROM wild_view", "explain rows-of-anchor"), Routing("COPY (SELECT * FROM wild_view) TO STDOUT", "rows finished"), Routing("EXPLAIN SELECT * FROM wild_view WHERE customer_id = 5", "keyed 5"),
        Routing("WITH w AS (SELECT * FROM wild_view) SELECT * FROM w", "rows rows-of-anchor"),
        // Its declaration is asked first.
        Routing("SELECT * FROM order_view WHERE customer_id = 5", "keyed 5"),
    ])
    func aViewIsWhatItStandsFor(_ line: Routing) {
        #expect(Fixture.route(line.sql, line.types, in: Self.context) == line.route)
    }

    @Test(arguments: [
        "SELECT v FROM wild_view v", "SELECT * FROM ONLY wild_view", "TABLE wild_view", "WITH orders AS (SELECT 1 AS id) SELECT * FROM wild_view, orders", "SELECT public.wild_view.total FROM wild_view",
        "DELETE FROM wild_view", "INSERT INTO orders SELECT * FROM wild_view", "SELECT * FROM wild_view FOR UPDATE OF wild_view",
    ])
    func whatASubqueryWouldNotMeanIsRefused(_ sql: String) {
        #expect(["PGM-VIEW", "PGM-VIEW-WRITE", "PGM-KEY-EXPRESSION"].contains(Fixture.route(sql, in: Self.context)), "\(Fixture.route(sql, in: Self.context))")
    }

    /// What is in the view is refused as if the statement said it.
    @Test func theReasonIsThatOfItsQuery() {
        #expect(Fixture.route("SELECT * FROM mixed_view", in: Self.context) == "PGM-MIXED-PLACEMENTS")
    }

    /// Under another search_path the names in its text could mean other objects; in a session with another role, too.
    @Test func anotherSessionsNamesAreNotTheViews() {
        #expect(Fixture.route("SELECT * FROM public.wild_view", in: Fixture.context(searchPath: ["shadow", "public"], schema: Self.schema)) == "PGM-VIEW")
        var context = Self.context
        context.changesRoles = true
        #expect(Fixture.route("SELECT * FROM wild_view", in: context) == "PGM-VIEW")
        context = Self.context
        context.temporary = TemporaryRelations(relations: ["orders": Fixture.table("pg_temp.orders", "id bigint")], generation: 1)
        #expect(Fixture.route("SELECT * FROM wild_view", in: context) == "PGM-VIEW")
    }

    /// Plans are kept by text: a literal's place is one in another text.
    @Test func eachTextIsPlannedByItself() throws {
        let plan = try Fixture.plan("SELECT * FROM wild_view WHERE customer_id = 5", in: Self.context)
        #expect(plan.reuse == .text && !plan.mayReadReplica && !plan.writes)
    }

    /// Each shard has the view and runs the client's text, where nothing in it is to be changed.
    @Test func theShardsGetTheClientsText() throws {
        guard case .gatherRows(let gather) = try Fixture.plan("SELECT count(*) FROM wild_view", in: Self.context).route else {
            Issue.record("not gathered")
            return
        }
        #expect(gather.combination?.partText == nil && gather.combination?.keepsPlaces == false)
        #expect(gather.finish.map { String(decoding: $0.text, as: UTF8.self) } == "SELECT count(*) FROM (SELECT orders.customer_id, orders.total FROM pg_temp.pgmosaic_f1 AS \"orders\") AS \"wild_view\"")
    }
}
