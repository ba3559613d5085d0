package import ShardModel

/// What the planner knows of one database's schema, read from its home shard: immutable, replaced as a whole.
package struct SchemaSnapshot: Sendable {
    package var relations: [QualifiedName: Relation]
    /// By function name within its schema; overloads together.
    package var functions: [QualifiedName: [FunctionInfo]]
    package var schemas: Set<String>
    /// What `"$user"` stands for in search_path: the role the router uses towards the shards.
    package var currentUser: String
    /// `search_path` of a fresh session (role and database settings applied).
    package var defaultSearchPath: [String]
    package var generation: SchemaGeneration
    /// The search_path under which the names in views' definitions are to be read; `"$user"` and schemas that do not exist left out.
    package var definitionPath: [String] = []
    /// Collations under which texts of different bytes can be equal.
    package var nondeterministicCollations: Set<QualifiedName> = []
    /// Types that bring a default of their own (domains), by name.
    package var typeDefaults: [QualifiedName: TypeDefault] = [:]
    /// Schemas other than pg_catalog with an operator `=` for a type that shard keys have: with one of them in search_path a plain `=`
    /// may be another operator than the built-in one.
    package var equalitySchemas: Set<String> = []
    /// Operators whose function is a user's.
    package var userOperators: Set<QualifiedName> = []
    /// Those of them whose function is volatile.
    package var volatileOperators: Set<QualifiedName> = []
    /// Functions and views that may leave something in a server session.
    package var suspects = Suspects()

    package struct TypeDefault: Hashable, Sendable {
        package var expression: String
        /// As `Column.defaultIsVolatile`.
        package var isVolatile: Bool
        package init(expression: String, isVolatile: Bool) {
            self.expression = expression
            self.isVolatile = isVolatile
        }
    }

    package init(
        relations: [QualifiedName: Relation] = [:], functions: [QualifiedName: [FunctionInfo]] = [:],
        schemas: Set<String> = ["public", "pg_catalog", "information_schema"], currentUser: String = "postgres",
        defaultSearchPath: [String] = ["$user", "public"], generation: SchemaGeneration = .committed(0)
    ) {
        self.relations = relations
        self.functions = functions
        self.schemas = schemas
        self.currentUser = currentUser
        self.defaultSearchPath = defaultSearchPath
        self.generation = generation
    }
}

/// Which reading of a schema it is: what was made by one is looked at again under another.
package enum SchemaGeneration: Hashable, Sendable {
    /// What every session sees, read for the n-th time.
    case committed(UInt64)
    /// What a transaction sees that has changed it, by a number that its event loop gives once.
    case ofTransaction(UInt64)
}

package struct Relation: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case table = "r", partitioned = "p", view = "v", materializedView = "m", sequence = "S", index = "i",
            partitionedIndex = "I", foreign = "f", composite = "c", toast = "t"
    }
    package var name: QualifiedName
    package var kind: Kind
    /// In attribute order, dropped ones left out.
    package var columns: [Column]
    package var uniqueKeys: [UniqueKey]
    package var foreignKeys: [ForeignKey]
    package var hasTriggers: Bool
    package var hasRules: Bool
    package var hasRowSecurity: Bool
    /// The parent, when this is a partition or an inheritance child.
    package var parent: QualifiedName?
    /// The tables a view reads, directly or through other views; empty for others.
    package var viewSources: [QualifiedName]
    /// A view's query, as text for `SchemaSnapshot.definitionPath`; nil for others.
    package var definition: String?
    /// The functions that a view calls, directly or through other views, and that are volatile or may leave something in a server session.
    package var viewFunctions: [QualifiedName] = []
    /// Emptied by a crash of its server.
    package var isUnlogged = false
    /// Of a sequence: each shard has a slice of its values (`SequenceSlicing`).
    package var isSlicedSequence = false
    /// Some part has a name outside of normalization form C: a column, a constraint, the parent, something that a view shows.
    package var hasMisnamedPart = false

    package init(
        name: QualifiedName, kind: Kind = .table, columns: [Column], uniqueKeys: [UniqueKey] = [],
        foreignKeys: [ForeignKey] = [], hasTriggers: Bool = false, hasRules: Bool = false, hasRowSecurity: Bool = false,
        parent: QualifiedName? = nil, viewSources: [QualifiedName] = []
    ) {
        self.name = name
        self.kind = kind
        self.columns = columns
        self.uniqueKeys = uniqueKeys
        self.foreignKeys = foreignKeys
        self.hasTriggers = hasTriggers
        self.hasRules = hasRules
        self.hasRowSecurity = hasRowSecurity
        self.parent = parent
        self.viewSources = viewSources
    }
}

package struct Column: Hashable, Sendable {
    /// Stands for every type that is not built in: their oids differ from server to server.
    package static let userTypeOID: UInt32 = 16384

    package var name: String
    /// The oid of a built-in type, else `userTypeOID`.
    package var typeOID: UInt32
    /// `format_type`: "integer", "character varying(20)".
    package var typeName: String
    package var notNull: Bool
    /// The default expression as SQL text; nil without one.
    package var defaultExpression: String?
    /// Whether evaluating the default twice can give two values (volatile, or stable: now()).
    package var defaultIsVolatile: Bool
    package var isIdentity: Bool
    package var isGenerated: Bool
    /// False: equality is not byte equality.
    package var hasDeterministicCollation: Bool
    /// Its texts are compared as the database's are; true, too, of types without a collation.
    package var hasDatabaseCollation = false
    /// Its texts are compared byte by byte (collation "C"); true, too, of types without a collation.
    package var ordersBytes = false
    /// Filled from a sequence: serial, identity, `DEFAULT nextval(…)`.
    package var usesSequence: Bool { isIdentity || defaultExpression?.contains("nextval(") ?? false }
    /// The sequence gives each shard values of its own, and the column's type holds them.
    package var hasSlicedSequence = false
    /// Filled from a sequence that would repeat its values over the shards.
    package var usesWholeSequence: Bool { usesSequence && !hasSlicedSequence }

    package init(
        name: String, typeOID: UInt32, typeName: String, notNull: Bool = false, defaultExpression: String? = nil,
        defaultIsVolatile: Bool = false, isIdentity: Bool = false, isGenerated: Bool = false,
        hasDeterministicCollation: Bool = true
    ) {
        self.name = name
        self.typeOID = typeOID
        self.typeName = typeName
        self.notNull = notNull
        self.defaultExpression = defaultExpression
        self.defaultIsVolatile = defaultIsVolatile
        self.isIdentity = isIdentity
        self.isGenerated = isGenerated
        self.hasDeterministicCollation = hasDeterministicCollation
    }
}

/// A primary key, a unique or exclusion constraint, or a unique index.
package struct UniqueKey: Hashable, Sendable {
    package var name: String
    /// In order. The plain columns that must be equal, byte by byte, for two rows to collide: no expressions, no INCLUDE columns, none under a
    /// non-deterministic collation, and those of an exclusion constraint only with `=`.
    package var columns: [String]
    package var isPrimary: Bool
    package init(name: String, columns: [String], isPrimary: Bool) {
        self.name = name
        self.columns = columns
        self.isPrimary = isPrimary
    }
}

package struct ForeignKey: Hashable, Sendable {
    /// As `pg_constraint.confupdtype` and `confdeltype`.
    package enum Action: String, Hashable, Sendable {
        case none = "a", restrict = "r", cascade = "c", setNull = "n", setDefault = "d"
    }
    package var name: String
    package var columns: [String]
    package var target: QualifiedName
    package var targetColumns: [String]
    package var onUpdate: Action
    package var onDelete: Action
    /// The columns that ON DELETE SET NULL or SET DEFAULT changes.
    package var columnsSetOnDelete: [String]

    /// - columnsSetOnDelete: nil: all of `columns`.
    package init(
        name: String, columns: [String], target: QualifiedName, targetColumns: [String], onUpdate: Action = .none,
        onDelete: Action = .none, columnsSetOnDelete: [String]? = nil
    ) {
        self.name = name
        self.columns = columns
        self.target = target
        self.targetColumns = targetColumns
        self.onUpdate = onUpdate
        self.onDelete = onDelete
        self.columnsSetOnDelete = columnsSetOnDelete ?? columns
    }
}

package struct FunctionInfo: Hashable, Sendable {
    package enum Volatility: String, Hashable, Sendable { case immutable = "i", stable = "s", volatile = "v" }
    package var name: QualifiedName
    package var volatility: Volatility
    /// Not shipped with PostgreSQL, nor by a contributed extension whose functions look at their arguments only: its body may reach rows of any
    /// shard.
    package var isUserDefined: Bool
    package var isAggregate: Bool
    package var returnsSet: Bool
    /// A user's that is IMMUTABLE, or an aggregate of such functions: by its owner's word it looks at its arguments only, so that it says the same on every shard
    /// (docs/decisions/0095-immutable-functions.md).
    package var isPure = false
    /// What it does is known (`RoutineJudgement`).
    package var hasSource = false
    /// A user's, which may leave something in the server session beyond its transaction. One that is not volatile does not, by its owner's word.
    package var mayLeaveState: Bool
    package init(
        name: QualifiedName, volatility: Volatility, isUserDefined: Bool, isAggregate: Bool = false, returnsSet: Bool = false
    ) {
        self.name = name
        self.volatility = volatility
        self.isUserDefined = isUserDefined
        self.isAggregate = isAggregate
        self.returnsSet = returnsSet
        mayLeaveState = isUserDefined && volatility == .volatile
    }
}

/// All that the planner may look at besides the statement itself.
package struct PlanningContext: Sendable {
    package var schema: SchemaSnapshot
    /// Declared placements of the database.
    package var placements: [QualifiedName: Placement]
    package var keyColumnRules: [String]
    package var defaultPlacement: DefaultPlacement
    /// The session's effective search_path, `"$user"` resolved, schemas that do not exist left out; pg_catalog is searched first
    /// unless it is named.
    package var searchPath: [String]
    package var shardCount: Int
    /// The session's own. Of databases with several shards only.
    package var temporary = TemporaryRelations.none
    /// The session has taken another role: PostgreSQL leaves out the schemas of the path that the role of the moment may not use.
    package var changesRoles: Bool
    /// The session keeps the server session that it draws from: currval() and lastval() may be asked.
    package var keepsSequences = false

    package init(
        schema: SchemaSnapshot, placements: [QualifiedName: Placement] = [:], keyColumnRules: [String] = [],
        defaultPlacement: DefaultPlacement = .refuse, searchPath: [String] = ["public"], shardCount: Int = 4, changesRoles: Bool = false
    ) {
        self.changesRoles = changesRoles
        self.schema = schema
        self.placements = placements
        self.keyColumnRules = keyColumnRules
        self.defaultPlacement = defaultPlacement
        self.searchPath = searchPath
        self.shardCount = shardCount
    }

    /// A name without a schema may mean another object than the first one of that name on the path. With one shard that makes no difference.
    var isPathUncertain: Bool { changesRoles && searchPath.count > 1 && shardCount > 1 }
}

extension SchemaSnapshot {
    /// The schemas to search, those that do not exist left out; `"$user"` stands for the router's role and any of `roles`.
    package func resolve(searchPath: [String], roles: [String]) -> [String] {
        searchPath.flatMap { $0 == "$user" ? [currentUser] + roles : [$0] }.filter { $0.isNormalized && schemas.contains($0) }
    }
}
