import LocalCluster

/// What a ready demo prints last: lines to copy from.
struct ClosingBlock {
    let plan: DemoPlan
    let folder: DemoFolder

    var text: String {
        let cluster = plan.cluster
        let router = cluster.routers[0]
        var lines = [
            "",
            "  psql     psql '\(cluster.wireDSN(of: router))'",
        ]
        for router in cluster.routers { lines.append("  router   \(cluster.url(of: router))    (\(router.id), PostgreSQL on port \(router.wirePort))") }
        lines += [
            "  manager  \(cluster.managerURL)",
            "  all else \(folder.description)",
            "",
            "Three things to try:",
        ]
        for (number, attempt) in attempts(router: cluster.url(of: router)).enumerated() {
            lines.append("  \(number + 1). \(attempt)")
        }
        let queries = acrossShards
        if !queries.isEmpty { lines += ["", "Across all shards:"] }
        for (number, query) in queries.enumerated() { lines.append("  \(number + 1). psql '\(cluster.wireDSN(of: router))' -c \"\(query)\"") }
        if let spare = cluster.spares.first {
            let program = CommandLine.arguments[0]
            lines += [
                "",
                "Half of \(cluster.shards[0].id) goes to a spare server, while clients are at work (each in a terminal of its own):",
                "  \(program) demo load --dir \(folder.path)",
                "  \(program) reshard split \(cluster.shards[0].id) --to \(spare.id) --watch --url \(cluster.managerURL)",
            ]
        }
        lines += ["", "Ctrl-C, or `pgmosaic demo stop --dir \(folder.path)`, stops it; the data stays."]
        return lines.joined(separator: "\n")
    }

    /// Queries about the rows of all shards: combined of what each gives, or answered over the rows that they need.
    private var acrossShards: [String] {
        switch plan.dataset {
        case .shop:
            [
                "SELECT country_code, count(*), sum(total) AS revenue FROM orders JOIN customers USING (customer_id) GROUP BY 1 ORDER BY revenue DESC LIMIT 5",
                "SELECT category, count(DISTINCT customer_id) AS buyers, sum(quantity) FROM items JOIN products USING (product_id) GROUP BY 1 ORDER BY buyers DESC",
                "SELECT DISTINCT ON (country_code) country_code, name, sum(total) AS spent FROM orders JOIN customers USING (customer_id) GROUP BY customer_id, 1, 2 ORDER BY 1, 3 DESC",
            ]
        case .flights:
            [
                "SELECT carrier, count(*), round(avg(dep_delay), 1) AS delay FROM flights GROUP BY 1 ORDER BY delay DESC LIMIT 5",
                "SELECT manufacturer, count(DISTINCT dest) AS places FROM flights JOIN planes USING (tailnum) GROUP BY 1 ORDER BY places DESC LIMIT 5",
                "SELECT origin, percentile_cont(0.5) WITHIN GROUP (ORDER BY arr_delay) AS median FROM flights GROUP BY 1 ORDER BY 1",
            ]
        case .none: []
        }
    }

    private func attempts(router url: String) -> [String] {
        let psql = "psql '\(plan.cluster.wireDSN(of: plan.cluster.routers[0]))'"
        let execute = "curl -s \(url)/v1/execute -H 'content-type: application/json' -d"
        switch plan.dataset {
        case .shop:
            return [
                "\(psql) -c 'SELECT order_id, status, total FROM orders WHERE customer_id = 42'",
                "\(execute) '{\"query\": \"SELECT name, country_code FROM customers WHERE customer_id = $1\", \"params\": [42]}'",
                "\(psql) -c 'EXPLAIN SELECT status, count(*) FROM orders GROUP BY status'   (what each shard does, and what is made of it)",
            ]
        case .flights:
            return [
                "\(psql) -c \"SELECT p.model, count(*), min(time_hour) FROM flights f JOIN planes p USING (tailnum) WHERE tailnum = 'N14228' GROUP BY 1\"",
                "\(execute) '{\"query\": \"SELECT count(*) FROM flights WHERE tailnum = $1\", \"params\": [\"\(FlightsData.unknownTail)\"]}'",
                "curl -s '\(url)/v1/shard-for-key?database=flights&key=N14228'",
            ]
        case .none:
            return [
                "\(psql) -c \"SELECT pgmosaic.shard_table('notes', 'owner')\" -c 'CREATE TABLE notes (owner text PRIMARY KEY, body text)'",
                "\(psql) -c \"INSERT INTO notes VALUES ('ada', 'hello')\" -c \"SELECT * FROM notes WHERE owner = 'ada'\"",
                "curl -s '\(url)/v1/shard-for-key?database=demo&key=ada'",
            ]
        }
    }
}
