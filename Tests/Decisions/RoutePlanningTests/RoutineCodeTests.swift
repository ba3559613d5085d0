import RoutePlanning
import ShardModel
import Testing

/// Which routines and views may leave something in a server session, as a database with one shard asks.
@Suite struct RoutineCodeTests {
    /// Of routines by name, in PL/pgSQL or SQL; of views by the functions that they call.
    private func judged(_ routines: [String: String], opaque: [String] = [], views: [String: [String]] = [:],
        operators: [String] = []) throws -> SchemaSnapshot {
        var rows = [[[String?]]](repeating: [], count: SchemaQueries.all.count)
        let place = { (part: String) in try #require(SchemaQueries.names.firstIndex(of: part)) }
        rows[try place("session")] = [["me", "public"]]
        for (name, source) in routines { rows[try place("functions")].append(["public", name, "v", "t", "f", "f", source, "f"]) }
        for name in opaque { rows[try place("functions")].append(["public", name, "v", "t", "f", "f", nil, "f"]) }
        for name in ["set_config", "lower", "pg_advisory_lock", "nextval", "pg_notify", "pg_replication_origin_session_setup"] {
            rows[try place("functions")].append(["pg_catalog", name, name == "lower" ? "i" : "v", "f", "f", "f", nil, "f"])
        }
        for name in operators { rows[try place("operators")].append(["public", name, "f", "t", "t"]) }
        for (view, functions) in views {
            rows[try place("relations")].append(["public", view, "v", "f", "f", "f", "f", nil, nil, "f"])
            for function in functions { rows[try place("viewFunctions")].append(["public", view,
                function.hasPrefix("set") ? "pg_catalog" : "public", function]) }
        }
        return try SchemaDecoder.snapshot(rows, generation: .committed(1))
    }

    private func mayLeave(_ schema: SchemaSnapshot, _ name: String) -> Bool? { schema.functions[Fixture.name(name)]?.first?.mayLeaveState }

    @Test(arguments: [
        "BEGIN UPDATE t SET a = 1; RETURN 1; END", "UPDATE \"t\" SET a = 1", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE\n SET b = 1",
        "SELECT nextval('s'), lower('x')", "BEGIN PERFORM pg_notify('a', 'b'); END", "update t as x\nset a = 2",
        "BEGIN IF a THEN DELETE FROM t; END IF; END",
        "SELECT pg_advisory_xact_lock(1)",
    ])
    func rowsAloneLeaveNothing(source: String) throws { #expect(try mayLeave(judged(["f": source]), "f") == false) }

    @Test(arguments: [
        "BEGIN SET a.b = 1; END", "SET LOCAL x = 1", "BEGIN IF true THEN\n set a = 1; END IF; END", "SELECT 1; -- x\n SET a = 1",
        "SELECT 1 /* x */; /* y */SET a = 1",
        "BEGIN x := 1; -- then\nSET a = 1; END", "UPDATE t -- no\n SET a = 1", "BEGIN LOOP SET a = 1; END LOOP; END", "<<l>> SET a = 1",
        "SELECT set_config('a', 'b', false)", "SELECT SET_CONFIG('a', 'b', false)", "SELECT pg_catalog.\"set_config\"('a', 'b', false)",
        "SELECT U&\"\\0073et_config\"('a', 'b', false)", "BEGIN EXECUTE 'x'; END", "CREATE TEMPORARY TABLE x (a int)", "SELECT 1 INTO TEMP x",
        "SELECT * FROM pg_temp_3.x", "PERFORM pg_advisory_lock(1)", "SELECT currval('s')", "LISTEN x",
        "SELECT pg_replication_origin_session_setup('x')",
        "/* set_config */ SELECT 1",
    ])
    func whatTouchesTheSessionIsSeen(source: String) throws { #expect(try mayLeave(judged(["f": source]), "f") == true) }

    @Test func whatARoutineCallsCountsHoweverDeepAndHoweverItIsWritten() throws {
        let schema = try judged(
            [
                "a": "SELECT b()", "b": "SELECT \"Odd Name\"()", "Odd Name": "SELECT * FROM v", "c": "SELECT d()", "d": "SELECT 1",
                "e": "SELECT 1 <-!-> 2",
                "loop1": "SELECT loop2()", "loop2": "SELECT loop1()", "g": "SELECT in_c()",
            ], opaque: ["in_c"], views: ["v": ["set_config"], "w": ["a"], "plain": ["d"]], operators: ["<-!->"])
        for name in ["a", "b", "Odd Name", "e", "g", "in_c"] { #expect(mayLeave(schema, name) == true, "\(name)") }
        for name in ["c", "d", "loop1", "loop2"] { #expect(mayLeave(schema, name) == false, "\(name)") }
    }

    @Test(arguments: [
        ("DO $$ BEGIN PERFORM a(); END $$", true), ("DO $$ BEGIN PERFORM c(); UPDATE t SET x = 1; END $$", false), ("DO 'BEGIN SET x = 1; END'",
            true),
        ("DO LANGUAGE plpgsql $$ BEGIN NULL; END $$", false), ("CALL a()", true), ("CALL c()", false), ("SELECT * FROM w", true),
            ("SELECT * FROM plain", false),
        ("INSERT INTO plain VALUES (a())", true), ("SELECT a(c())", true), ("MERGE INTO plain USING w ON true WHEN MATCHED THEN DELETE", true),
    ])
    func statementsAreJudgedByWhatTheyName(sql: String, keeps: Bool) throws {
        let schema = try judged(
            ["a": "SELECT set_config('a', 'b', false)", "c": "SELECT 1"], views: ["w": ["a"], "plain": ["c"]])
        var context = Fixture.context(placements: [:], schema: schema)
        context.shardCount = 1
        #expect(try (Fixture.plan(sql, in: context).traces.keeps == .sessionState) == keeps)
    }

    @Test func oneOverloadThatIsNotUnderstoodMakesTheNameSuspect() throws {
        #expect(try mayLeave(judged(["f": "SELECT 1"], opaque: ["f"]), "f") == true)
    }
}
