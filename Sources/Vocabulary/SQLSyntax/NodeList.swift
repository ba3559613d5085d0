internal import CPGQuery

/// A repeated field of the tree, `NodeList(statement.n_target_list, statement.target_list)`.
package struct NodeList: RandomAccessCollection {
    private let base: UnsafeMutablePointer<SQLNode?>?
    package let endIndex: Int
    package var startIndex: Int { 0 }

    package init(_ count: Int, _ base: UnsafeMutablePointer<SQLNode?>?) {
        self.base = base
        endIndex = base == nil ? 0 : count
    }

    package subscript(index: Int) -> SQLNode {
        precondition(index >= 0 && index < endIndex)
        // protobuf-c never leaves an element of a repeated message field unset.
        return base![index]!
    }
}

extension NodeList {
    /// The texts of a list of `String` nodes (a qualified name); nil if there is anything else in it (`*`, an index).
    package var strings: [String]? {
        var result: [String] = []
        result.reserveCapacity(count)
        for node in self {
            guard let text = node.stringValue else { return nil }
            result.append(text)
        }
        return result
    }
}

/// A C string field; protobuf-c has "" for an unset one.
package func string(_ field: UnsafePointer<CChar>?) -> String {
    field.map { String(cString: $0) } ?? ""
}
package func string(_ field: UnsafeMutablePointer<CChar>?) -> String {
    field.map { String(cString: $0) } ?? ""
}
