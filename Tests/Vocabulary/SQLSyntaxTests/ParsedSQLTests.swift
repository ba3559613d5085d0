import CPGQuery
import SQLSyntax
import Testing

@Suite struct ParsedSQLTests {
    @Test func statementsKnowTheirPlaceInTheText() throws {
        let parsed = try ParsedSQL.parse(" SELECT 1 ;\n-- a comment\nUPDATE t SET x = 'é' ; ;")
        #expect(parsed.statements.map(\.text) == ["SELECT 1 ", "-- a comment\nUPDATE t SET x = 'é' "])
        #expect(parsed.statements.map(\.node.kindName) == ["SelectStmt", "UpdateStmt"])
        #expect(try ParsedSQL.parse("").statements.isEmpty && ParsedSQL.parse(" /* */ ; ").statements.isEmpty)
    }

    @Test func aTreeOutlivesEverythingButItsStatements() throws {
        let statement = try ParsedSQL.parse("SELECT a, b FROM t").statements[0]
        var kinds: [String] = []
        statement.node.forEachNode { node in
            kinds.append(node.kindName)
            return true
        }
        #expect(kinds == ["SelectStmt", "ResTarget", "ColumnRef", "String", "ResTarget", "ColumnRef", "String", "RangeVar"])
    }

    @Test(arguments: [
        ("SELECT 'é', $$é$$, E'é', 1 /* é */ -- é", nil), ("SELECT é FROM t", "é"), ("SELECT \"a\"\"é\" FROM t", "a\"\"é"),
        ("SELECT 1 AS x FROM t; SAVEPOINT ü", "ü"), ("SELECT U&\"d\\00e9\"", "dé"), ("SELECT U&\"d!00e9\" UESCAPE '!'", "dé"), ("SELECT U&'d\\00e9'", nil),
        ("SELECT U&\"d\\0061\", 'é'", nil), ("SELECT 'x' & \"é\"", "é"), ("CREATE TABLE t (\"ö\" int)", "ö"), ("SELECT 1 AS é", "é"),
        ("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT 'é'$$", nil), ("SET app.name = 'é'", nil), ("COMMENT ON TABLE t IS 'é'", nil),
    ] as [(String, String?)])
    func namesAreToldFromEverythingElse(_ sql: String, _ name: String?) throws {
        let parsed = try ParsedSQL.parse(sql)
        #expect(parsed.firstName { !$0.utf8.allSatisfy { $0 < 0x80 } }?.text == name)
        #expect(parsed.firstName { _ in false } == nil)
    }

    @Test func theWalkerSeesWhatStandsWithoutANodeAroundIt() throws {
        let statement = try ParsedSQL.parse("WITH w AS (SELECT 1) INSERT INTO t SELECT x FROM w UNION SELECT y FROM u ON CONFLICT DO NOTHING").statements[0]
        var structs: [String] = []
        statement.node.forEachStruct { name, _ in structs.append(name) }
        for name in ["InsertStmt", "RangeVar", "WithClause", "CommonTableExpr", "SelectStmt", "OnConflictClause"] { #expect(structs.contains(name), "\(name)") }
        var tables: [String] = []
        statement.node.forEachNode { node in
            if node.kind == PG_QUERY__NODE__NODE_RANGE_VAR { tables.append(string(node.pointee.range_var.pointee.relname)) }
            return true
        }
        #expect(tables.sorted() == ["u", "w"])
    }

    @Test(arguments: [
        ("SELEC 1", "42601", 1), ("SELECT 'é' FORM t x", "42601", 17), ("SELECT (1", "42601", nil), ("SELECT 'x", "42601", 8),
        ("SELECT 1_000x", "42601", 8),
    ] as [(String, String, Int?)])
    func anErrorHasThePlaceThatPostgreSQLWouldName(_ sql: String, _ state: String, _ position: Int?) {
        do throws(SyntaxError) {
            _ = try ParsedSQL.parse(sql)
            Issue.record("accepted: \(sql)")
        } catch {
            #expect(error.sqlState == state && error.message.contains("at ") && error.hint != nil)
            if let position { #expect(error.position == position) }
        }
    }

    @Test func limitsHoldBeforeTheParserRuns() {
        let code = { (sql: String, limits: ParsedSQL.Limits) -> String? in
            do throws(SyntaxError) {
                _ = try ParsedSQL.parse(sql, limits: limits)
                return nil
            } catch { return error.sqlState }
        }
        #expect(code("SELECT 1\0", .init()) == "22021")
        #expect(code("SELECT 12345", .init(sizeMax: 11)) == "54000" && code("SELECT 12345", .init(sizeMax: 12)) == nil)
        for deep in [
            String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000), String(repeating: "- ", count: 5000) + "1",
            "1" + String(repeating: " + 1", count: 5000), "1" + String(repeating: "::int", count: 5000), "ARRAY" + String(repeating: "[", count: 5000),
            "1" + String(repeating: " UNION SELECT 1", count: 5000), "1 FROM a" + String(repeating: " JOIN b ON true", count: 5000),
            String(repeating: "CASE WHEN true THEN ", count: 5000), String(repeating: "NOT ", count: 5000) + "true",
        ] {
            #expect(code("SELECT " + deep, .init()) == "54001", "\(deep.prefix(30))")
        }
        // Long but flat.
        #expect(code("SELECT " + String(repeating: "1, ", count: 20000) + "1", .init()) == nil)
        #expect(code("SELECT 1 WHERE true" + String(repeating: " AND x = 1", count: 5000), .init()) == nil)
        #expect(code("SELECT 1 WHERE x IN (" + String(repeating: "1, ", count: 20000) + "1)", .init()) == nil)
    }

    /// A level of the estimate is at most three nodes (a subquery: SubLink, SelectStmt, ResTarget), which the limit allows for.
    @Test func theNestingEstimateBoundsTheTree() throws {
        for sql in [
            "SELECT 1", "SELECT ((1 + 2) * 3)", "SELECT a.b.c FROM (SELECT * FROM (SELECT 1) x) y", "SELECT CASE WHEN a THEN CASE WHEN b THEN 1 END ELSE 2 END",
            "WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t JOIN u ON t.x = u.x LEFT JOIN v USING (x)",
            "INSERT INTO t VALUES (1, (SELECT max(x) FROM u)), (2, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
            "SELECT ARRAY[[1, 2], [3, 4]], ROW(1, ROW(2, 3)), x[1][2], y::text::varchar(3) COLLATE \"C\" FROM generate_series(1, 2) g",
        ] {
            let statement = try ParsedSQL.parse(sql).statements[0]
            #expect(3 * NestingBound.estimate(Array(sql.utf8).span.bytes) >= depth(statement.node), "\(sql)")
        }
    }

    private func depth(_ node: SQLNode) -> Int {
        var deepest = 0
        node.forEachChild { child in deepest = max(deepest, depth(child)) }
        return deepest + 1
    }
}

@Suite struct StatementHintTests {
    @Test(arguments: [
        ("/* pgmosaic: shard_key=42 */ SELECT 1", "42"), ("SELECT 1 /*pgmosaic:shard_key = 42*/", "42"), ("SELECT 1 /* pgmosaic: shard_key='it''s' */ ; ", "it's"),
        ("  /* pgmosaic: shard_key='a b' */SELECT 1", "a b"), ("/* other */ SELECT 1", nil), ("SELECT '/* pgmosaic: shard_key=42 */'", nil),
        ("SELECT /* pgmosaic: shard_key=42 */ 1", nil), ("/* pgmosaic: shard_key= */ SELECT 1", nil), ("/* pgmosaic: shard_key=1 2 */ SELECT 1", nil),
        ("/* pgmosaic: shard_key=42", nil), ("-- pgmosaic: shard_key=42", nil), ("/*/ pgmosaic: shard_key=42 */ SELECT 1", nil), ("*/", nil), ("/*/", nil), ("", nil),
        ("SELECT 1 / pgmosaic", nil), ("SELECT 1 */", nil),
    ] as [(String, String?)])
    func aHintIsReadFromTheFirstOrTheLastComment(text: String, key: String?) {
        #expect(StatementHint.shardKey(in: Array(text.utf8)) == key)
    }

    @Test func oneQueryIsToldFromSeveralAndFromEverythingElse() {
        for text in ["SELECT 1", "select 1;", "WITH a AS (SELECT ';') TABLE a ; -- ;", "(VALUES (1));", "/* x */ SELECT $$;$$"] {
            #expect(StatementHint.isOneQuery(Array(text.utf8)), "\(text)")
        }
        for text in ["SELECT 1; COMMIT", "DELETE FROM a", "COMMIT", "", ";", "SELECT 'x", "SELECTED", "SELECT 1;;SELECT 2", "\"select\" 1"] {
            #expect(!StatementHint.isOneQuery(Array(text.utf8)), "\(text)")
        }
    }
}
