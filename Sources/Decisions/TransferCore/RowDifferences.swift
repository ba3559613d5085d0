internal import PGTypes

/// Rows that are on one side only, found by taking the rows of both sides away from each other.
///
/// Memory: the rows that stand without an equal so far. Where they have more than `bytesMax` bytes nothing is found at all (`isCutShort`): what was not kept
/// would make rows look different that are not.
package struct RowDifferences: Sendable {
    package enum Kind: String, Hashable, Sendable {
        /// On the source only.
        case missing
        /// On the target only.
        case extra
        /// On both with one key, and not equal.
        case changed
    }

    package struct Difference: Hashable, Sendable {
        package var kind: Kind
        /// The shard key of the row: a uuid as 32 hexadecimal digits, a text as COPY writes it.
        package var key: String
        package init(kind: Kind, key: String) {
            self.kind = kind
            self.key = key
        }
    }

    private let form: RowForm
    private let bytesMax: Int
    private var bytes = 0
    /// By the row's bytes: how many more the source has; below zero, the target.
    private var surplus: [[UInt8]: Int] = [:]
    package private(set) var isCutShort = false

    package init(_ form: RowForm, bytesMax: Int) {
        self.form = form
        self.bytesMax = bytesMax
    }

    package mutating func addSource(_ row: RawSpan) { add(row, 1) }
    package mutating func addTarget(_ row: RawSpan) { add(row, -1) }

    private mutating func add(_ row: RawSpan, _ count: Int) {
        guard !isCutShort else { return }
        let row = row.withUnsafeBytes { unsafe Array($0) }
        let before = surplus[row]
        let now = (before ?? 0) + count
        surplus[row] = now == 0 ? nil : now
        if before == nil { bytes += row.count }
        if now == 0 { bytes -= row.count }
        guard bytes > bytesMax else { return }
        isCutShort = true
        surplus = [:]
    }

    /// How many rows differ: a changed one counts once. 0 where it was cut short.
    package var count: Int { byKey.values.reduce(0) { $0 + max($1.source, $1.target) } }

    /// In the order of their keys; the first `max` of them.
    package func differences(max: Int) -> [Difference] {
        var found: [Difference] = []
        for (bytes, counts) in byKey.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let key = String(decoding: bytes, as: UTF8.self)
            let changed = min(counts.source, counts.target)
            for (kind, count) in [(Kind.changed, changed), (.missing, counts.source - changed), (.extra, counts.target - changed)] {
                for _ in 0..<min(count, max - found.count) { found.append(Difference(kind: kind, key: key)) }
            }
            if found.count >= max { break }
        }
        return found
    }

    /// By the key's bytes.
    private var byKey: [[UInt8]: (source: Int, target: Int)] {
        var byKey: [[UInt8]: (source: Int, target: Int)] = [:]
        for (row, count) in surplus {
            let key = Array((form.key(of: row) ?? "?").utf8)
            if count > 0 { byKey[key, default: (0, 0)].source += count } else { byKey[key, default: (0, 0)].target -= count }
        }
        return byKey
    }
}

extension RowForm {
    /// The key field of a row; nil where the row is not of this form.
    func key(of row: [UInt8]) -> String? {
        switch format {
        case .text:
            // A tab in a value is written as \t.
            let fields = row.split(separator: 0x09, omittingEmptySubsequences: false)
            guard keyColumn < fields.count else { return nil }
            return String(decoding: fields[keyColumn].filter { $0 != 0x0a }, as: UTF8.self)
        case .binary:
            var place = 2
            for column in 0...keyColumn {
                guard place + 4 <= row.count else { return nil }
                let declared = row[place..<place + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                // NULL has the length -1.
                let length = declared == .max ? 0 : Int(declared)
                guard length <= row.count - place - 4 else { return nil }
                if column == keyColumn { return text(ofKey: Array(row[(place + 4)..<(place + 4 + length)])) }
                place += 4 + length
            }
            return nil
        }
    }

    private func text(ofKey bytes: [UInt8]) -> String {
        switch keyType {
        case .integer:
            let number = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let unused = 64 - bytes.count * 8
            return String(Int64(bitPattern: number << UInt64(max(0, unused))) >> Int64(max(0, unused)))
        case .text: return String(decoding: bytes, as: UTF8.self)
        case .uuid: return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }
}
