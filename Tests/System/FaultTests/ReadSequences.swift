import TestKit

extension FaultTests.ExtendedSequenceTests.Sequence {
    /// Pipelines of reads, which several shards answer at the same time, in any mixture of messages; now and then with something in them that is
    /// wrong, or no read.
    mutating func reads() {
        for key in keys { add("insert", WireMessages.query("INSERT INTO kv VALUES (\(key), \(key % 1000)) ON CONFLICT DO NOTHING")) }
        add("prepare", WireMessages.parse("a", "SELECT k, v FROM kv WHERE k = $1") + WireMessages.parse("b", "SELECT generate_series(1, 4) + v FROM kv WHERE k = $1"))
        add("sync", WireMessages.sync)
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let rarely = Int.random(in: 0..<3, using: &generator) == 0 ? 6 : 40
            var portals: [String] = []
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                guard Int.random(in: 0..<rarely, using: &generator) > 0 else {
                    interlude(&portals)
                    continue
                }
                read(&portals)
            }
            add("sync", WireMessages.sync)
        }
    }

    private mutating func read(_ portals: inout [String]) {
        let key = pick(keys), portal = pick(["", "", "", "p", "q"])
        let isNew = portal.isEmpty || !portals.contains(portal)
        if isNew {
            let name = pick(["", "a", "a", "b"])
            if name.isEmpty {
                let sql = pick([
                    "SELECT v FROM kv WHERE k = $1", "SELECT v, repeat('x', \(pick([1, 5_000, 60_000]))) FROM kv WHERE k = $1", "SELECT $1::bigint", "SELECT count(*) FROM ref WHERE id <> $1::bigint",
                    "SELECT k FROM kv WHERE k = $1 AND v >= \(Int.random(in: 0...9, using: &generator))", "SELECT count(*) FROM notes WHERE id = $1::bigint",
                ])
                add("parse(\(sql))", WireMessages.parse("", sql))
            }
            if Int.random(in: 0..<4, using: &generator) == 0 { add("describe(S \(name))", WireMessages.describe("S", name)) }
            add("bind(\(portal), \(name), \(key))", WireMessages.bind(portal, name, ["\(key)"]))
            if !portal.isEmpty { portals.append(portal) }
        }
        if Bool.random(using: &generator) { add("describe(P \(portal))", WireMessages.describe("P", portal)) }
        for _ in 0..<pick([0, 1, 1, 1, 1, 2]) {
            let rowsMax = pick([Int32(0), 0, 0, 1, 2])
            add("execute(\(portal), \(rowsMax))", WireMessages.execute(portal, rowsMax: rowsMax))
        }
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: add("flush", WireMessages.flush)
        case 1:
            add("close(P \(portal))", WireMessages.close("P", portal))
            portals.removeAll { $0 == portal }
        case 2: add("parse(c)", WireMessages.close("S", "c") + WireMessages.parse("c", pick(["SELECT 7", "SELECT v FROM kv WHERE k = \(key)"])))
        default: break
        }
    }

    /// What is none of these reads.
    private mutating func interlude(_ portals: inout [String]) {
        let key = pick(keys)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0...4:
            let sql = mine([
                "UPDATE kv SET v = v + 1 WHERE k = \(key)", "INSERT INTO kv VALUES (\(key), 1)", "BEGIN", "COMMIT", "ROLLBACK", "SET work_mem = '5MB'", "SHOW work_mem",
                "SELECT v FROM kv WHERE k = \(key) FOR UPDATE", "UPDATE ref SET v = v + 1", "UPDATE kv SET v = v + 1 WHERE k IN (\(keys[0]), \(keys[2]))", "", "SAVEPOINT s",
            ])
            add("run(\(sql))", WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute(""))
        case 5, 6:
            let sql = pick(["SELECT v / (v - v) FROM kv WHERE k = \(key)", "SELECT 1 / (v - v) FROM kv WHERE k = \(key) AND v < -5", "SELECT nope FROM kv WHERE k = \(key)", "SELECT k FROM nowhere"])
            add("run(\(sql))", WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute(""))
        case 7: add("bind(, a, )", WireMessages.bind("", pick(["a", "nothing"]), pick([[], ["x"]])))
        case 8: add("execute(none)", pick([WireMessages.execute("none"), WireMessages.describe("P", "none"), WireMessages.close("P", "none")]))
        default: add("query", WireMessages.query(pick(["SELECT 5", "SELECT v FROM kv WHERE k = \(key)"])))
        }
        if !text.isEmpty, text[text.count - 1] == "query" { portals.removeAll() }
    }
}
