internal import CatalogStore
internal import Foundation
internal import ShardModel

/// The keys of a catalog, below its prefix:
///
///     head                                   Head: the one key that every commit compares and sets
///     records/GENERATION/KIND/KEY            Record
///     history/GENERATION/EPOCH               Passage; the epoch in twenty digits
///     leases/NAME                            LeaseHolder, on an etcd lease
///     members/ID                             a MemberRecord as JSON, on an etcd lease
///     answers/KEY/EPOCH                      a KeptAnswer as JSON; KEY is a digest
///     answered/EPOCH                         the KEY of the answer that was kept with that epoch
///
/// The head names the generations that count. A change that is too large for one transaction writes all records below a new generation first.
struct EtcdKeys: Sendable {
    let prefix: String

    var head: Data { Data((prefix + "head").utf8) }
    /// Everything below the prefix.
    var all: EtcdRange { Self.below(prefix) }

    /// All but the leases and members: of a catalog that was lost, routers go on announcing themselves below the prefix.
    var lasting: [EtcdRange] {
        let (all, leases) = (all, Self.below(prefix + "leases/"))
        return [EtcdRange(start: all.start, end: leases.start), EtcdRange(start: leases.end, end: members.start), EtcdRange(start: members.end, end: all.end)]
    }

    func records(_ generation: String) -> EtcdRange { Self.below(prefix + "records/\(generation)/") }
    func record(_ generation: String, _ kind: RecordRow.Kind, _ key: String) -> Data {
        Data((prefix + "records/\(generation)/\(kind.rawValue)/\(key)").utf8)
    }
    /// The kind and the key of a record.
    func name(ofRecord key: Data, _ generation: String) -> (kind: RecordRow.Kind, key: String)? {
        let folder = Data((prefix + "records/\(generation)/").utf8)
        guard key.starts(with: folder), let text = String(validating: key.dropFirst(folder.count), as: UTF8.self), let slash = text.firstIndex(of: "/"),
            let kind = RecordRow.Kind(rawValue: String(text[..<slash]))
        else { return nil }
        return (kind, String(text[text.index(after: slash)...]))
    }

    func history(_ generation: String) -> EtcdRange { Self.below(prefix + "history/\(generation)/") }
    func passage(_ generation: String, _ epoch: Epoch) -> Data { Data((prefix + "history/\(generation)/\(Self.digits(epoch))").utf8) }
    /// Both ends inclusive.
    func passages(_ generation: String, from first: Epoch, through last: Epoch) -> EtcdRange {
        EtcdRange(start: passage(generation, first), end: passage(generation, last) + [0])
    }

    /// What is below `records/` or `history/` and not of the generation: left over by an older epoch, or by a writer that did not finish.
    func others(of folder: String, than generation: String) -> [EtcdRange] {
        let own = Self.below(prefix + "\(folder)/\(generation)/")
        let whole = Self.below(prefix + "\(folder)/")
        return [EtcdRange(start: whole.start, end: own.start), EtcdRange(start: own.end, end: whole.end)]
    }

    func answers(_ key: String) -> EtcdRange { Self.below(prefix + "answers/\(key)/") }
    func answer(_ key: String, _ epoch: Epoch) -> Data { Data((prefix + "answers/\(key)/\(Self.digits(epoch))").utf8) }
    func answered(_ epoch: Epoch) -> Data { Data((prefix + "answered/\(Self.digits(epoch))").utf8) }
    /// Those up to `last`.
    func answered(through last: Epoch) -> EtcdRange { EtcdRange(start: answered(.zero), end: answered(last) + [0]) }
    /// All of both kinds.
    var allAnswers: [EtcdRange] { ["answers/", "answered/"].map { Self.below(prefix + $0) } }
    func epoch(ofAnswered key: Data) -> Epoch? { UInt64(String(decoding: key.suffix(20), as: UTF8.self)).map { Epoch($0) } }

    func lease(_ name: String) -> Data { Data((prefix + "leases/\(name)").utf8) }
    var members: EtcdRange { Self.below(prefix + "members/") }
    func member(_ id: String) -> Data { Data((prefix + "members/\(id)").utf8) }

    /// A generation has the epoch of its making in front.
    static func generation(_ epoch: Epoch, _ commitID: String) -> String { "\(digits(epoch))-\(commitID)" }

    private static func digits(_ epoch: Epoch) -> String {
        let text = String(epoch.number)
        return String(repeating: "0", count: max(0, 20 - text.count)) + text
    }

    /// `folder` ends with '/', which '0' follows.
    private static func below(_ folder: String) -> EtcdRange { EtcdRange(start: Data(folder.utf8), end: Data((folder.dropLast() + "0").utf8)) }
}
