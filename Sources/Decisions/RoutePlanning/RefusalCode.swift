/// One code a refused shape. The raw value is public: it stands in DETAIL, in REST answers and in `docs/reference/refusals.md`.
package enum RefusalCode: String, Hashable, Sendable, CaseIterable {
    // Which shard?
    case noKey = "PGM-NO-KEY"
    case manyShards = "PGM-MANY-SHARDS"
    case secondShard = "PGM-SECOND-SHARD"
    case mixedPlacements = "PGM-MIXED-PLACEMENTS"
    case catalogJoin = "PGM-CATALOG-JOIN"
    // The key's value
    case keyIsNull = "PGM-KEY-NULL"
    case keyType = "PGM-KEY-TYPE"
    case keyMissing = "PGM-KEY-MISSING"
    case keyExpression = "PGM-KEY-EXPRESSION"
    case keyUpdate = "PGM-KEY-UPDATE"
    case keyColumn = "PGM-KEY-COLUMN"
    // What the statement names
    case unknownTable = "PGM-UNKNOWN-TABLE"
    case unplacedTable = "PGM-UNPLACED-TABLE"
    case unknownFunction = "PGM-UNKNOWN-FUNCTION"
    case userFunction = "PGM-USER-FUNCTION"
    case serverFunction = "PGM-SERVER-FUNCTION"
    case sessionFunction = "PGM-SESSION-FUNCTION"
    case sequenceFunction = "PGM-SEQUENCE"
    case shardSize = "PGM-SHARD-SIZE"
    case userOperator = "PGM-USER-OPERATOR"
    case view = "PGM-VIEW"
    case relationKind = "PGM-RELATION-KIND"
    case rules = "PGM-RULES"
    case rowSecurity = "PGM-ROW-SECURITY"
    case temporary = "PGM-TEMPORARY"
    case sampling = "PGM-SAMPLING"
    // Writes to reference tables
    case volatileReferenceWrite = "PGM-REFERENCE-VOLATILE"
    case unorderedReferenceWrite = "PGM-REFERENCE-ORDER"
    case referenceWriteSource = "PGM-REFERENCE-SOURCE"
    case referenceLock = "PGM-REFERENCE-LOCK"
    // Statements
    case multipleStatements = "PGM-MULTIPLE-STATEMENTS"
    case merge = "PGM-MERGE"
    case createTableAs = "PGM-CREATE-TABLE-AS"
    case explainAnalyze = "PGM-EXPLAIN-ANALYZE"
    case holdCursor = "PGM-HOLD-CURSOR"
    case sqlPrepare = "PGM-SQL-PREPARE"
    case listen = "PGM-LISTEN"
    case lockTable = "PGM-LOCK-TABLE"
    case twoPhase = "PGM-TWO-PHASE"
    case setting = "PGM-SETTING"
    case role = "PGM-ROLE"
    case copyFile = "PGM-COPY-FILE"
    case copyFormat = "PGM-COPY-FORMAT"
    case copyOption = "PGM-COPY-OPTION"
    case copyWholeTable = "PGM-COPY-WHOLE-TABLE"
    case mosaicCall = "PGM-MOSAIC-CALL"
    case tooComplex = "PGM-TOO-COMPLEX"
    case unsupported = "PGM-UNSUPPORTED"
}

extension Refusal {
    package var sqlState: String { code.sqlState }
    package var message: String { code.message }
    package var hint: String { code.hint }
}
