import PGTypes
import RoutePlanning
import SQLSyntax
import ShardModel
import Testing

/// INSERT … VALUES whose shard keys are worked out by one shard first.
@Suite struct KeysFirstTests {
    /// `made (id uuid DEFAULT gen_random_uuid(), kind, at)`, `numbered (id bigserial, n)`, `counters (id identity, n)`, `short (code varchar(8) DEFAULT …)`, `plain (id uuid, n integer)`.
    private static let context: PlanningContext = {
        var schema = Fixture.schema
        var made = Fixture.table("made", "id uuid!,kind text,at timestamptz~", key: ["id"])
        (made.columns[0].defaultExpression, made.columns[0].defaultIsVolatile) = ("gen_random_uuid()", true)
        var numbered = Fixture.table("numbered", "id bigint!,n integer", key: ["id"])
        (numbered.columns[0].defaultExpression, numbered.columns[0].defaultIsVolatile, numbered.columns[0].hasSlicedSequence) = ("nextval('sliced'::regclass)", true, true)
        var counters = Fixture.table("counters", "id bigint!,n integer,m bigint", key: ["id"])
        (counters.columns[0].isIdentity, counters.columns[0].hasSlicedSequence) = (true, true)
        (counters.columns[2].isIdentity, counters.columns[2].hasSlicedSequence) = (true, true)
        var short = Fixture.table("short", "n integer,code varchar(8)!", key: ["code"])
        short.columns[1].defaultExpression = "substr(md5(random()::text), 1, 8)"
        for relation in [made, numbered, counters, short, Fixture.table("plain", "id uuid!,n integer", key: ["id"])] { schema.relations[relation.name] = relation }
        var placements = Fixture.placements
        for (name, key) in [("made", "id"), ("numbered", "id"), ("counters", "id"), ("short", "code"), ("plain", "id")] { placements[Fixture.name(name)] = .sharded(key: key) }
        return Fixture.context(placements: placements, schema: schema)
    }()

    private static func first(_ sql: String, _ types: [UInt32] = [], in context: PlanningContext = context) throws -> KeysFirst? {
        guard case .keysFirst(let first) = try Fixture.plan(sql, types, in: context).route else { return nil }
        return first
    }

    @Test(arguments: [
        ("INSERT INTO made (kind) VALUES ('a') RETURNING id", "VALUES (CAST((gen_random_uuid()) AS uuid)\n)", "INSERT INTO made (kind, \"id\") VALUES ('a', $1) RETURNING id"),
        ("INSERT INTO made DEFAULT VALUES", "VALUES (CAST((gen_random_uuid()) AS uuid)\n)", "INSERT INTO made  (\"id\") VALUES ($1)"),
        ("INSERT INTO made VALUES (DEFAULT, 'a')", "VALUES (CAST((gen_random_uuid()) AS uuid)\n)", "INSERT INTO made VALUES ($1, 'a')"),
        (
            "INSERT INTO made (id, kind) VALUES (gen_random_uuid(), 'a'), ('00000000-0000-0000-0000-000000000001', 'b'), (DEFAULT, 'c') ON CONFLICT DO NOTHING",
            "VALUES (gen_random_uuid()\n), (CAST((gen_random_uuid()) AS uuid)\n)",
            "INSERT INTO made (id, kind) VALUES ($1, 'a'), ('00000000-0000-0000-0000-000000000001', 'b'), ($2, 'c') ON CONFLICT DO NOTHING"
        ),
        ("INSERT INTO short VALUES (1), (2)", "VALUES (CAST((substr(md5(random()::text), 1, 8)) AS character varying)\n), (CAST((substr(md5(random()::text), 1, 8)) AS character varying)\n)", "INSERT INTO short  (\"n\", \"code\") VALUES (1, $1), (2, $2)"),
        ("INSERT INTO numbered (n) VALUES (7)", "VALUES (CAST(pg_catalog.nextval('\"public\".\"sliced\"'::pg_catalog.regclass) AS bigint)\n)", "INSERT INTO numbered (n, \"id\") VALUES (7, $1)"),
        (
            "INSERT INTO counters (n) VALUES (7)", "VALUES (CAST(pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('\"public\".\"counters\"', 'id')::pg_catalog.regclass) AS bigint)\n)",
            "INSERT INTO counters (n, \"id\")  OVERRIDING SYSTEM VALUE VALUES (7, $1)"
        ),
        ("INSERT INTO loose VALUES (1 + 2, DEFAULT)", "VALUES (1 + 2\n)", "INSERT INTO loose VALUES ($1, DEFAULT)"),
        ("INSERT INTO loose VALUES (1 + 2, 3), (4, 5)", "VALUES (1 + 2\n)", "INSERT INTO loose VALUES ($1, 3), (4, 5)"),
        ("INSERT INTO loose VALUES (abs(random() * 5)::bigint, 3), (2 + 2, random())", "VALUES (abs(random() * 5)::bigint\n), (2 + 2\n)", "INSERT INTO loose VALUES ($1, 3), ($2, random())"),
    ])
    func theKeysAreAskedForAndTheStatementIsMadeWithThem(_ sql: String, _ question: String, _ made: String) throws {
        let first = try #require(try Self.first(sql), "\(Fixture.route(sql, in: Self.context))"), text = Array(sql.utf8)
        #expect(String(decoding: try #require(first.question(text)).text, as: UTF8.self) == question)
        #expect(String(decoding: try #require(first.statement(withParameters: text)), as: UTF8.self) == made)
    }

    @Test func parametersKeepTheirNumbersAndTypes() throws {
        let sql = "INSERT INTO docs (title, slug) VALUES ($1, upper($3)), ($2, $3 || upper($2))"
        let first = try #require(try Self.first(sql, [0, 25, 25, 23])), question = try #require(first.question(Array(sql.utf8)))
        #expect(String(decoding: question.text, as: UTF8.self) == "VALUES ( upper($1)\n), ( $1 || upper($2)\n)" && question.parameters == [3, 2])
        #expect(first.typesWithKeys == [0, 25, 25, 23, 25, 25])
        #expect(String(decoding: try #require(first.statement(withParameters: Array(sql.utf8))), as: UTF8.self) == "INSERT INTO docs (title, slug) VALUES ($1,$5), ($2,$6)")
    }

    /// What differs in literals shares a plan, unless they are the keys' own.
    @Test(arguments: [
        ("INSERT INTO made (kind) VALUES ('a')", StatementPlan.Reuse.shape), ("INSERT INTO made (id, kind) VALUES (gen_random_uuid(), 'a'), (DEFAULT, 'b')", .shape),
        ("INSERT INTO loose VALUES (1 + 2, 3), (4, 5)", .text), ("INSERT INTO made (kind) VALUES (E'a')", .text),
    ])
    func plansAreShared(_ sql: String, _ reuse: StatementPlan.Reuse) throws { #expect(try Fixture.plan(sql, in: Self.context).reuse == reuse) }

    @Test(arguments: [
        // No default, or none that is certain to be worked out alike.
        ("INSERT INTO plain (n) VALUES (1)", "PGM-KEY-MISSING"), ("INSERT INTO plain DEFAULT VALUES", "PGM-KEY-MISSING"), ("INSERT INTO plain VALUES (DEFAULT, 1)", "PGM-KEY-MISSING"),
        // It would permit what PostgreSQL refuses: another value for an identity column.
        ("INSERT INTO counters (n, id) VALUES (1, DEFAULT), (2, 5)", "PGM-KEY-MISSING"), ("INSERT INTO counters (n, m) VALUES (1, 2)", "PGM-KEY-MISSING"),
        ("INSERT INTO counters (id, n) OVERRIDING USER VALUE VALUES (5, 1)", "PGM-KEY-MISSING"),
        // The moment, what a shard says of itself, rows, other statements' work.
        ("INSERT INTO docs (slug) VALUES (now()::text), ('b')", "PGM-KEY-EXPRESSION"), ("INSERT INTO docs (slug) VALUES (upper('now'::timestamptz::text)), ('b')", "PGM-KEY-EXPRESSION"),
        ("INSERT INTO docs (slug) VALUES (current_query()), ('b')", "PGM-KEY-EXPRESSION"), ("INSERT INTO loose VALUES (pg_backend_pid(), 1), (2, 2)", "PGM-KEY-EXPRESSION"),
        ("INSERT INTO loose VALUES ((SELECT max(id) FROM products), 1), (2, 2)", "PGM-KEY-EXPRESSION"), ("INSERT INTO loose VALUES ((SELECT 1), 1), (2, 2)", "PGM-KEY-EXPRESSION"),
        ("INSERT INTO loose VALUES (nextval('sliced'), 1), (2, 2)", "PGM-KEY-EXPRESSION"), ("INSERT INTO loose VALUES (generate_series(1, 2), 1), (2, 2)", "PGM-KEY-EXPRESSION"),
        ("INSERT INTO docs (slug) VALUES (my_function()), ('b')", "PGM-USER-FUNCTION"),
        ("INSERT INTO orders (id, customer_id, placed_at) VALUES (1, 2 + 3, 'now'), (1, 2 + 4, 'now')", "PGM-KEY-EXPRESSION"),
        // Parameters whose type another place decides.
        ("INSERT INTO docs (slug, title) VALUES (upper($1), $1), ('b', 'c')", "PGM-KEY-EXPRESSION"),
        ("INSERT INTO made (kind) VALUES ($1), ($1)", "PGM-KEY-MISSING"),
        // Keys that are none, behind one that is worked out.
        ("INSERT INTO made (id) VALUES (DEFAULT), (NULL)", "PGM-KEY-MISSING"), ("INSERT INTO loose VALUES (1 + 1, 1), (2.5, 1)", "PGM-KEY-EXPRESSION"),
        ("WITH w AS (SELECT 1) INSERT INTO made (kind) VALUES ('a')", "PGM-KEY-MISSING"), ("INSERT INTO made (kind) VALUES ('a'), ('b', 'c')", "PGM-KEY-MISSING"),
        ("EXPLAIN INSERT INTO made (kind) VALUES ('a')", "PGM-KEY-MISSING"),
    ])
    func othersAreRefused(_ sql: String, _ code: String) { #expect(Fixture.route(sql, in: Self.context) == code) }

    @Test func nothingIsDrawnWhereTheSessionAsksWhatItHasDrawn() {
        var context = Self.context
        context.keepsSequences = true
        #expect(Fixture.route("INSERT INTO numbered (n) VALUES (1)", in: context) == "PGM-KEY-MISSING")
        #expect(Fixture.route("INSERT INTO made (kind) VALUES ('a')", in: context) == "keys first")
    }

    /// A default is text by the search_path that the schema was read under.
    @Test func aDefaultMeansTheSameUnderAnotherSearchPath() throws {
        var context = Self.context
        context.searchPath = ["shadow"]
        #expect(Fixture.route("INSERT INTO public.made (kind) VALUES ('a')", in: context) == "keys first")
        let question = try #require(try Self.first("INSERT INTO public.numbered (n) VALUES (1)", in: context)).question(Array("INSERT INTO public.numbered (n) VALUES (1)".utf8))
        #expect(String(decoding: try #require(question).text, as: UTF8.self).contains("'\"public\".\"sliced\"'"))
        context.schema.relations[Fixture.name("made")]?.columns[0].defaultExpression = "('a'::mine)::text::uuid"
        #expect(Fixture.route("INSERT INTO public.made (kind) VALUES ('a')", in: context) == "PGM-KEY-MISSING")
        // What PostgreSQL's own functions are called by may be another's there.
        context = Self.context
        context.searchPath = ["shadow", "pg_catalog"]
        #expect(Fixture.route("INSERT INTO public.made (kind) VALUES ('a')", in: context) == "PGM-KEY-MISSING")
    }

    @Test func aSequenceOfOneSliceForAllIsNotDrawnFrom() {
        var context = Self.context
        context.schema.relations[Fixture.name("numbered")]?.columns[0].hasSlicedSequence = false
        #expect(Fixture.route("INSERT INTO numbered (n) VALUES (1)", in: context) == "PGM-KEY-MISSING")
    }

    @Test func oneShardWorksItOutByItself() {
        var context = Self.context
        context.shardCount = 1
        #expect(Fixture.route("INSERT INTO made (kind) VALUES ('a')", in: context) == "home")
    }
}
