internal import ShardModel

/// Makes a `SchemaSnapshot` of the rows that `SchemaQueries.all` gave.
package enum SchemaDecoder {
    /// A result does not have the shape of its query: its place in `SchemaQueries.all`, and what is wrong.
    package struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        package var query: Int
        package var reason: String
        package var description: String { "the answer to schema query \(query) is malformed: \(reason)" }
    }

    /// - rows: for each query of `SchemaQueries.all`, in order, its rows of columns as text.
    package static func snapshot(_ rows: [[[String?]]], generation: SchemaGeneration) throws(Malformed) -> SchemaSnapshot {
        guard rows.count == SchemaQueries.Part.allCases.count else {
            throw Malformed(query: rows.count, reason: "\(SchemaQueries.Part.allCases.count) results are expected")
        }
        var snapshot = SchemaSnapshot(schemas: [], generation: generation)
        var sources: [QualifiedName: [String]] = [:]
        for part in SchemaQueries.Part.allCases {
            for columns in rows[part.rawValue] {
                let row = Row(columns, part)
                try read(row, part, &snapshot)
                if part == .functions, let source = row[6] { sources[try row.name(0), default: []].append(source) }
            }
        }
        closeViews(&snapshot)
        RoutineJudgement.judge(&snapshot, sources: sources)
        return snapshot
    }

    /// - rows: for each query of `SchemaQueries.temporary`, in order.
    package static func temporary(_ rows: [[[String?]]], generation: UInt64) throws(Malformed) -> TemporaryRelations {
        guard rows.count == SchemaQueries.temporaryParts.count else {
            throw Malformed(query: rows.count, reason: "\(SchemaQueries.temporaryParts.count) results are expected")
        }
        var snapshot = SchemaSnapshot(schemas: [])
        for (part, rows) in zip(SchemaQueries.temporaryParts, rows) {
            for columns in rows { try read(Row(columns, part), part, &snapshot) }
        }
        closeViews(&snapshot)
        guard let schema = snapshot.relations.first?.key.schema else { return .none }
        let named = { (name: QualifiedName) in name.schema == schema ? QualifiedName(schema: TemporaryRelations.schema, name: name.name) : name }
        let relations = snapshot.relations.values.map { relation in
            var relation = relation
            relation.name = named(relation.name)
            relation.parent = relation.parent.map(named)
            relation.viewSources = relation.viewSources.map(named)
            for index in relation.foreignKeys.indices { relation.foreignKeys[index].target = named(relation.foreignKeys[index].target) }
            return (relation.name.name, relation)
        }
        return TemporaryRelations(relations: Dictionary(uniqueKeysWithValues: relations), generation: generation)
    }

    private static func read(_ row: Row, _ part: SchemaQueries.Part, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        // A statement cannot name it (`RefusalCode.nameForm`); here it could be taken for another one.
        guard part.names.allSatisfy({ row[$0]?.isNormalized ?? true }) else { return try leaveOut(row, part, &snapshot) }
        switch part {
        case .session:
            snapshot.currentUser = try row.text(0)
            snapshot.defaultSearchPath = SearchPathText.schemas(try row.text(1))
        case .schemas: snapshot.schemas.insert(try row.text(0))
        case .relations: try readRelation(row, &snapshot)
        case .columns: try readColumn(row, &snapshot)
        case .uniqueKeys: try readUniqueKey(row, &snapshot)
        case .foreignKeys: try readForeignKey(row, &snapshot)
        case .views: snapshot.relations[try row.name(0)]?.viewSources.append(try row.name(2))
        case .viewFunctions: snapshot.relations[try row.name(0)]?.viewFunctions.append(try row.name(2))
        case .functions: try readFunction(row, &snapshot)
        case .collations: snapshot.nondeterministicCollations.insert(try row.name(0))
        case .typeDefaults:
            snapshot.typeDefaults[try row.name(0)] = .init(expression: try row.text(2), isVolatile: try row.bool(3))
        case .operators:
            if try row.bool(2) { snapshot.equalitySchemas.insert(try row.text(0)) }
            guard try row.bool(3) else { return }
            snapshot.userOperators.insert(try row.name(0))
            if try row.bool(4) { snapshot.volatileOperators.insert(try row.name(0)) }
        case .definitions: try readDefinition(row, &snapshot)
        }
    }

    /// A relation that has something with a name of another form is there, and used by no statement.
    private static func leaveOut(_ row: Row, _ part: SchemaQueries.Part, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        guard part.isOfRelation else { return }
        let relation = try row.name(0)
        guard relation.schema.isNormalized, relation.name.isNormalized else { return }
        snapshot.relations[relation]?.hasMisnamedPart = true
    }

    private static func readRelation(_ row: Row, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        let name = try row.name(0)
        guard let kind = Relation.Kind(rawValue: try row.text(2)) else { throw row.malformed("relation kind") }
        var relation = Relation(
            name: name, kind: kind, columns: [], hasTriggers: try row.bool(3), hasRules: try row.bool(4), hasRowSecurity: try row.bool(5),
            parent: row[7] == nil ? nil : try row.name(7))
        relation.hasMisnamedPart = relation.parent.map { !$0.schema.isNormalized || !$0.name.isNormalized } ?? false
        relation.isUnlogged = try row.bool(6)
        relation.isSlicedSequence = try row.bool(9)
        snapshot.relations[name] = relation
    }

    private static func readDefinition(_ row: Row, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        var text = try row.text(2)[...]
        while let last = text.last, last == ";" || last.isWhitespace { text.removeLast() }
        snapshot.relations[try row.name(0)]?.definition = String(text)
        snapshot.definitionPath = try row.text(3).split(separator: "\u{1}").map(String.init)
    }

    private static func readColumn(_ row: Row, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        guard let type = UInt32(try row.text(3)) else { throw row.malformed("type oid") }
        var column = Column(
            name: try row.text(2), typeOID: type, typeName: try row.text(4), notNull: try row.bool(5), defaultExpression: row[6],
            defaultIsVolatile: try row.bool(7), isIdentity: try row.bool(8), isGenerated: try row.bool(9),
            hasDeterministicCollation: try row.bool(10))
        column.hasSlicedSequence = try row.bool(11)
        column.hasDatabaseCollation = try row.bool(12)
        column.ordersBytes = try row.bool(13)
        snapshot.relations[try row.name(0)]?.columns.append(column)
    }

    private static func readUniqueKey(_ row: Row, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        let (table, name) = (try row.name(0), try row.text(2))
        let columns = row[4].map { [$0] } ?? []
        guard var relation = snapshot.relations[table] else { return }
        if relation.uniqueKeys.last?.name == name {
            relation.uniqueKeys[relation.uniqueKeys.count - 1].columns += columns
        } else {
            relation.uniqueKeys.append(UniqueKey(name: name, columns: columns, isPrimary: try row.bool(3)))
        }
        snapshot.relations[table] = relation
    }

    private static func readForeignKey(_ row: Row, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        let (table, name, target) = (try row.name(0), try row.text(2), try row.name(3))
        let (column, targetColumn) = (try row.text(5), try row.text(6))
        let set = try row.bool(9) ? [column] : []
        guard let onUpdate = ForeignKey.Action(rawValue: try row.text(7)), let onDelete = ForeignKey.Action(rawValue: try row.text(8)) else {
            throw row.malformed("foreign key action")
        }
        guard var relation = snapshot.relations[table] else { return }
        if let last = relation.foreignKeys.indices.last, relation.foreignKeys[last].name == name {
            relation.foreignKeys[last].columns.append(column)
            relation.foreignKeys[last].targetColumns.append(targetColumn)
            relation.foreignKeys[last].columnsSetOnDelete += set
        } else {
            relation.foreignKeys.append(
                ForeignKey(
                    name: name, columns: [column], target: target, targetColumns: [targetColumn], onUpdate: onUpdate,
                    onDelete: onDelete, columnsSetOnDelete: set))
        }
        snapshot.relations[table] = relation
    }

    private static func readFunction(_ row: Row, _ snapshot: inout SchemaSnapshot) throws(Malformed) {
        guard let volatility = FunctionInfo.Volatility(rawValue: try row.text(2)) else { throw row.malformed("volatility") }
        let name = try row.name(0)
        var function = FunctionInfo(
            name: name, volatility: volatility, isUserDefined: try row.bool(3), isAggregate: try row.bool(4), returnsSet: try row.bool(5))
        function.hasSource = row[6] != nil
        function.isPure = try row.bool(7)
        snapshot.functions[name, default: []].append(function)
    }

    /// Adds to each view what the views it reads read, and call.
    private static func closeViews(_ snapshot: inout SchemaSnapshot) {
        let direct = snapshot.relations.values.filter { !$0.viewSources.isEmpty }
        let edges = Dictionary(uniqueKeysWithValues: direct.map { ($0.name, $0.viewSources) })
        let calls = Dictionary(uniqueKeysWithValues: snapshot.relations.values.filter { !$0.viewFunctions.isEmpty }.map { ($0.name, $0.viewFunctions) })
        for view in direct {
            var seen: Set<QualifiedName> = []
            var open = view.viewSources
            while let next = open.popLast() {
                guard seen.insert(next).inserted else { continue }
                open += edges[next] ?? []
            }
            snapshot.relations[view.name]?.viewSources = seen.sorted()
            let called = seen.union([view.name]).flatMap { calls[$0] ?? [] }
            snapshot.relations[view.name]?.viewFunctions = Set(called).sorted()
        }
    }

    private struct Row {
        let columns: [String?]
        let part: SchemaQueries.Part
        init(_ columns: [String?], _ part: SchemaQueries.Part) {
            self.columns = columns
            self.part = part
        }
        subscript(index: Int) -> String? { index < columns.count ? columns[index] : nil }
        func text(_ index: Int) throws(Malformed) -> String {
            guard let text = self[index] else { throw malformed("column \(index) is missing") }
            return text
        }
        func bool(_ index: Int) throws(Malformed) -> Bool {
            switch try text(index) {
            case "t": return true
            case "f": return false
            default: throw malformed("column \(index) is no boolean")
            }
        }
        func name(_ index: Int) throws(Malformed) -> QualifiedName {
            QualifiedName(schema: try text(index), name: try text(index + 1))
        }
        func malformed(_ reason: String) -> Malformed { Malformed(query: part.rawValue, reason: reason) }
    }
}

/// The value of search_path as SHOW gives it: `"$user", public`.
package enum SearchPathText {
    /// The names, their ASCII letters in lower case where not quoted, `"$user"` as `$user`; empty names left out.
    package static func schemas(_ text: String) -> [String] {
        var result: [String] = []
        // Scalars: a quote with a combining mark behind it is one Character, and another one.
        var rest = text.unicodeScalars[...]
        while !rest.isEmpty {
            rest = rest.drop { $0 == "," || $0.properties.isWhitespace }
            guard rest.first == "\"" else {
                let word = rest.prefix { $0 != "," }
                rest = rest[word.endIndex...]
                let name = word.reversed().drop(while: \.properties.isWhitespace).reversed()
                if !name.isEmpty { result.append(String(String.UnicodeScalarView(name)).lowercasedASCII) }
                continue
            }
            rest.removeFirst()
            var name = String.UnicodeScalarView()
            while let scalar = rest.popFirst() {
                if scalar == "\"" {
                    guard rest.first == "\"" else { break }
                    rest.removeFirst()
                }
                name.append(scalar)
            }
            if !name.isEmpty { result.append(String(name)) }
        }
        return result
    }
}
