#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif
internal import ShardModel

/// A bounded cache from byte strings to objects, for one event loop.
///
/// Set-associative: a key has `ways` possible places, and among them the least recently used one is given up. So a lookup reads one
/// short row, an insertion moves nothing, and the bound is exact.
struct ByteKeyedCache<Value: AnyObject> {
    private static var ways: Int { 8 }

    private struct Entry {
        var key: [UInt8]
        var value: Value
        var lastUse: UInt64
    }

    private var hashes: [UInt64]
    private var entries: [Entry?]
    private let setMask: Int
    private var clock: UInt64 = 0
    private(set) var count = 0

    /// `capacity` is rounded up to a power of two, at least 8.
    init(capacity: Int) {
        var sets = 1
        while sets * Self.ways < capacity { sets *= 2 }
        setMask = sets - 1
        hashes = Array(repeating: 0, count: sets * Self.ways)
        entries = Array(repeating: nil, count: sets * Self.ways)
    }

    mutating func find(_ key: RawSpan) -> Value? {
        let hash = Token(hashing: key).value
        let first = (Int(truncatingIfNeeded: hash) & setMask) * Self.ways
        for index in first..<(first + Self.ways) where hashes[index] == hash {
            guard entries[index] != nil, Self.equal(entries[index]!.key, key) else { continue }
            clock += 1
            entries[index]!.lastUse = clock
            return entries[index]!.value
        }
        return nil
    }

    /// Precondition: `find(key)` gave nil.
    mutating func insert(_ key: RawSpan, _ value: Value) {
        let hash = Token(hashing: key).value
        let first = (Int(truncatingIfNeeded: hash) & setMask) * Self.ways
        var victim = first
        for index in first..<(first + Self.ways) {
            guard let entry = entries[index] else {
                victim = index
                break
            }
            if entry.lastUse < entries[victim]!.lastUse { victim = index }
        }
        if entries[victim] == nil { count += 1 }
        clock += 1
        hashes[victim] = hash
        entries[victim] = Entry(key: key.withUnsafeBytes { Array($0) }, value: value, lastUse: clock)
    }

    mutating func removeAll() {
        for index in entries.indices {
            hashes[index] = 0
            entries[index] = nil
        }
        count = 0
    }

    private static func equal(_ a: [UInt8], _ b: RawSpan) -> Bool {
        guard a.count == b.byteCount else { return false }
        return a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in
                a.count == 0 || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0
            }
        }
    }
}
