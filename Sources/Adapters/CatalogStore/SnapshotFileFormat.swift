internal import Foundation
internal import ShardModel

/// The bytes of a saved copy, numbers big-endian:
/// the magic, the format (4 bytes), the length of the rest before the checksum (8 bytes),
/// the length of the JSON (8 bytes), the snapshot as JSON with its shards' vnodes left out,
/// for each shard in the order of ids: how many bytes its vnodes take (4 bytes), the vnodes (`VNodeBytes`),
/// and the CRC-64 of everything before it (8 bytes). One that is sealed has another format's number, and behind all of it the seal's code.
enum SnapshotFileFormat {
    static let magic = Data("PGMosaic catalog copy\n".utf8)
    static let version: UInt32 = 1
    static let sealedVersion: UInt32 = 2
    private static let headLength = magic.count + 12

    static func encode(_ snapshot: CatalogSnapshot, path: String, seal: SnapshotSeal? = nil) throws(SnapshotFileError) -> Data {
        var bare = snapshot
        for id in snapshot.shards.keys { bare.shards[id]?.vnodes = [] }
        let json: Data
        do {
            json = try JSONEncoder().encode(bare)
        } catch {
            throw SnapshotFileError(.system("the catalog cannot be encoded: \(error)"), path: path)
        }
        var body = bytes(of: UInt64(json.count)) + json
        for shard in snapshot.shards.values.sorted(by: { $0.id < $1.id }) {
            let vnodes = VNodeBytes.encode(shard.vnodes)
            body += bytes(of: UInt32(vnodes.count)) + vnodes
        }
        var file = magic + bytes(of: seal == nil ? version : sealedVersion) + bytes(of: UInt64(body.count)) + body
        file += bytes(of: CRC64.checksum(file))
        if let seal { file += seal.code(file) }
        return file
    }

    static func decode(_ whole: Data, path: String, seal: SnapshotSeal? = nil) throws(SnapshotFileError) -> CatalogSnapshot {
        let (file, code) = try parts(whole, path: path)
        guard file.starts(with: magic.prefix(file.count)), !file.isEmpty else { throw SnapshotFileError(.notACopy, path: path) }
        var head = Cursor(file.dropFirst(magic.count))
        guard head.number(UInt32.self) != nil, let length = head.number(UInt64.self) else { throw SnapshotFileError(.truncated, path: path) }
        // Compared before any arithmetic: the length may be any number in a damaged file.
        guard file.count >= headLength + 8, length <= UInt64(file.count - headLength - 8) else { throw SnapshotFileError(.truncated, path: path) }
        guard length == UInt64(file.count - headLength - 8) else { throw SnapshotFileError(.damaged, path: path) }
        var tail = Cursor(file.suffix(8))
        guard tail.number(UInt64.self) == CRC64.checksum(file.dropLast(8)) else { throw SnapshotFileError(.damaged, path: path) }
        // Behind the checksum, so that damage is called so.
        if let seal {
            guard let code else { throw SnapshotFileError(.unsealed, path: path) }
            guard seal.isCode(code, file) else { throw SnapshotFileError(.sealedElsewhere, path: path) }
        }
        guard let snapshot = body(file.dropFirst(headLength).dropLast(8)) else { throw SnapshotFileError(.damaged, path: path) }
        return snapshot
    }

    /// What the checksum is of, the checksum, and the seal's code where there is one.
    private static func parts(_ whole: Data, path: String) throws(SnapshotFileError) -> (file: Data, code: Data?) {
        guard whole.starts(with: magic.prefix(whole.count)), !whole.isEmpty else { throw SnapshotFileError(.notACopy, path: path) }
        var head = Cursor(whole.dropFirst(magic.count))
        guard let format = head.number(UInt32.self) else { throw SnapshotFileError(.truncated, path: path) }
        switch format {
        case version: return (whole, nil)
        case sealedVersion:
            guard whole.count >= headLength + SnapshotSeal.length else { throw SnapshotFileError(.truncated, path: path) }
            return (whole.dropLast(SnapshotSeal.length), whole.suffix(SnapshotSeal.length))
        default: throw SnapshotFileError(.format(format), path: path)
        }
    }

    private static func body(_ bytes: Data) -> CatalogSnapshot? {
        var cursor = Cursor(bytes)
        guard let length = cursor.number(UInt64.self), let json = cursor.bytes(length),
            var snapshot = try? JSONDecoder().decode(CatalogSnapshot.self, from: json)
        else { return nil }
        for id in snapshot.shards.keys.sorted() {
            guard let length = cursor.number(UInt32.self), let data = cursor.bytes(UInt64(length)), let vnodes = VNodeBytes.decode(data)
            else { return nil }
            snapshot.shards[id]?.vnodes = vnodes
        }
        guard cursor.isAtEnd, (try? snapshot.checkInvariants()) != nil else { return nil }
        return snapshot
    }

    private static func bytes<Number: FixedWidthInteger>(of number: Number) -> Data { withUnsafeBytes(of: number.bigEndian) { Data($0) } }
}

/// Reads from front to back; nil at the end.
private struct Cursor {
    private var rest: Data
    init(_ data: Data) { rest = data }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        guard let data = bytes(UInt64(Number.bitWidth / 8)) else { return nil }
        return data.withUnsafeBytes { Number(bigEndian: $0.loadUnaligned(as: Number.self)) }
    }

    mutating func bytes(_ count: UInt64) -> Data? {
        guard count <= UInt64(rest.count) else { return nil }
        defer { rest = rest.dropFirst(Int(count)) }
        return rest.prefix(Int(count))
    }
}
