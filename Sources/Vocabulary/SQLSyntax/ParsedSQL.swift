internal import CPGQuery

/// The parse tree of one query string, as PostgreSQL's own parser made it.
///
/// Owns the tree: the nodes that `ParsedStatement` hands out live as long as some `ParsedStatement` or this object does.
/// Cost: 20 to 30 µs for a short statement, one allocation a node.
package final class ParsedSQL {
    /// Bounds that hold before anything is allocated for the tree.
    package struct Limits: Hashable, Sendable {
        /// Bytes of text.
        package var sizeMax: Int
        /// Tree levels, as `NestingBound` estimates them from above. The parser, protobuf-c and our walkers recurse: about 2 KiB of
        /// stack a level was measured for libpg_query, which crashes at 4,500 levels on 8 MiB.
        package var nestingMax: Int
        package init(sizeMax: Int = 1 << 20, nestingMax: Int = 1000) {
            self.sizeMax = sizeMax
            self.nestingMax = nestingMax
        }
    }

    private let tree: UnsafeMutablePointer<PgQuery__ParseResult>
    /// The query string, zero-terminated.
    private let text: [UInt8]

    private init(tree: UnsafeMutablePointer<PgQuery__ParseResult>, text: [UInt8]) {
        self.tree = tree
        self.text = text
    }

    deinit {
        pg_query__parse_result__free_unpacked(tree, nil)
    }

    package static func parse(_ text: String, limits: Limits = Limits()) throws(SyntaxError) -> ParsedSQL {
        try parse(bytes: Array(text.utf8), limits: limits)
    }

    /// `bytes` without a terminating zero.
    package static func parse(bytes: [UInt8], limits: Limits = Limits()) throws(SyntaxError) -> ParsedSQL {
        guard bytes.count <= limits.sizeMax else { throw .tooLong }
        guard !bytes.contains(0) else { throw .containsNUL }
        guard NestingBound.estimate(bytes.span.bytes) <= limits.nestingMax else { throw .tooDeep }
        let text = bytes + [0]
        return ParsedSQL(tree: try unpack(text), text: text)
    }

    private static func unpack(_ text: [UInt8]) throws(SyntaxError) -> UnsafeMutablePointer<PgQuery__ParseResult> {
        let result = text.withUnsafeBytes { pg_query_parse_protobuf($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
        defer { pg_query_free_protobuf_parse_result(result) }
        if let error = result.error {
            let position = Int(error.pointee.cursorpos)
            throw .fromParser(String(cString: error.pointee.message), position: position > 0 ? position : nil)
        }
        let packed = UnsafeRawPointer(result.parse_tree.data!).assumingMemoryBound(to: UInt8.self)
        guard let tree = pg_query__parse_result__unpack(nil, result.parse_tree.len, packed) else {
            // The library cannot read what it wrote: its two halves differ in version.
            throw SyntaxError(message: "the parser's answer could not be read", sqlState: "XX000")
        }
        return tree
    }

    /// In text order; empty for a text of blanks and comments.
    package var statements: [ParsedStatement] {
        (0..<tree.pointee.n_stmts).compactMap { index in
            guard let raw = tree.pointee.stmts[index], let node = raw.pointee.stmt else { return nil }
            // Length 0 stands for "to the end of the text".
            let start = Int(raw.pointee.stmt_location)
            let length = raw.pointee.stmt_len == 0 ? text.count - 1 - start : Int(raw.pointee.stmt_len)
            return ParsedStatement(owner: self, node: node, range: start..<(start + length))
        }
    }

    /// The whole query string's bytes.
    package var bytes: ArraySlice<UInt8> { text.dropLast() }
}

/// One statement of a query string.
package struct ParsedStatement {
    package let owner: ParsedSQL
    /// The statement's node (`SelectStmt`, `CreateStmt`, …). Valid while this value, or a copy of it, is alive.
    package let node: SQLNode
    /// Its bytes within the query string. Node locations count from the start of the query string, not of the statement.
    package let range: Range<Int>

    fileprivate init(owner: ParsedSQL, node: SQLNode, range: Range<Int>) {
        self.owner = owner
        self.node = node
        self.range = range
    }

    /// The statement's own text, without the semicolon.
    package var text: String {
        let bytes = owner.bytes[range]
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        let start = bytes.firstIndex { !isBlank($0) } ?? bytes.endIndex
        return String(decoding: bytes[start...], as: UTF8.self)
    }
}
