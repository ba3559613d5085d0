public import NIOCore

/// The kind and the length of the message that starts at a place in a buffer.
@usableFromInline package struct FrameHeader: Hashable, Sendable {
    /// Kind byte and length word.
    @inlinable package static var length: Int { 5 }

    @usableFromInline package let kind: UInt8
    /// Kind byte, length word and body: where the next message starts.
    @usableFromInline package let totalLength: Int

    @inlinable
    package init(kind: UInt8, totalLength: Int) {
        self.kind = kind
        self.totalLength = totalLength
    }

    @inlinable package var bodyLength: Int { totalLength - FrameHeader.length }

    /// The header at `index` (by default at the reader index), nil while fewer than five bytes are there.
    ///
    /// The frame need not be complete: compare `totalLength` with what is readable. The declared length is checked here, so that no one
    /// allocates for a length that is a lie.
    ///
    /// Throws: `invalidLength` below 4, `messageTooLarge` beyond `limit` (which counts the whole message).
    @inlinable
    package static func next(in buffer: ByteBuffer, at index: Int? = nil, limit: Int) throws(WireError) -> FrameHeader? {
        let start = index ?? buffer.readerIndex
        guard let kind = buffer.getInteger(at: start, as: UInt8.self),
            let length = buffer.getInteger(at: start &+ 1, as: Int32.self)
        else { return nil }
        guard length >= 4 else { throw WireError(.invalidLength, kind: kind) }
        let total = Int(length) &+ 1
        guard total <= limit else { throw WireError(.messageTooLarge, kind: kind) }
        return FrameHeader(kind: kind, totalLength: total)
    }
}

/// One whole message, its body sharing the storage of the buffer it came in.
@usableFromInline package struct Frame: Hashable, Sendable {
    @usableFromInline package let kind: UInt8
    @usableFromInline package let body: ByteBuffer

    @inlinable
    package init(kind: UInt8, body: ByteBuffer) {
        self.kind = kind
        self.body = body
    }
}

extension ByteBuffer {
    /// Takes the next whole message, nil while it is incomplete.
    @inlinable
    package mutating func readFrame(limit: Int) throws(WireError) -> Frame? {
        guard let header = try FrameHeader.next(in: self, limit: limit), readableBytes >= header.totalLength else { return nil }
        moveReaderIndex(forwardBy: FrameHeader.length)
        guard let body = readSlice(length: header.bodyLength) else { return nil }
        return Frame(kind: header.kind, body: body)
    }

    /// The body of the message at `index` (by default at the reader index), which must be complete.
    @inlinable
    package func frameBody(_ header: FrameHeader, at index: Int? = nil) -> ByteBuffer? {
        getSlice(at: (index ?? readerIndex) &+ FrameHeader.length, length: header.bodyLength)
    }

    /// Appends one message; its length is filled in after `body` has written its content.
    @inlinable
    package mutating func writeFrame(_ kind: UInt8, _ body: (inout ByteBuffer) -> Void) {
        writeInteger(kind)
        let lengthIndex = writerIndex
        writeInteger(0 as Int32)
        body(&self)
        setInteger(Int32(writerIndex &- lengthIndex), at: lengthIndex)
    }

    /// Appends a message without content.
    @inlinable
    package mutating func writeEmptyFrame(_ kind: UInt8) {
        writeMultipleIntegers(kind, 4 as Int32)
    }
}
