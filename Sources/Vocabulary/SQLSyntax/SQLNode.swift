package import CPGQuery

/// A node of the parse tree: `pointee.node_case` says which member of its union is set. Borrowed from a `ParsedSQL`.
package typealias SQLNode = UnsafeMutablePointer<PgQuery__Node>

extension UnsafeMutablePointer where Pointee == PgQuery__Node {
    package var kind: PgQuery__Node__NodeCase { pointee.node_case }

    /// The text of a `String` node; nil for others.
    package var stringValue: String? {
        guard kind == PG_QUERY__NODE__NODE_STRING else { return nil }
        return String(cString: pointee.string.pointee.sval)
    }

    /// The name of the node's type in the grammar ("SelectStmt"), for messages.
    package var kindName: String {
        guard let child = MessageField.allSet(in: UnsafeMutableRawPointer(self)).first?.message else { return "Node" }
        return String(cString: MessageField.descriptor(of: child).pointee.short_name)
    }

    /// The elements, for a `List` node; the node alone otherwise.
    package var listItems: [SQLNode] {
        guard kind == PG_QUERY__NODE__NODE_LIST else { return [self] }
        return Array(NodeList(pointee.list.pointee.n_items, pointee.list.pointee.items))
    }
}

// The walker follows protobuf-c's own field descriptors, so that it cannot miss a field or a kind of node: what the
// grammar can produce, it visits.

extension UnsafeMutablePointer where Pointee == PgQuery__Node {
    /// Visits this node and all below it, parents first, in field order.
    ///
    /// `visit` returns whether to go below the node.
    package func forEachNode<E: Error>(_ visit: (SQLNode) throws(E) -> Bool) throws(E) {
        guard try visit(self) else { return }
        try forEachChild { (child) throws(E) in try child.forEachNode(visit) }
    }

    /// The nodes directly below this one. Structs that stand in the tree without a `Node` around them (a `RangeVar` in an INSERT, the arms of
    /// a UNION, a WITH clause) are looked through: their child nodes are visited in their place.
    package func forEachChild<E: Error>(_ visit: (SQLNode) throws(E) -> Void) throws(E) {
        for field in MessageField.allSet(in: UnsafeMutableRawPointer(self)) {
            try Self.visitNodes(in: field.message, visit)
        }
    }

    private static func visitNodes<E: Error>(
        in message: UnsafeMutableRawPointer, _ visit: (SQLNode) throws(E) -> Void
    ) throws(E) {
        for field in MessageField.allSet(in: message) {
            if MessageField.isNode(field.message) {
                try visit(field.message.assumingMemoryBound(to: PgQuery__Node.self))
            } else {
                try visitNodes(in: field.message, visit)
            }
        }
    }

    /// Every struct below this node, `Node` or not, by the name of its type ("RangeVar"), with the address of the struct.
    package func forEachStruct<E: Error>(_ visit: (String, UnsafeMutableRawPointer) throws(E) -> Void) throws(E) {
        try Self.forEachStruct(below: UnsafeMutableRawPointer(self), visit)
    }

    /// The same below a message that is no node.
    package static func forEachStruct<E: Error>(
        below message: UnsafeMutableRawPointer, _ visit: (String, UnsafeMutableRawPointer) throws(E) -> Void
    ) throws(E) {
        for field in MessageField.allSet(in: message) {
            if !MessageField.isNode(field.message) {
                try visit(String(cString: MessageField.descriptor(of: field.message).pointee.short_name), field.message)
            }
            try forEachStruct(below: field.message, visit)
        }
    }
}
