public import NIOCore

/// Values with a length word each (-1 is NULL): the parameters of Bind, the columns of DataRow. A view; nothing is copied.
@usableFromInline package struct FieldList: Hashable, Sendable {
    @usableFromInline let bytes: ByteBuffer
    /// How many values there are.
    @usableFromInline package let count: Int

    /// Checks every length of the `count` values at the reader index of `body`, and moves behind them.
    init(reading count: Int, from body: inout ByteBuffer, kind: UInt8) throws(WireError) {
        let start = body.readerIndex
        let end = body.writerIndex
        var index = start
        for _ in 0..<count {
            guard let length = body.getInteger(at: index, as: Int32.self) else { throw WireError(.truncated, kind: kind) }
            index &+= 4
            guard length >= -1 else { throw WireError(.invalidLength, kind: kind) }
            if length > 0 {
                guard Int(length) <= end &- index else { throw WireError(.truncated, kind: kind) }
                index &+= Int(length)
            }
        }
        guard let bytes = body.readSlice(length: index - start) else { throw WireError(.truncated, kind: kind) }
        self.bytes = bytes
        self.count = count
    }

    /// Bytes that have been read this way before.
    init(checked bytes: ByteBuffer, count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// The value at `index`, nil for NULL. Walks the values before it: use a `Cursor` for several.
    @inlinable
    package subscript(index: Int) -> ByteBuffer? {
        var cursor = Cursor(self)
        return cursor.value(at: index)
    }

    @inlinable package func makeCursor() -> Cursor { Cursor(self) }

    /// A place in the list. Going forward costs what lies between; going back starts again.
    @usableFromInline package struct Cursor {
        @usableFromInline let list: FieldList
        @usableFromInline var offset: Int
        @usableFromInline var position = 0

        @inlinable
        init(_ list: FieldList) {
            self.list = list
            offset = list.bytes.readerIndex
        }

        /// The value at `index`, nil for NULL. `index` is the caller's own, below `count`.
        @inlinable
        package mutating func value(at index: Int) -> ByteBuffer? {
            precondition(index >= 0 && index < list.count, "field index out of range")
            if index < position {
                offset = list.bytes.readerIndex
                position = 0
            }
            while position < index { _ = next() }
            return next()
        }

        /// The next value, nil for NULL. Only while `position` is below the list's count.
        @inlinable
        mutating func next() -> ByteBuffer? {
            // The lengths were checked by the list's init.
            let length = Int(list.bytes.getInteger(at: offset, as: Int32.self) ?? -1)
            offset &+= 4
            position &+= 1
            guard length >= 0 else { return nil }
            defer { offset &+= length }
            return list.bytes.getSlice(at: offset, length: length)
        }
    }
}

extension FieldList: Sequence {
    @usableFromInline package struct Iterator: IteratorProtocol {
        @usableFromInline var cursor: Cursor

        @inlinable
        init(_ cursor: Cursor) { self.cursor = cursor }

        @inlinable
        package mutating func next() -> ByteBuffer?? {
            guard cursor.position < cursor.list.count else { return nil }
            return .some(cursor.next())
        }
    }

    @inlinable package func makeIterator() -> Iterator { Iterator(Cursor(self)) }
    @inlinable package var underestimatedCount: Int { count }
}
