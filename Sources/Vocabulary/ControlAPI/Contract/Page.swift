/// One page of an ordered list; `next_cursor` is there when more follow.
package struct Page<Item: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
    package var items: [Item]
    /// Give it back as `?cursor=`; opaque to clients.
    package var nextCursor: String?

    package enum CodingKeys: String, CodingKey {
        case items
        case nextCursor = "next_cursor"
    }

    package init(items: [Item], nextCursor: String? = nil) {
        self.items = items
        self.nextCursor = nextCursor
    }
}

/// Which part of a list: `?limit=&cursor=`.
///
/// A cursor is the last name of the page before, hex-encoded: the list goes on after it even when that item is gone meanwhile.
package struct PageRequest: Hashable, Sendable {
    package static let limitDefault = 100
    package static let limitMax = 1000
    /// UTF-8 in hexadecimal digits; for the OpenAPI document.
    package static let cursorPattern = {
        let tail = "[89ab][0-9a-f]"
        let two = "(c[2-9a-f]|d[0-9a-f])\(tail)"
        let three = "(e0[ab][0-9a-f]|e[1-9a-cef]\(tail)|ed[89][0-9a-f])\(tail)"
        let four = "(f0[9ab][0-9a-f]|f[1-3]\(tail)|f48[0-9a-f])\(tail)\(tail)"
        return "^([0-7][0-9a-f]|\(two)|\(three)|\(four))*$"
    }()

    package var limit: Int
    package var after: String?

    package init(limit: String?, cursor: String?) throws(APIError) {
        if let limit {
            guard let number = Int(limit), (1...Self.limitMax).contains(number) else {
                throw APIError(.invalidRequest, "limit must be an integer from 1 to \(Self.limitMax)")
            }
            self.limit = number
        } else {
            self.limit = Self.limitDefault
        }
        if let cursor {
            guard let after = Self.decode(cursor) else { throw APIError(.invalidRequest, "cursor is not one of ours") }
            self.after = after
        }
    }

    /// The page of `items`, which must be sorted by `name`.
    package func page<Item>(of items: [Item], name: (Item) -> String) -> Page<Item> {
        let rest = after.map { after in items.drop { name($0) <= after } } ?? items[...]
        let page = Array(rest.prefix(limit))
        let next = rest.count > limit ? page.last.map { Self.encode(name($0)) } : nil
        return Page(items: page, nextCursor: next)
    }

    /// Where a list goes on that is not sorted here.
    package static func cursor(after name: String) -> String { encode(name) }

    private static func encode(_ name: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: name.utf8.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func decode(_ cursor: String) -> String? {
        let digits = cursor.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count.isMultiple(of: 2), digits.count <= 1024, !digits.contains(nil) else { return nil }
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0]! << 4 | digits[$0 + 1]!) }
        return String(validating: bytes, as: UTF8.self)
    }
}
