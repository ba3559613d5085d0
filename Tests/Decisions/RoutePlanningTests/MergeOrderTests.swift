import RoutePlanning
import ShardModel
import Testing

/// Rows in an order that the router merges by itself.
@Suite struct MergeOrderTests {
    /// Its texts are compared byte by byte.
    private static let inBytes: PlanningContext = {
        var schema = Fixture.schema
        for name in schema.relations.keys { for index in schema.relations[name]!.columns.indices { schema.relations[name]!.columns[index].ordersBytes = true } }
        return Fixture.context(schema: schema)
    }()

    private static func merge(_ sql: String, in context: PlanningContext = Fixture.context()) throws -> GatherMerge? {
        guard case .gatherRows(let gather) = try Fixture.plan(sql, in: context).route else { return nil }
        #expect((gather.combination?.merge != nil) == gather.rules.contains(.mergeOrdered) && !gather.rules.contains(gather.combination?.merge == nil ? .mergeOrdered : .ordered))
        return gather.combination?.merge
    }

    private static func words(_ merge: GatherMerge?) -> String? {
        guard let merge else { return nil }
        let keys = merge.keys.map { "\($0.place) \($0.type)\($0.isDescending ? " DESC" : "")\($0.nullsFirst ? " NULLS FIRST" : "")" }
        return (keys + ["hidden \(merge.hidden)"]).joined(separator: ", ")
    }

    @Test(arguments: [
        ("SELECT id FROM orders ORDER BY id", "0 int8, hidden 0", nil), ("SELECT * FROM orders ORDER BY total DESC, id", "2 numeric DESC NULLS FIRST, 0 int8, hidden 0", nil),
        ("SELECT id, total FROM orders ORDER BY 2 DESC NULLS LAST", "1 numeric DESC, hidden 0", nil), ("SELECT id AS x FROM orders o ORDER BY x NULLS FIRST", "0 int8 NULLS FIRST, hidden 0", nil), ("SELECT note FROM orders LIMIT 3", "hidden 0", nil),
        ("SELECT note FROM orders ORDER BY id", "0 int8, hidden 1", "SELECT \"id\" AS pgmosaic_1, note FROM orders ORDER BY id"),
        ("SELECT id, placed_at FROM orders ORDER BY placed_at, 1 LIMIT 5 OFFSET 2", "0 timestamptz, 1 int8, hidden 1", "SELECT \"placed_at\" AS pgmosaic_1, id, placed_at FROM orders ORDER BY placed_at, 2 LIMIT 7 OFFSET 0"),
        ("SELECT * FROM orders o ORDER BY placed_at", "0 timestamptz, hidden 1", "SELECT \"placed_at\" AS pgmosaic_1, * FROM orders o ORDER BY placed_at"),
        ("SELECT o.placed_at AS p, o.id FROM orders o ORDER BY 1, o.total", "1 timestamptz, 0 numeric, hidden 2", "SELECT \"o\".\"total\" AS pgmosaic_1, \"o\".\"placed_at\" AS pgmosaic_2, o.placed_at AS p, o.id FROM orders o ORDER BY 3, o.total"),
        ("SELECT note FROM orders ORDER BY note COLLATE \"C\"", "0 text, hidden 0", nil), ("SELECT DISTINCT customer_id, id FROM orders ORDER BY id", "1 int8, hidden 0", nil), ("SELECT customer_id, count(*) FROM orders GROUP BY customer_id ORDER BY 1", "0 int8, hidden 0", nil),
    ] as [(String, String, String?)])
    func keysAreColumnsWhoseOrderIsKnown(_ sql: String, _ keys: String, _ text: String?) throws {
        let merge = try Self.merge(sql)
        #expect(Self.words(merge) == keys && merge?.text.map { String(decoding: $0, as: UTF8.self) } == text, "\(Self.words(merge) ?? "none"): \(merge?.text.map { String(decoding: $0, as: UTF8.self) } ?? "")")
    }

    /// Expressions, a locale's texts, a column of two, times that are not the select list's own, parts of groups.
    @Test(arguments: [
        "SELECT id FROM orders ORDER BY total + 1", "SELECT total * 2 AS t FROM orders ORDER BY t", "SELECT note FROM orders ORDER BY note", "SELECT note FROM orders ORDER BY upper(note)", "SELECT customer_id, count(*) FROM orders GROUP BY customer_id ORDER BY 2",
        "SELECT o.id FROM orders o JOIN items i USING (customer_id) ORDER BY o.id", "SELECT DISTINCT customer_id, placed_at FROM orders ORDER BY placed_at", "SELECT note, count(*) FROM orders GROUP BY note ORDER BY 2", "SELECT DISTINCT id FROM orders ORDER BY id",
        "SELECT id, tags FROM orders ORDER BY tags", "SELECT date_trunc('day', placed_at) AS d FROM orders ORDER BY d",
    ])
    func whatOnlyPostgreSQLCanOrderIsLeftToIt(_ sql: String) throws { #expect(try Self.merge(sql) == nil) }

    @Test func textsAreMergedWhereEveryColumnIsComparedByBytes() throws {
        #expect(Self.words(try Self.merge("SELECT note FROM orders ORDER BY note", in: Self.inBytes)) == "0 text, hidden 0")
        #expect(Self.words(try Self.merge("SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY c.name", in: Self.inBytes)) == "0 text, hidden 1")
        for sql in ["SELECT note COLLATE \"de_DE\" AS x, note FROM orders ORDER BY note", "SELECT note::mood AS x, note FROM orders ORDER BY note"] { #expect(try Self.merge(sql, in: Self.inBytes) == nil, "\(sql)") }
    }

    /// One plan for all numbers; a text may name the present, and LIMIT is of the text.
    @Test func rowsAsTheyAreHaveAPlanForAllNumbers() throws {
        for (sql, isShared) in [
            ("SELECT id FROM orders WHERE total = 5", true), ("SELECT id, 7 FROM orders WHERE total > -1.5 AND id < 1e3", true), ("SELECT id FROM orders WHERE note = 'x'", false), ("SELECT id FROM orders WHERE total = 5 LIMIT 3", false),
            ("SELECT customer_id, count(*) FROM orders WHERE id = 1 GROUP BY 1", false), ("SELECT count(*) FROM orders WHERE id = 3", false), ("SELECT id FROM orders ORDER BY 1", false),
        ] {
            let plan = try Fixture.plan(sql)
            guard case .gatherRows(let gather) = plan.route else {
                Issue.record("\(sql)")
                continue
            }
            #expect((plan.reuse == .shape) == isShared && gather.isOfShape == isShared && (gather.finish == nil) == isShared, "\(sql): \(plan.reuse)")
        }
    }
}
