public import NIOCore

/// CopyInResponse, CopyOutResponse, CopyBothResponse: the server is ready to take, or about to send, copied data.
package struct CopyResponse: Hashable, Sendable {
    package let format: WireFormat
    package let columnFormats: [WireFormat]

    package init(format: WireFormat, columnFormats: [WireFormat]) {
        self.format = format
        self.columnFormats = columnFormats
    }

    package init(body: ByteBuffer, kind: UInt8 = BackendKind.copyInResponse) throws(WireError) {
        var body = body
        guard let format = WireFormat(rawValue: Int16(try body.readChecked(UInt8.self, kind: kind))) else {
            throw WireError(.unsupportedFormat, kind: kind)
        }
        self.format = format
        let count = Int(try body.readChecked(UInt16.self, kind: kind))
        guard body.readableBytes >= count * 2 else { throw WireError(.truncated, kind: kind) }
        var formats: [WireFormat] = []
        formats.reserveCapacity(count)
        for _ in 0..<count {
            guard let format = WireFormat(rawValue: try body.readChecked(Int16.self, kind: kind)) else {
                throw WireError(.unsupportedFormat, kind: kind)
            }
            formats.append(format)
        }
        columnFormats = formats
        try body.requireEmpty(kind: kind)
    }
}

/// CopyFail: the client gives up its COPY, with the reason.
package struct CopyFail: Hashable, Sendable {
    package let reason: String

    package init(body: ByteBuffer) throws(WireError) {
        var body = body
        reason = try body.readCStringRepairing(kind: FrontendKind.copyFail)
        try body.requireEmpty(kind: FrontendKind.copyFail)
    }
}

extension ByteBuffer {
    package mutating func writeCopyData(_ data: ByteBuffer) {
        writeFrame(FrontendKind.copyData) { $0.writeImmutableBuffer(data) }
    }

    /// What stands before the content of a CopyData message, which is written behind it.
    package mutating func writeCopyDataHeader(length: Int) {
        writeInteger(FrontendKind.copyData)
        writeInteger(Int32(length + 4))
    }

    /// The length of the run of whole CopyData messages that the buffer begins with: 0 where it begins with another message, or a part of one.
    package func copyDataRunLength(limit: Int) throws(WireError) -> Int {
        var index = readerIndex
        while let header = try FrameHeader.next(in: self, at: index, limit: limit), header.kind == BackendKind.copyData,
            writerIndex - index >= header.totalLength
        {
            index += header.totalLength
        }
        return index - readerIndex
    }

    /// Takes the content of the next message of a run of CopyData; nil behind the last.
    package mutating func readCopyDataContent() -> ByteBuffer? {
        guard let header = try? FrameHeader.next(in: self, limit: .max), header.kind == BackendKind.copyData, readableBytes >= header.totalLength
        else { return nil }
        moveReaderIndex(forwardBy: FrameHeader.length)
        return readSlice(length: header.bodyLength)
    }

    @inlinable package mutating func writeCopyDone() { writeEmptyFrame(FrontendKind.copyDone) }

    package mutating func writeCopyFail(reason: String) {
        writeFrame(FrontendKind.copyFail) { $0.writeCString(reason) }
    }

    package mutating func writeCopyInResponse(_ response: CopyResponse) {
        writeCopyResponse(BackendKind.copyInResponse, response)
    }

    package mutating func writeCopyOutResponse(_ response: CopyResponse) {
        writeCopyResponse(BackendKind.copyOutResponse, response)
    }

    private mutating func writeCopyResponse(_ kind: UInt8, _ response: CopyResponse) {
        writeFrame(kind) { buffer in
            buffer.writeInteger(UInt8(truncatingIfNeeded: response.format.rawValue))
            buffer.writeInteger(UInt16(response.columnFormats.count))
            for format in response.columnFormats { buffer.writeInteger(format.rawValue) }
        }
    }
}
