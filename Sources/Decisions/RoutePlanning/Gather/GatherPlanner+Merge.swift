internal import CPGQuery
internal import SQLSyntax

/// Whether rows in an order can be merged by the router itself.
extension GatherPlanner {
    /// nil: PostgreSQL has to put them together.
    ///
    /// - text: what `combination` asks the shards for, places in it not yet shifted.
    func merge(_ combination: GatherCombination, _ text: PartText) -> GatherMerge? {
        // A column merged by USING may be of a third type.
        guard combination.columns.allSatisfy({ $0 == .value }), scope.merged.isEmpty, let output = analyzer.topOutput else { return nil }
        var text = text
        var keys: [GatherMerge.Key] = []
        // The shards' rows have the columns besides first, those of the copies behind the others.
        var places: [(copy: Int?, own: Int)] = []
        for item in combination.order {
            guard let column = mergedColumn(item, combination, output), let type = mergedType(column.typeOID, item) else { return nil }
            var copy: Int?
            if item.place < combination.width, !type.isReadAsText {
                guard select.pointee.n_distinct_clause == 0, let name = reference(to: item.place, output), let place = text.add(column: name) else { return nil }
                copy = place
            }
            places.append((copy, item.place))
            keys.append(GatherMerge.Key(place: 0, type: type, isDescending: item.isDescending, nullsFirst: item.nullsFirst))
        }
        let hidden = text.columns.count
        for (number, place) in places.enumerated() {
            keys[number].place = place.copy ?? (place.own < combination.width ? hidden + place.own : place.own - combination.width)
        }
        guard shiftPlaces(&text) else { return nil }
        return GatherMerge(keys: keys, hidden: hidden, text: text.edited)
    }

    private func mergedType(_ oid: UInt32, _ item: GatherCombination.Order) -> MergedType? {
        guard let type = MergedType(oid: oid) else { return nil }
        if item.isByteOrder { return type.isText ? type : nil }
        return !type.isText || CollationProof(analyzer, select).isBytes ? type : nil
    }

    private func mergedColumn(_ item: GatherCombination.Order, _ combination: GatherCombination, _ output: QueryOutput) -> OutputColumn? {
        if item.place < combination.width { return output.columns.indices.contains(item.place) ? output.columns[item.place] : nil }
        guard let fields = item.source else { return nil }
        return scope.column(fields)
    }

    /// The column of the select list as it can be written once more.
    private func reference(to place: Int, _ output: QueryOutput) -> String? {
        guard output.expressions.indices.contains(place) else { return nil }
        if let expression = output.expressions[place] {
            guard expression.kind == PG_QUERY__NODE__NODE_COLUMN_REF, let fields = fields(expression), scope.column(fields) != nil else { return nil }
            return Self.quoted(fields)
        }
        // Of a star: by its name, where no other table has it.
        let name = output.columns[place].name
        return scope.column([name]) == nil ? nil : Self.quoted([name])
    }
}
