package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension ByteBuffer {
    /// The index of the first zero byte at or after `index`, within the readable bytes.
    func indexOfZero(from index: Int) -> Int? {
        let start = readerIndex
        guard index >= start, index < writerIndex else { return nil }
        // memchr runs at 16 to 32 bytes a step, where a Collection search does one; statements are scanned for every Parse and Query.
        // Unsafe: the pointer stays in the closure and the length is what is readable behind it.
        return withUnsafeReadableBytes { bytes -> Int? in
            let from = index - start
            guard let base = bytes.baseAddress, let hit = memchr(base + from, 0, bytes.count - from) else { return nil }
            return start + (UnsafeRawPointer(hit) - base)
        }
    }

    /// Takes a zero-terminated string as a slice without its terminator.
    mutating func readCStringSlice(kind: UInt8) throws(WireError) -> ByteBuffer {
        guard let end = indexOfZero(from: readerIndex), let slice = readSlice(length: end - readerIndex) else {
            throw WireError(.unterminatedString, kind: kind)
        }
        moveReaderIndex(forwardBy: 1)
        return slice
    }

    mutating func skipCString(kind: UInt8) throws(WireError) {
        guard let end = indexOfZero(from: readerIndex) else { throw WireError(.unterminatedString, kind: kind) }
        moveReaderIndex(to: end + 1)
    }

    /// Takes a zero-terminated string, which must be UTF-8.
    mutating func readCString(kind: UInt8) throws(WireError) -> String {
        guard let text = try readCStringSlice(kind: kind).utf8Text else { throw WireError(.invalidEncoding, kind: kind) }
        return text
    }

    /// Takes a zero-terminated string; bytes that are not UTF-8 become U+FFFD. For texts that are only shown.
    mutating func readCStringRepairing(kind: UInt8) throws(WireError) -> String {
        String(buffer: try readCStringSlice(kind: kind))
    }

    mutating func readChecked<I: FixedWidthInteger>(_ type: I.Type = I.self, kind: UInt8) throws(WireError) -> I {
        guard let value = readInteger(as: I.self) else { throw WireError(.truncated, kind: kind) }
        return value
    }

    func requireEmpty(kind: UInt8) throws(WireError) {
        guard readableBytes == 0 else { throw WireError(.trailingBytes, kind: kind) }
    }

    /// The readable bytes as text, nil where they are not UTF-8.
    package var utf8Text: String? {
        String(validating: readableBytesView, as: UTF8.self)
    }

    /// Appends `text` and a terminator. A zero byte inside would end it early on the other side, and move everything behind it, so what follows one is cut off.
    mutating func writeCString(_ text: String) {
        if text.utf8.contains(0) {
            writeBytes(text.utf8.prefix { $0 != 0 })
        } else {
            writeString(text)
        }
        writeInteger(0 as UInt8)
    }

    mutating func writeCString(slice: ByteBuffer) {
        writeImmutableBuffer(slice)
        writeInteger(0 as UInt8)
    }
}
