import Foundation
import PGTypes
import RoutePlanning
import SQLSyntax
import ShardModel
import Testing

/// One database for the planning tests, and a short way to write down plans.
enum Fixture {
    // MARK: the schema

    static func name(_ text: String) -> QualifiedName {
        let parts = text.split(separator: ".").map(String.init)
        return parts.count == 2 ? QualifiedName(schema: parts[0], name: parts[1]) : QualifiedName(schema: "public", name: text)
    }

    /// "customer_id bigint!": `!` is NOT NULL, `~` a volatile default, `#` a sequence, `=` a generated column, `%` a non-deterministic collation, `^` another one than the database's.
    static func columns(_ text: String) -> [Column] {
        text.split(separator: ",").map { part in
            let words = part.split(separator: " ", maxSplits: 1).map(String.init)
            var type = words[1]
            let marks = type.reversed().prefix { "!~#=%^".contains($0) }
            type = String(type.dropLast(marks.count))
            var column = Column(
                name: words[0], typeOID: oids[type.split(separator: "(")[0].description] ?? Column.userTypeOID,
                typeName: type.replacing("varchar", with: "character varying"), notNull: marks.contains("!"),
                defaultExpression: marks.contains("~") ? "now()" : marks.contains("#") ? "nextval('s'::regclass)" : nil,
                defaultIsVolatile: marks.contains("~") || marks.contains("#"), isGenerated: marks.contains("="),
                hasDeterministicCollation: !marks.contains("%"))
            column.hasDatabaseCollation = !marks.contains("%") && !marks.contains("^")
            column.ordersBytes = ![25, 1042, 1043].contains(column.typeOID)
            return column
        }
    }
    static let oids: [String: UInt32] = [
        "smallint": 21, "integer": 23, "bigint": 20, "uuid": 2950, "text": 25, "varchar": 1043, "char": 1042, "numeric": 1700, "boolean": 16,
        "timestamptz": 1184, "date": 1082, "jsonb": 3802, "text[]": 1009, "integer[]": 1007,
    ]

    static func table(_ text: String, _ columns: String, key: [String] = [], kind: Relation.Kind = .table, parent: String? = nil) -> Relation {
        Relation(
            name: name(text), kind: kind, columns: self.columns(columns),
            uniqueKeys: key.isEmpty ? [] : [UniqueKey(name: "\(text)_pkey", columns: key, isPrimary: true)], parent: parent.map(name))
    }

    static let schema: SchemaSnapshot = {
        var relations = [
            table("customers", "id bigint!,name text,country text", key: ["id"]),
            table(
                "orders", "id bigint!,customer_id bigint!,total numeric,note text,tags text[],numbers integer[],placed_at timestamptz~",
                key: ["customer_id", "id"]),
            table("items", "order_id bigint!,customer_id bigint!,product_id integer,qty integer", key: ["customer_id", "order_id", "product_id"]),
            table("loose", "customer_id bigint,x integer"),
            table("small", "k smallint!,v text", key: ["k"]),
            table("events", "tenant uuid!,id uuid!~,at timestamptz~,kind text", key: ["tenant", "id"]),
            table("docs", "slug text!,title varchar,body text", key: ["slug"]),
            table("codes", "code varchar(8)!,x integer", key: ["code"]),
            table("counted", "k bigint!,n bigint#", key: ["k"]),
            table("countries", "code text!,name text,population bigint,updated timestamptz~,day date", key: ["code"]),
            table("products", "id integer!,name text,price numeric,folded text%", key: ["id"]),
            table("settings", "name text!,value text", key: ["name"]),
            table("audit", "id bigint!#,message text", key: ["id"]),
            table("stray", "id integer!,x text", key: ["id"]),
            table("ruled", "id uuid!,tenant_id uuid!", key: ["tenant_id", "id"]),
            table("shadow.orders", "id bigint!,customer_id bigint!,total numeric", key: ["id"]),
            table("Mixed Case", "K bigint!,v text", key: ["K"]),
            table("ref_view", "code text,name text", kind: .view), table("order_view", "customer_id bigint,total numeric", kind: .view),
            table("wild_view", "customer_id bigint,total numeric", kind: .view), table("local_view", "name text,value text", kind: .view),
            table("parts", "customer_id bigint!,at date!,x integer", kind: .partitioned),
            table("parts_1", "customer_id bigint!,at date!,x integer", parent: "parts"),
            table("ids", "", kind: .sequence), table("sliced", "", kind: .sequence),
        ]
        for index in relations.indices {
            switch relations[index].name.name {
            case "ref_view": relations[index].viewSources = [name("countries")]
            case "order_view", "wild_view": relations[index].viewSources = [name("orders")]
            case "sliced": relations[index].isSlicedSequence = true
            case "local_view": relations[index].viewSources = [name("settings")]
            default: break
            }
        }
        var schema = SchemaSnapshot(
            relations: Dictionary(uniqueKeysWithValues: relations.map { ($0.name, $0) }), functions: functions,
            schemas: ["public", "shadow", "pg_catalog", "information_schema"])
        schema.nondeterministicCollations = [name("folded")]
        return schema
    }()

    static let placements: [QualifiedName: Placement] = [
        name("customers"): .sharded(key: "id"), name("orders"): .sharded(key: "customer_id"), name("items"): .sharded(key: "customer_id"),
        name("loose"): .sharded(key: "customer_id"), name("small"): .sharded(key: "k"), name("events"): .sharded(key: "tenant"),
        name("docs"): .sharded(key: "slug"), name("codes"): .sharded(key: "code"), name("counted"): .sharded(key: "k"),
        name("countries"): .reference, name("products"): .reference, name("settings"): .local, name("audit"): .local,
        name("shadow.orders"): .local, name("Mixed Case"): .sharded(key: "K"), name("ref_view"): .reference,
        name("order_view"): .sharded(key: "customer_id"), name("local_view"): .local, name("parts"): .sharded(key: "customer_id"),
    ]

    /// PostgreSQL 15's own, and four of a user's.
    static let functions: [QualifiedName: [FunctionInfo]] = {
        var result: [QualifiedName: [FunctionInfo]] = [:]
        let url = Bundle.module.url(forResource: "functions", withExtension: "tsv", subdirectory: "Resources")
        let text = url.flatMap { try? String(contentsOf: $0, encoding: .utf8) } ?? ""
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: "\t").map(String.init)
            let function = FunctionInfo(
                name: QualifiedName(schema: fields[0], name: fields[1]), volatility: .init(rawValue: fields[2])!,
                isUserDefined: fields[3] == "t", isAggregate: fields[4] == "t", returnsSet: fields[5] == "t")
            result[function.name, default: []].append(function)
        }
        for (function, volatility) in [("my_function", FunctionInfo.Volatility.volatile), ("my_stable", .stable), ("my_constant", .immutable), ("lower", .immutable)] {
            var info = FunctionInfo(name: name(function), volatility: volatility, isUserDefined: true)
            info.isPure = volatility == .immutable
            result[name(function), default: []].append(info)
        }
        return result
    }()

    static func context(
        searchPath: [String] = ["public"], rules: [String] = [], defaultPlacement: DefaultPlacement = .refuse,
        placements: [QualifiedName: Placement] = Fixture.placements, schema: SchemaSnapshot = Fixture.schema
    ) -> PlanningContext {
        PlanningContext(
            schema: schema, placements: placements, keyColumnRules: rules, defaultPlacement: defaultPlacement, searchPath: searchPath)
    }

    // MARK: plans in short

    /// "keyed 5, $1", "any", "home", "current", "every", "PGM-NO-KEY", "syntax error", …
    ///
    /// The statement is planned twice, with its literals by place and by value; both must agree.
    static func route(
        _ sql: String, _ types: [UInt32] = [], in context: PlanningContext = Fixture.context(), sourceLocation: SourceLocation = #_sourceLocation
    ) -> String {
        let bytes = Array(sql.utf8)
        let plain = Result { () throws(StatementPlanner.TextError) in
            try StatementPlanner.plan(sql: sql, parameterTypes: types, context: context)
        }
        var buffer = ShapeBuffer()
        let hasShape = StatementShape.scan(bytes.span.bytes, into: &buffer)
        let shaped = Result { () throws(StatementPlanner.TextError) in
            try StatementPlanner.plan(bytes: bytes, literals: hasShape ? buffer.literals : nil, parameterTypes: types, context: context)
        }
        let answer = words(plain, literals: [], bytes)
        #expect(words(shaped, literals: buffer.literals, bytes) == answer, sourceLocation: sourceLocation)
        return answer
    }

    /// - several: the text is a simple query, which may hold several statements.
    static func plan(
        _ sql: String, _ types: [UInt32] = [], several: Bool = false, in context: PlanningContext = Fixture.context()
    ) throws -> StatementPlan {
        let bytes = Array(sql.utf8)
        var buffer = ShapeBuffer()
        let hasShape = StatementShape.scan(bytes.span.bytes, into: &buffer)
        return try StatementPlanner.plan(
            bytes: bytes, literals: hasShape ? buffer.literals : nil, parameterTypes: types, allowsSeveral: several, context: context)
    }

    private static func words(_ result: Result<StatementPlan, StatementPlanner.TextError>, literals: LiteralRanges, _ bytes: [UInt8]) -> String {
        switch result {
        case .failure(.syntax): return "syntax error"
        case .failure(.refused(let refusal)): return refusal.code.rawValue
        case .success(let plan):
            switch plan.route {
            case .keyed(let sources):
                // The same value at two places of the text is two literals.
                let keys = sources.map { words($0, literals, bytes) }
                return "keyed " + keys.indices.filter { !keys[..<$0].contains(keys[$0]) }.map { keys[$0] }.joined(separator: ", ")
            case .anyShard: return "any"
            case .homeShard: return "home"
            case .currentShard: return "current"
            case .everyShard: return "every"
            case .splitCopy: return "split"
            case .broadcastCopy: return "broadcast"
            case .gatherCopy: return "gather"
            case .gatherRows(let gather): return "rows " + gather.rules.map(\.rawValue).joined(separator: ", ")
            case .everyKey(let write): return "every key " + write.rule.rawValue
            case .keysFirst: return "keys first"
            case .explain(let explain): return "explain " + explain.rules.joined(separator: ", ")
            case .statements: return "statements"
            case .transaction: return "transaction"
            case .session: return "session"
            case .mosaic: return "mosaic"
            case .empty: return "empty"
            }
        }
    }

    private static func words(_ source: KeySource, _ literals: LiteralRanges, _ bytes: [UInt8]) -> String {
        switch source {
        case .token(let token): return "token \(token)"
        case .constant(let value, _): return String(decoding: value, as: UTF8.self)
        case .literal(let ordinal, let negated, _):
            return (negated ? "-" : "") + String(decoding: literals[ordinal].value(in: bytes.span.bytes), as: UTF8.self)
        case .parameter(let number, _): return "$\(number)"
        case .parameterArray(let number, _): return "any $\(number)"
        }
    }
}

/// One line of a table of statements.
struct Routing: CustomTestStringConvertible, Sendable {
    var sql: String
    var types: [UInt32]
    var route: String
    init(_ sql: String, _ route: String, types: [UInt32] = []) {
        self.sql = sql
        self.types = types
        self.route = route
    }
    var testDescription: String { sql }
}
