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

    private func attempts(router url: String) -> [String] {
        let psql = "psql '\(plan.cluster.wireDSN(of: plan.cluster.routers[0]))'"
        let execute = "curl -s \(url)/v1/execute -H 'content-type: application/json' -d"
        switch plan.dataset {
        case .shop:
            return [
                "\(psql) -c 'SELECT order_id, status, total FROM orders WHERE customer_id = 42'",
                "\(execute) '{\"query\": \"SELECT name, country_code FROM customers WHERE customer_id = $1\", \"params\": [42]}'",
                "\(psql) -c 'SELECT count(*) FROM orders WHERE customer_id = 1 OR customer_id = 2'   (refused, and it says why)",
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
