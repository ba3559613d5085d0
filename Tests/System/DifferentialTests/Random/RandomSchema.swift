import ShardModel

/// The tables that random statements are made for: small, with few keys on many shards, so that keys meet and conditions matter.
enum RandomSchema {
    enum ColumnType { case integer, text }

    struct Column {
        let name: String
        let type: ColumnType
    }

    struct Table {
        let name: String
        let columns: [Column]
        /// nil: a reference or local table.
        var key: String?
        /// The columns of its primary key.
        let identity: [String]

        func column(_ name: String) -> Column { columns.first { $0.name == name }! }
    }

    static let tables = [
        Table(name: "r_people", columns: [.init("id"), .init("grp"), .init("name", .text), .init("val")], key: "id", identity: ["id"]),
        Table(name: "r_orders", columns: [.init("pid"), .init("no"), .init("total"), .init("note", .text)], key: "pid", identity: ["pid", "no"]),
        Table(name: "r_docs", columns: [.init("slug", .text), .init("n"), .init("body", .text)], key: "slug", identity: ["slug"]),
        Table(name: "r_colours", columns: [.init("name", .text), .init("weight")], identity: ["name"]),
        Table(name: "r_notes", columns: [.init("n"), .init("t", .text)], identity: ["n"]),
    ]

    static let placements: [String: Placement] = [
        "r_people": .sharded(key: "id"), "r_orders": .sharded(key: "pid"), "r_docs": .sharded(key: "slug"), "r_colours": .reference,
        "r_notes": .local,
    ]

    static let definitions = [
        "CREATE TABLE r_people (id bigint PRIMARY KEY, grp int, name text, val int DEFAULT 5)",
        "CREATE TABLE r_orders (pid int, no int, total int, note text DEFAULT 'none', PRIMARY KEY (pid, no))",
        "CREATE TABLE r_docs (slug text PRIMARY KEY, n int, body text)",
        "CREATE TABLE r_colours (name text PRIMARY KEY, weight int)",
        "CREATE TABLE r_notes (n int PRIMARY KEY, t text)",
    ]

    /// What a round begins with.
    static let data: [String] =
        keys.map { "INSERT INTO r_people VALUES (\($0), \($0 % 3), 'p\($0 % 4)', \($0 * 10))" }
        + keys.flatMap { key in (1...3).map { "INSERT INTO r_orders VALUES (\(key), \($0), \($0 * key), \($0 == 2 ? "NULL" : "'o\($0)'"))" } }
        + words.enumerated().map { "INSERT INTO r_docs VALUES ('\($1)', \($0), '\($1)\($1)')" }
        + ["INSERT INTO r_colours VALUES ('red', 1), ('blue', 2), ('p1', 3), ('p2', NULL)", "INSERT INTO r_notes VALUES (1, 'p1'), (2, NULL), (3, 'red')"]

    static let keys = [1, 2, 3, 4, 5, 6, 7, 8]
    static let words = ["a", "b", "c", "1", "2"]
}

extension RandomSchema.Column {
    fileprivate init(_ name: String, _ type: RandomSchema.ColumnType = .integer) { self.init(name: name, type: type) }
}
